#include "tests/unit/shipper/fixture.h"
#include "tests/unit/shipper/test_server.h"

#include "shared/base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a test's world ---- */

struct world {
    struct fixture *fixture;
    struct test_server *server;
    struct output *output;
    /* what the deciders below keep */
    unsigned bad_serial, limit, refusals, largest;
    bool was_unavailable;
    bool mended;
    char head[4096];
};

static struct world *world_new(test_decide decide)
{
    struct world *w = calloc(1, sizeof(*w));
    char url[64];

    w->fixture = fixture_new();
    w->server = test_server_start(0, decide, w);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1/logs", test_server_port(w->server));
    fixture_set(w->fixture, OPT_OTLP_ENDPOINT, url);
    fixture_set(w->fixture, OPT_OTLP_TIMEOUT, "5s");
    return w;
}

static void world_free(struct world *w)
{
    if (w->output != NULL)
        output_close(&w->output);
    if (w->server != NULL) {
        assert_string_equal(test_server_violation(w->server), "");
        test_server_stop(&w->server);
    }
    fixture_free(w->fixture);
    free(w);
}

static void world_open(struct world *w)
{
    w->output = fixture_open(w->fixture, &output_http_ops);
}

static uint64_t metric(struct world *w, enum metric_id id)
{
    return status_get(fixture_status(w->fixture), id);
}

/* Every committed record, at least `least` and at most `most` times. */
static void check_counts(struct world *w, unsigned least, unsigned most)
{
    unsigned counts[FIXTURE_RECORDS];

    test_server_counts(w->server, counts);
    for (unsigned i = 0; i < FIXTURE_RECORDS; i++) {
        if (i >= fixture_committed(w->fixture))
            assert_int_equal(counts[i], 0);
        else
            assert_in_range(counts[i], least, most);
    }
}

static void check_all_passed(struct world *w)
{
    for (unsigned i = 0; i < FIXTURE_LANES; i++) {
        const struct cursor_ranges *done = cursor_done(source_cursor(w->output->source, i));

        assert_int_equal(done->count, 0);
        if (fixture_next_sequence(w->fixture, i) > 1)
            assert_int_equal(done->done.sequence, fixture_next_sequence(w->fixture, i));
    }
    assert_int_equal(source_lag(w->output->source), 0);
}

static struct test_answer ok(void)
{
    return (struct test_answer){.status = 200};
}

static struct test_answer accept_all(void *context, const struct test_request *request)
{
    struct world *w = context;

    snprintf(w->head, sizeof(w->head), "%s", request->head);
    return ok();
}

/* ---- tests ---- */

static void test_delivers_all_lanes(void **state)
{
    struct world *w = world_new(accept_all);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_DATASET, "production");
    for (unsigned i = 0; i < 40; i++)
        fixture_commit(w->fixture, i % FIXTURE_LANES, 1 + i % 3, 5);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    check_all_passed(w);
    assert_int_equal(metric(w, METRIC_RECORDS_DELIVERED), fixture_committed(w->fixture));
    assert_int_equal(metric(w, METRIC_REQUESTS_IN_FLIGHT), 0);
    assert_non_null(strstr(w->head, "POST /v1/logs HTTP/1.1\r\n"));
    assert_non_null(strstr(w->head, "\r\nAuthorization: Bearer " FIXTURE_KEY "\r\n"));
    assert_non_null(strstr(w->head, "\r\nDash0-Dataset: production\r\n"));
    assert_non_null(strstr(w->head, "\r\nContent-Type: application/x-protobuf\r\n"));
    assert_non_null(strstr(w->head, "\r\nContent-Encoding: gzip\r\n"));
    assert_non_null(strstr(w->head, "\r\nUser-Agent: OTel-OTLP-Exporter-Sluice/"));
    assert_null(strstr(w->head, "Expect"));

    fixture_commit(w->fixture, 1, 1, 3); /* and what comes later */
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    check_all_passed(w);
    world_free(w);
}

static void test_codecs(void **state)
{
    struct world *w = world_new(accept_all);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_REQUESTS, "1"); /* one after the other */
    fixture_commit(w->fixture, 0, 3, 5);
    fixture_set_codec(w->fixture, FRAME_NONE);
    fixture_commit(w->fixture, 0, 3, 5);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    assert_int_equal(test_server_requests(w->server), 2); /* one codec each */
    assert_null(strstr(w->head, "Content-Encoding"));
    world_free(w);
}

/* Small and large bodies in turn, on one connection. */
static void test_sizes(void **state)
{
    struct world *w = world_new(accept_all);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_REQUESTS, "1");
    fixture_set_codec(w->fixture, FRAME_NONE);
    world_open(w);
    for (unsigned i = 0; i < 6; i++) {
        fixture_commit(w->fixture, 0, 1 + i % 2, i % 2 == 0 ? 2 : 2500); /* 36, 90,000 bytes */
        fixture_run_idle(w->fixture, w->output);
    }
    check_counts(w, 1, 1);
    world_free(w);
}

static void test_requests_are_limited(void **state)
{
    struct world *w = world_new(accept_all);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_MAX_REQUEST, "65536");
    fixture_commit(w->fixture, 0, 10, 1000); /* frames of 18,000 plain bytes */
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    assert_int_equal(test_server_requests(w->server), 4); /* three frames each, and one */
    world_free(w);
}

static struct test_answer unavailable_first(void *context, const struct test_request *request)
{
    (void)context;
    if (request->number < 6)
        return (struct test_answer){.status = 503,
                                    .body = SLICE_LITERAL("busy"),
                                    .headers = "Content-Type: text/plain\r\n"};
    return ok();
}

static bool saw_503(void *context)
{
    struct world *w = context;
    char note[160];

    output_note(w->output, note, sizeof(note));
    return strstr(note, "otlp: 503 from the server: busy, ") != NULL;
}

static void test_unavailable_for_a_while(void **state)
{
    struct world *w = world_new(unavailable_first);
    char note[160];

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    fixture_run(w->fixture, w->output, saw_503, w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    check_all_passed(w);
    assert_in_range(metric(w, METRIC_REQUESTS_FAILED), 6, 6);
    output_note(w->output, note, sizeof(note));
    assert_string_equal(note, "");
    world_free(w);
}

static struct test_answer wait_a_second(void *context, const struct test_request *request)
{
    (void)context;
    if (request->number == 0)
        return (struct test_answer){.status = 429, .headers = "Retry-After: 1\r\n"};
    return ok();
}

static void test_retry_after(void **state)
{
    struct world *w = world_new(wait_a_second);
    uint64_t before = clock_monotonic_ns();

    (void)state;
    fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    assert_true(clock_monotonic_ns() - before >= NS_PER_S); /* not before it was allowed to */
    world_free(w);
}

/* Answers that never come whole: the request is sent again, and may be there twice. */
static struct test_answer cut_often(void *context, const struct test_request *request)
{
    struct test_answer answer = ok();

    (void)context;
    answer.cut = request->number % 3 == 0   ? CUT_BEFORE_ANSWER
                 : request->number % 3 == 1 ? CUT_HALF
                                            : CUT_NOT;
    return answer;
}

static void test_cut_answers(void **state)
{
    struct world *w = world_new(cut_often);

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        fixture_commit(w->fixture, i % FIXTURE_LANES, 2, 10);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 20);
    check_all_passed(w);
    world_free(w);
}

static struct test_answer hang_first(void *context, const struct test_request *request)
{
    (void)context;
    return (struct test_answer){.status = 200, .cut = request->number == 0 ? CUT_HANG : CUT_NOT};
}

static void test_time_out(void **state)
{
    struct world *w = world_new(hang_first);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_TIMEOUT, "200ms");
    fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    /* It had counted the one that it never answered; a busy machine may be late for more. */
    check_counts(w, 2, 50);
    assert_true(metric(w, METRIC_REQUESTS_FAILED) >= 1);
    world_free(w);
}

static bool has_failed(void *context)
{
    struct world *w = context;

    return metric(w, METRIC_REQUESTS_FAILED) >= 3;
}

static void test_server_comes_back(void **state)
{
    struct world *w = world_new(accept_all);
    unsigned port = test_server_port(w->server);

    (void)state;
    test_server_stop(&w->server); /* refused from now on */
    fixture_commit(w->fixture, 0, 2, 10);
    world_open(w);
    fixture_run(w->fixture, w->output, has_failed, w);
    assert_int_equal(metric(w, METRIC_RECORDS_DELIVERED), 0);
    w->server = test_server_start(port, accept_all, w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    world_free(w);
}

/* 400 to whatever holds one bad record, until it is mended. */
static struct test_answer refuse_bad(void *context, const struct test_request *request)
{
    struct world *w = context;

    if (!w->mended && request->has[w->bad_serial]) {
        w->refusals++;
        return (struct test_answer){.status = 400};
    }
    return ok();
}

static bool rest_is_delivered(void *context)
{
    struct world *w = context;

    return metric(w, METRIC_RECORDS_DELIVERED) == fixture_committed(w->fixture) - 10;
}

static bool refused_again(void *context)
{
    struct world *w = context;

    return w->refusals > 15;
}

static void test_bad_frame_holds_up_no_other(void **state)
{
    struct world *w = world_new(refuse_bad);
    unsigned counts[FIXTURE_RECORDS];
    char note[160];

    (void)state;
    w->bad_serial = 133; /* in the 14th frame */
    for (unsigned i = 0; i < 6; i++)
        fixture_commit(w->fixture, 0, 5, 10);
    world_open(w);
    fixture_run(w->fixture, w->output, rest_is_delivered, w);
    output_note(w->output, note, sizeof(note));
    assert_non_null(strstr(note, "refuses a frame"));
    fixture_commit(w->fixture, 0, 1, 10); /* later ones too */
    fixture_commit(w->fixture, 1, 1, 10);
    fixture_run(w->fixture, w->output, rest_is_delivered, w);
    fixture_run(w->fixture, w->output, refused_again, w);
    test_server_counts(w->server, counts);
    for (unsigned i = 0; i < fixture_committed(w->fixture); i++)
        assert_int_equal(counts[i], i < 130 || i >= 140);
    assert_int_equal(cursor_done(source_cursor(w->output->source, 0))->done.sequence, 3);

    w->mended = true;
    w->output->exhausted = false;
    while (metric(w, METRIC_RECORDS_DELIVERED) < fixture_committed(w->fixture))
        fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    check_all_passed(w);
    output_note(w->output, note, sizeof(note));
    assert_string_equal(note, "");
    world_free(w);
}

/* 400 to everything, as a proxy in the way says it. */
static struct test_answer refuse_all(void *context, const struct test_request *request)
{
    struct world *w = context;

    (void)request;
    if (w->limit > 0 && w->refusals >= w->limit)
        return ok();
    w->refusals++;
    return (struct test_answer){.status = 400};
}

static bool refused_often(void *context)
{
    struct world *w = context;

    return w->refusals >= 32;
}

static void test_refusing_everything_is_not_stormed(void **state)
{
    struct world *w = world_new(refuse_all);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_REQUESTS, "1");
    fixture_set(w->fixture, OPT_RETRY_MAX, "1h");
    fixture_commit(w->fixture, 0, 300, 2);
    world_open(w);
    fixture_run(w->fixture, w->output, refused_often, w);
    for (unsigned i = 0; i < 100; i++)
        sd_event_run(fixture_event(w->fixture), 1000);
    assert_in_range(w->refusals, 32, 33);
    world_free(w);

    w = world_new(refuse_all);
    fixture_set(w->fixture, OPT_OTLP_REQUESTS, "1");
    fixture_commit(w->fixture, 0, 300, 2);
    w->limit = 100; /* then it is mended */
    world_open(w);
    while (metric(w, METRIC_RECORDS_DELIVERED) < fixture_committed(w->fixture))
        fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    check_all_passed(w);
    world_free(w);
}

static struct test_answer refuse_large(void *context, const struct test_request *request)
{
    struct world *w = context;

    if (request->plain.n > w->limit) {
        w->refusals++;
        return (struct test_answer){.status = 413};
    }
    return ok();
}

static void test_too_large(void **state)
{
    struct world *w = world_new(refuse_large);

    (void)state;
    w->limit = 100000;
    fixture_set(w->fixture, OPT_OTLP_REQUESTS, "1");
    fixture_commit(w->fixture, 0, 18, 1000); /* 324,000 bytes; then smaller ones only */
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    assert_in_range(w->refusals, 1, 3);
    w->refusals = 0;
    fixture_commit(w->fixture, 0, 10, 200);
    fixture_run_idle(w->fixture, w->output);
    assert_int_equal(w->refusals, 0);
    world_free(w);
}

static struct test_answer unauthorized(void *context, const struct test_request *request)
{
    struct world *w = context;

    if (strstr(request->head, "Bearer new_key\r\n") != NULL)
        return ok();
    w->refusals++;
    return (struct test_answer){.status = 401};
}

static bool probed_twice(void *context)
{
    struct world *w = context;

    return w->refusals >= 6;
}

static void test_held_until_the_key_is_right(void **state)
{
    struct world *w = world_new(unauthorized);
    char note[160];

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    fixture_run(w->fixture, w->output, probed_twice, w);
    assert_int_equal(w->output->retry.state, RETRY_HELD);
    output_note(w->output, note, sizeof(note));
    assert_non_null(strstr(note, "otlp: held: 401 from the server"));
    assert_null(strstr(note, FIXTURE_KEY));
    output_reload(w->output, SLICE_LITERAL("new_key"));
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    world_free(w);
}

static struct test_answer partial(void *context, const struct test_request *request)
{
    (void)context;
    (void)request;
    return (struct test_answer){.status = 200,
                                .headers = "Content-Type: application/x-protobuf\r\n",
                                .body = SLICE_LITERAL("\x0a\x0b\x08\x03\x12\x07too old")};
}

static void test_partial_success(void **state)
{
    struct world *w = world_new(partial);

    (void)state;
    fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1); /* never sent again */
    assert_int_equal(metric(w, METRIC_RECORDS_DELIVERED), 7);
    assert_int_equal(metric(w, METRIC_RECORDS_REJECTED), 3);
    check_all_passed(w);
    world_free(w);
}

static struct test_answer redirect(void *context, const struct test_request *request)
{
    (void)context;
    if (request->number == 0)
        return (struct test_answer){.status = 307, .headers = "Location: /elsewhere\r\n"};
    return ok();
}

static void test_redirect_is_not_followed(void **state)
{
    struct world *w = world_new(redirect);

    (void)state;
    fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    assert_int_equal(metric(w, METRIC_REQUESTS_FAILED), 1);
    world_free(w);
}

/* The first request is never answered; those behind it are. */
static struct test_answer hang_on_first_record(void *context, const struct test_request *request)
{
    struct world *w = context;

    return (struct test_answer){.status = 200,
                                .cut = request->has[0] && !w->mended ? CUT_HANG : CUT_NOT};
}

static bool others_delivered(void *context)
{
    struct world *w = context;

    return metric(w, METRIC_RECORDS_DELIVERED) == 90;
}

static void test_restart_sends_only_what_was_in_flight(void **state)
{
    struct world *w = world_new(hang_on_first_record);
    unsigned counts[FIXTURE_RECORDS];

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_MAX_REQUEST, "65536");
    fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    output_pump(w->output); /* the first alone, then the others */
    for (unsigned i = 0; i < 9; i++)
        fixture_commit(w->fixture, 0, 1, 10);
    fixture_run(w->fixture, w->output, others_delivered, w);
    assert_int_equal(cursor_done(source_cursor(w->output->source, 0))->count, 1);
    output_close(&w->output); /* as if killed: nothing was synced */

    w->mended = true;
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    test_server_counts(w->server, counts);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(counts[i], i < 10 ? 2 : 1);
    check_all_passed(w);
    world_free(w);
}

static void test_leaving_begins_nothing(void **state)
{
    struct world *w = world_new(accept_all);

    (void)state;
    world_open(w);
    output_set_phase(w->output, OUTPUT_LEAVING);
    fixture_commit(w->fixture, 0, 1, 10);
    output_pump(w->output);
    assert_true(output_is_idle(w->output));
    assert_int_equal(test_server_requests(w->server), 0);
    world_free(w);
}

static void test_name_is_resolved(void **state)
{
    struct world *w = world_new(accept_all);
    char url[64];

    (void)state;
    snprintf(url, sizeof(url), "http://localhost:%u/v1/logs", test_server_port(w->server));
    fixture_set(w->fixture, OPT_OTLP_ENDPOINT, url);
    fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    world_free(w);
}

static bool resolve_failed(void *context)
{
    struct world *w = context;
    char note[160];

    output_note(w->output, note, sizeof(note));
    return strstr(note, "cannot resolve no.such.host.invalid") != NULL;
}

static void test_unknown_name(void **state)
{
    struct world *w = world_new(accept_all);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_ENDPOINT, "http://no.such.host.invalid/v1/logs");
    fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    fixture_run(w->fixture, w->output, resolve_failed, w);
    world_free(w);
}

/* Every wake-up of the loop must bring something about: else an idle shipper takes a whole core. */
static void test_nothing_to_send_after_a_failure(void **state)
{
    struct world *w = world_new(accept_all);
    struct output_failure failure = {VERDICT_RETRY, "cannot resolve it", 0, 0};
    unsigned wakes = 0;

    (void)state;
    world_open(w);
    failure.sent_ns = clock_monotonic_ns();
    output_failed(w->output, &failure); /* as when the name could not be resolved */
    output_pump(w->output);
    while (clock_monotonic_ns() <= w->output->retry.until_ns)
        assert_true(sd_event_run(fixture_event(w->fixture), 1000) >= 0);
    for (unsigned i = 0; i < 100; i++)
        wakes += sd_event_run(fixture_event(w->fixture), 1000) > 0;
    assert_in_range(wakes, 0, 3);

    fixture_commit(w->fixture, 0, 1, 10); /* and the next record is the try */
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    world_free(w);
}

/* ---- other forms than the journal's ---- */

static struct test_answer note_size(void *context, const struct test_request *request)
{
    struct world *w = context;

    if (request->plain.n > w->largest)
        w->largest = (unsigned)request->plain.n;
    return accept_all(context, request);
}

static const char *const words[] = {"none", "gzip", "zstd"};

static void check_head(struct world *w, bool json, unsigned codec)
{
    char line[64];

    snprintf(line, sizeof(line), "\r\nContent-Type: %s\r\n",
             json ? "application/json" : "application/x-protobuf");
    assert_non_null(strstr(w->head, line));
    if (codec == FRAME_NONE) {
        assert_null(strstr(w->head, "Content-Encoding"));
        return;
    }
    snprintf(line, sizeof(line), "\r\nContent-Encoding: %s\r\n", words[codec]);
    assert_non_null(strstr(w->head, line));
}

/* Each encoding and compression, of frames of each codec; the limit holds for what is sent. */
static void test_every_form(void **state)
{
    (void)state;
    for (unsigned form = 0; form < 2 * 4 * FRAME_CODECS; form++) {
        bool json = form % 2 == 1;
        unsigned from = form / 2 % FRAME_CODECS, to = form / 2 / FRAME_CODECS;
        struct world *w = world_new(note_size);

        fixture_set(w->fixture, OPT_OTLP_ENCODING, json ? "json" : "protobuf");
        fixture_set(w->fixture, OPT_OTLP_COMPRESSION, to < FRAME_CODECS ? words[to] : "auto");
        fixture_set(w->fixture, OPT_OTLP_MAX_REQUEST, "65536");
        fixture_set_codec(w->fixture, from);
        fixture_commit(w->fixture, 0, 20, 30);
        fixture_commit(w->fixture, 1, 1, 6000); /* 108,000 bytes, more of JSON: cut */
        fixture_commit(w->fixture, 1, 40, 2);
        world_open(w);
        fixture_run_idle(w->fixture, w->output);
        check_counts(w, 1, 1);
        check_all_passed(w);
        check_head(w, json, to < FRAME_CODECS ? to : from);
        assert_in_range(w->largest, 30000, 65536);
        assert_true(metric(w, METRIC_FRAMES_RECODED) > 0);
        output_trim(w->output);
        world_free(w);
    }
}

/* What goes out as it is in the journal is never touched. */
static void test_normal_path_recodes_nothing(void **state)
{
    struct world *w = world_new(note_size);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_COMPRESSION, "gzip");
    for (unsigned i = 0; i < 10; i++)
        fixture_commit(w->fixture, 0, 5, 100);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    assert_int_equal(metric(w, METRIC_FRAMES_RECODED), 0);
    world_free(w);
}

/* The journal's codec was changed on the way: all requests have the one that is asked for. */
static void test_mixed_codecs_become_one(void **state)
{
    struct world *w = world_new(accept_all);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_REQUESTS, "1");
    fixture_set(w->fixture, OPT_OTLP_COMPRESSION, "zstd");
    world_open(w);
    for (unsigned codec = 0; codec < FRAME_CODECS; codec++) {
        fixture_set_codec(w->fixture, codec);
        fixture_commit(w->fixture, 0, 3, 5);
        fixture_run_idle(w->fixture, w->output);
        check_head(w, false, FRAME_ZSTD);
    }
    check_counts(w, 1, 1);
    assert_int_equal(metric(w, METRIC_FRAMES_RECODED), 6);
    world_free(w);
}

static void set_json(struct world *w, bool json)
{
    fixture_set(w->fixture, OPT_OTLP_ENCODING, json ? "json" : "protobuf");
}

/* 413 below the size of a single frame: it is cut by its records until they fit. */
static void test_too_large_frames_are_cut(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        struct world *w = world_new(refuse_large);

        set_json(w, json);
        w->limit = 5000;
        fixture_set(w->fixture, OPT_OTLP_REQUESTS, "1");
        fixture_commit(w->fixture, 0, 2, 1000);
        fixture_commit(w->fixture, 0, 1, 3);
        world_open(w);
        fixture_run_idle(w->fixture, w->output);
        check_counts(w, 1, 1);
        check_all_passed(w);
        /* Halving two frames down to it refuses so many, and no more. */
        assert_in_range(w->refusals, 3, json ? 64 : 16);
        assert_int_equal(metric(w, METRIC_RECORDS_DELIVERED), 2003);
        assert_int_equal(cursor_records(source_cursor(w->output->source, 0)), 2003);
        world_free(w);
    }
}

/* The first large request is refused; another large one comes at a bad time, and is sent again when
 * the first answer is surely there. (A part of the first may come before it.) */
static struct test_answer large_or_unavailable(void *context, const struct test_request *request)
{
    struct world *w = context;

    if (w->refusals == 1 && request->plain.n > w->limit && !w->was_unavailable) {
        w->was_unavailable = true;
        return (struct test_answer){.status = 503, .headers = "Retry-After: 1\r\n"};
    }
    return refuse_large(w, request);
}

/* What is sent again is smaller too, once the server is known to want that. */
static void test_limit_learned_by_another_slot(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        struct world *w = world_new(large_or_unavailable);

        set_json(w, json);
        w->limit = json ? 500000 : 100000;
        fixture_set(w->fixture, OPT_OTLP_REQUESTS, "2");
        fixture_commit(w->fixture, 0, 10, 1000); /* 180,000 bytes, more of JSON */
        fixture_commit(w->fixture, 1, 10, 1000);
        world_open(w);
        fixture_run_idle(w->fixture, w->output);
        check_counts(w, 1, 1);
        check_all_passed(w);
        assert_int_equal(w->refusals, 1);
        world_free(w);
    }
}

static struct test_answer keep_body(void *context, const struct test_request *request)
{
    struct world *w = context;

    snprintf(w->head, sizeof(w->head), "%.*s", (int)request->plain.n,
             (const char *)request->plain.p);
    return ok();
}

/* record.trace_id = verbatim holds for JSON requests as for the file. */
static void test_verbatim_trace_id(void **state)
{
    /* a log record with the attribute trace_id = "abc123def456" */
    static const char plain[] = "\x0a\x21\x12\x1f\x12\x1d\x32\x1b\x0a\x08trace_id\x12\x0f\x0a\x0d"
                                "abc123def456!";

    (void)state;
    for (int verbatim = 0; verbatim < 2; verbatim++) {
        struct world *w = world_new(keep_body);

        set_json(w, true);
        fixture_set(w->fixture, OPT_RECORD_TRACE_ID, verbatim ? "verbatim" : "pad");
        fixture_commit_plain(w->fixture, 0, slice_of(plain, sizeof(plain) - 1));
        world_open(w);
        fixture_run_idle(w->fixture, w->output);
        assert_non_null(strstr(w->head, "\"abc123def456!\""));
        assert_int_equal(strstr(w->head, "\"traceId\":\"abc123def456!\"") != NULL, verbatim);
        world_free(w);
    }
}

static struct test_answer unavailable_or_bad(void *context, const struct test_request *request)
{
    struct world *w = context;

    if (request->number % 3 == 0)
        return (struct test_answer){.status = 503};
    if (request->number % 3 == 1 && !w->mended)
        return refuse_bad(context, request);
    return ok();
}

/* Retried and halved as ever, with bodies that are made anew. */
static void test_failures_in_json(void **state)
{
    struct world *w = world_new(unavailable_or_bad);

    (void)state;
    set_json(w, true);
    w->bad_serial = 77;
    for (unsigned i = 0; i < 10; i++)
        fixture_commit(w->fixture, i % FIXTURE_LANES, 3, 10);
    world_open(w);
    while (metric(w, METRIC_RECORDS_DELIVERED) < fixture_committed(w->fixture))
        fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    check_all_passed(w);
    world_free(w);
}

/* Nothing is heard about what holds record 5500, in the middle of a frame that is cut. */
static struct test_answer hang_in_the_middle(void *context, const struct test_request *request)
{
    struct world *w = context;

    return (struct test_answer){.status = 200,
                                .cut = request->has[5500] && !w->mended ? CUT_HANG : CUT_NOT};
}

static bool waits_for_the_middle(void *context)
{
    struct world *w = context;
    unsigned counts[FIXTURE_RECORDS];

    test_server_counts(w->server, counts);
    return counts[5500] > 0;
}

/* Killed with a frame half delivered: what was delivered of it does not come again. */
static void test_restart_inside_a_frame(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        struct world *w = world_new(hang_in_the_middle);
        unsigned counts[FIXTURE_RECORDS], twice = 0;

        set_json(w, json);
        fixture_set(w->fixture, OPT_OTLP_REQUESTS, "1");
        fixture_set(w->fixture, OPT_OTLP_MAX_REQUEST, "65536");
        fixture_commit(w->fixture, 0, 1, 8000);
        world_open(w);
        fixture_run(w->fixture, w->output, waits_for_the_middle, w);
        output_close(&w->output);

        w->mended = true;
        world_open(w);
        fixture_run_idle(w->fixture, w->output);
        test_server_counts(w->server, counts);
        for (unsigned i = 0; i < 8000; i++) {
            assert_in_range(counts[i], 1, 2);
            twice += counts[i] == 2;
        }
        assert_int_equal(counts[5500], 2); /* it was in the request without an answer */
        assert_in_range(twice, 1, 3000);
        check_all_passed(w);
        assert_int_equal(cursor_records(source_cursor(w->output->source, 0)), 8000);
        world_free(w);
    }
}

/* A frame that is no OTLP at all cannot become JSON: it is kept, and holds up no other. */
static void test_unreadable_frame_is_kept(void **state)
{
    struct world *w = world_new(accept_all);
    static const char garbage[] = "\x0a\xff\xff\xff\xff garbage";
    char path[160];

    (void)state;
    set_json(w, true);
    fixture_set_codec(w->fixture, FRAME_NONE);
    fixture_commit(w->fixture, 0, 2, 10);
    fixture_commit_plain(w->fixture, 0, slice_of(garbage, sizeof(garbage) - 1));
    fixture_commit(w->fixture, 0, 2, 10);
    fixture_commit_plain(w->fixture, 1, slice_of(garbage, sizeof(garbage) - 1));
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    check_all_passed(w);
    assert_int_equal(metric(w, METRIC_RECORDS_QUARANTINED), 2);
    assert_int_equal(metric(w, METRIC_RECORDS_DELIVERED), 40);
    snprintf(path, sizeof(path), "%s/quarantine/frame-00-before-3-0.codec0",
             fixture_folder(w->fixture));
    assert_int_equal(access(path, R_OK), 0);
    snprintf(path, sizeof(path), "%s/quarantine/frame-01-before-2-0.codec0",
             fixture_folder(w->fixture));
    assert_int_equal(access(path, R_OK), 0);
    world_free(w);
}

/* A frame without a record would be an empty request. */
static void test_empty_frame_is_not_sent(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        struct world *w = world_new(accept_all);

        set_json(w, json);
        fixture_commit_plain(w->fixture, 0, slice_of("", 0));
        fixture_commit_plain(w->fixture, 1, slice_of("", 0));
        fixture_commit(w->fixture, 1, 1, 10);
        world_open(w);
        fixture_run_idle(w->fixture, w->output);
        check_counts(w, 1, 1);
        check_all_passed(w);
        assert_int_equal(test_server_requests(w->server), 1);
        world_free(w);
    }
}

static struct test_answer talk_for_ever(void *context, const struct test_request *request)
{
    static const char partial[] = "{\"partialSuccess\":{\"rejectedLogRecords\":\"4\"}}";
    struct world *w = context;

    if (request->number == 0)
        return (struct test_answer){.status = 503, .endless = (size_t)1 << 40};
    if (request->number == 1)
        return (struct test_answer){.status = 200,
                                    .headers = "Content-Type: application/json\r\n",
                                    .endless = (size_t)1 << 40};
    w->mended = true;
    return (struct test_answer){.status = 202,
                                .headers = "Content-Type: application/json\r\n",
                                .body = slice_of(partial, sizeof(partial) - 1)};
}

/* An answer without end is cut off, and counts by its status. */
static void test_endless_answers(void **state)
{
    struct world *w = world_new(talk_for_ever);

    (void)state;
    fixture_set(w->fixture, OPT_OTLP_REQUESTS, "1");
    fixture_set(w->fixture, OPT_OTLP_TIMEOUT, "60s"); /* not what ends it */
    fixture_commit(w->fixture, 0, 1, 10);
    world_open(w);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    assert_int_equal(test_server_requests(w->server), 2);
    fixture_commit(w->fixture, 0, 1, 10);
    fixture_run_idle(w->fixture, w->output);
    check_counts(w, 1, 1);
    assert_true(w->mended);
    assert_int_equal(metric(w, METRIC_RECORDS_REJECTED), 4);
    world_free(w);
}

static void test_bad_url(void **state)
{
    static const char *const bad[] = {"ftp://host/", "http://", "not a url at all"};
    struct fixture *f = fixture_new();
    struct output_env env = {
        .options = fixture_options(f), .status = fixture_status(f), .lanes = fixture_lanes(f)};

    (void)state;
    sd_event_new(&env.event);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct output *output = NULL;
        struct err err = {0};

        fixture_set(f, OPT_OTLP_ENDPOINT, bad[i]);
        assert_int_equal(output_open(&output_http_ops, &env, &output, &err), -EINVAL);
        assert_non_null(strstr(err.text, "otlp.endpoint"));
    }
    sd_event_unref(env.event);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivers_all_lanes),
        cmocka_unit_test(test_codecs),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_requests_are_limited),
        cmocka_unit_test(test_unavailable_for_a_while),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_cut_answers),
        cmocka_unit_test(test_time_out),
        cmocka_unit_test(test_server_comes_back),
        cmocka_unit_test(test_bad_frame_holds_up_no_other),
        cmocka_unit_test(test_refusing_everything_is_not_stormed),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_held_until_the_key_is_right),
        cmocka_unit_test(test_partial_success),
        cmocka_unit_test(test_redirect_is_not_followed),
        cmocka_unit_test(test_restart_sends_only_what_was_in_flight),
        cmocka_unit_test(test_leaving_begins_nothing),
        cmocka_unit_test(test_name_is_resolved),
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_nothing_to_send_after_a_failure),
        cmocka_unit_test(test_every_form),
        cmocka_unit_test(test_normal_path_recodes_nothing),
        cmocka_unit_test(test_mixed_codecs_become_one),
        cmocka_unit_test(test_too_large_frames_are_cut),
        cmocka_unit_test(test_limit_learned_by_another_slot),
        cmocka_unit_test(test_verbatim_trace_id),
        cmocka_unit_test(test_failures_in_json),
        cmocka_unit_test(test_restart_inside_a_frame),
        cmocka_unit_test(test_unreadable_frame_is_kept),
        cmocka_unit_test(test_empty_frame_is_not_sent),
        cmocka_unit_test(test_endless_answers),
        cmocka_unit_test(test_bad_url),
    };

    log_open("test", 0, LOG_FORMAT_TEXT, LOG_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
