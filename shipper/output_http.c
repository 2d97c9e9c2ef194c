#include "shared/base/clock.h"
#include "shared/otlp/frame_codec.h"
#include "shared/otlp/transcode.h"
#include "shipper/frame_quarantine.h"
#include "shipper/http_client.h"
#include "shipper/output.h"
#include "shipper/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * OTLP/HTTP: a number of slots, each with one parcel. A slot's parcel goes out as one request, or,
 * when the server refuses it, in several (request.h); the slot is free again when all its frames
 * are delivered.
 *
 *     FREE ──fill──▶ WAITING ──post──▶ FLYING ──all done──▶ FREE
 *                      ▲  ▲               │
 *                      │  └─ more to send ┤ (a retry, a half)
 *                      └── its time ── RESTING ◀── only frames that were refused alone are left,
 *                                                  or nothing but refusals for a while
 *
 * Whether a waiting slot may be posted is the output's retry state: after a failure one request at
 * a time probes, and the other slots wait.
 */

/* Addresses are asked for again after this, and after a failure to connect. */
#define RESOLVE_NS (60 * NS_PER_S)
#define RESOLVE_AGAIN_NS (2 * NS_PER_S)
/* So many refusals on end, and a slot pauses: it may be the server that is wrong, not the frames. */
#define REFUSALS_ON_END 32u
/* The least that requests are made smaller to because a server found them too large. */
#define LEAST_REQUEST_BYTES (64u << 10)

enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_FLYING, SLOT_RESTING };

struct slot {
    enum slot_state state;
    struct request request;
    uint64_t sent_ns;
    uint64_t bytes_sent;
    uint64_t until_ns; /* SLOT_RESTING */
    unsigned refusals; /* since the last success */
};

struct output_http {
    struct output output; /* first */
    struct http_client *client;
    sd_event_source *timer; /* the next try, or a rest's end */
    uint64_t max_request;   /* plain bytes; less than the option after a 413 */
    uint64_t growth_16;     /* sixteenths of a frame's plain bytes that it is in a body: JSON */
    struct request_env env; /* owns what it names, but for the output */
    unsigned in_flight;
    bool connect_failed; /* since the last answer of the resolver */
    uint64_t asked_ns;   /* when better addresses were last asked for */
    bool refused;        /* some frame was refused alone, and trouble says so */
    unsigned slot_count;
    struct slot *slots;
};

static struct output_http *http_of(struct output *output)
{
    return (struct output_http *)output;
}

static void pump(struct output *output);

/* ---- a slot's life ---- */

static int slot_begin(struct slot *slot)
{
    if (request_begin(&slot->request) < 0)
        return -ENOMEM;
    slot->state = SLOT_WAITING;
    slot->refusals = 0;
    return 0;
}

/* Takes the trouble back when no slot is left with a refused frame. */
static void end_refusal(struct output_http *http)
{
    for (unsigned i = 0; i < http->slot_count; i++) {
        const struct slot *slot = &http->slots[i];
        const struct split *split = &slot->request.split;

        for (uint32_t k = 0; slot->state != SLOT_FREE && k < split->count; k++)
            if (split->states[k] == SPLIT_REFUSED)
                return;
    }
    if (http->refused)
        http->output.trouble[0] = '\0';
    http->refused = false;
}

static void slot_rest(struct output_http *http, struct slot *slot)
{
    slot->state = SLOT_RESTING;
    slot->until_ns = clock_monotonic_ns() + http->output.retry.max_ns;
}

/* After a run was accepted or refused. */
static void slot_advance(struct output_http *http, struct slot *slot)
{
    switch (split_next(&slot->request.split)) {
    case SPLIT_SEND:
        slot->state = SLOT_WAITING;
        break;
    case SPLIT_REST:
        slot_rest(http, slot);
        break;
    case SPLIT_FINISHED:
        slot->state = SLOT_FREE;
        source_finished(http->output.source, &slot->request.parcel);
        parcel_reset(&slot->request.parcel, 0, (struct cursor_position){0});
        end_refusal(http);
        break;
    }
}

static void end_rests(struct output_http *http, uint64_t now)
{
    for (unsigned i = 0; i < http->slot_count; i++) {
        struct slot *slot = &http->slots[i];

        if (slot->state != SLOT_RESTING || now < slot->until_ns)
            continue;
        if (split_next(&slot->request.split) == SPLIT_REST)
            split_again(&slot->request.split);
        slot_advance(http, slot);
    }
}

static void set_in_flight(struct output_http *http, unsigned count)
{
    http->in_flight = count;
    status_set(http->output.env.status, METRIC_REQUESTS_IN_FLIGHT, count);
}

static size_t body_bytes(const struct http_body *body)
{
    size_t bytes = 0;

    for (size_t i = 0; i < HTTP_BODY_PIECES; i++)
        bytes += body->pieces[i].n;
    return bytes;
}

/* How much of the journal makes a request of the wanted size; small ones say little about it. */
static void learn_growth(struct output_http *http, const struct slot *slot)
{
    const struct request *request = &slot->request;
    uint64_t plain = parcel_plain_bytes(&request->parcel, request->split.first, request->split.end);

    if (plain >= LEAST_REQUEST_BYTES && plain != request->plain_bytes)
        http->growth_16 = request->plain_bytes * 16 / plain + 1;
}

/* 0: sent; 1: the slot has nothing to send now; -errno. */
static int try_post(struct output_http *http, struct slot *slot, struct err *err)
{
    unsigned call = (unsigned)(slot - http->slots);
    struct http_body body;
    int r = REQUEST_CHANGED;

    while (r == REQUEST_CHANGED && slot->state == SLOT_WAITING) {
        (void)split_next(&slot->request.split);
        r = request_fit(&slot->request, &http->env, http->max_request, err);
        if (r == REQUEST_CHANGED)
            slot_advance(http, slot);
    }
    if (r != REQUEST_READY)
        return r;
    learn_growth(http, slot);
    request_body(&slot->request, &http->env, &body);
    slot->bytes_sent = body_bytes(&body);
    return http_client_post(http->client, call, &body, err);
}

/* False: it cannot be done now. True without a request: there was none to make. */
static bool slot_post(struct output_http *http, struct slot *slot)
{
    struct err err = {0};
    int r;

    slot->sent_ns = clock_monotonic_ns();
    r = try_post(http, slot, &err);
    if (r < 0) {
        struct output_failure failure = {VERDICT_RETRY, err.text, slot->sent_ns, 0};

        output_failed(&http->output, &failure);
        return false;
    }
    if (r > 0)
        return true;
    slot->state = SLOT_FLYING;
    retry_sent(&http->output.retry);
    set_in_flight(http, http->in_flight + 1);
    status_add(http->output.env.status, METRIC_REQUESTS, 1);
    return true;
}

/* ---- verdicts ---- */

static void on_success(struct output_http *http, struct slot *slot, const struct verdict *verdict)
{
    struct output *output = &http->output;
    struct split *split = &slot->request.split;

    if (verdict->rejected > 0 || verdict->has_words) {
        if (log_limit_pass(&output->partial_limit, clock_monotonic_ns(), 10 * NS_PER_S))
            log_warn(
                "%s: the server took a request and rejected %llu of its %llu records: %s",
                output->ops->name, (unsigned long long)verdict->rejected,
                (unsigned long long)parcel_records(&slot->request.parcel, split->first, split->end),
                verdict->words);
    }
    status_add(output->env.status, METRIC_BYTES_OUT, slot->bytes_sent);
    output_delivered(output, &slot->request.parcel, split->first, split->end,
                     (struct output_missing){.rejected = verdict->rejected});
    output_succeeded(output, slot->sent_ns);
    slot->refusals = 0;
    split_accept(split);
    slot_advance(http, slot);
}

static void make_requests_smaller(struct output_http *http, const struct slot *slot)
{
    uint64_t plain = slot->request.plain_bytes / 2;

    plain = plain > LEAST_REQUEST_BYTES ? plain : LEAST_REQUEST_BYTES;
    if (plain >= http->max_request)
        return;
    http->max_request = plain;
    log_warn("%s: the server finds requests too large; from now on they hold at most %llu bytes "
             "before compression (otlp.max_request)",
             http->output.ops->name, (unsigned long long)plain);
}

static void on_refused(struct output_http *http, struct slot *slot, const struct verdict *verdict)
{
    struct output *output = &http->output;

    output_succeeded(output, slot->sent_ns); /* it answers: others may go on */
    if (verdict->too_large)
        make_requests_smaller(http, slot);
    if (verdict->too_large && request_halve(&slot->request, &http->env)) {
        log_debug("%s: a frame is halved: %s", output->ops->name, verdict->words);
    } else if (split_refuse(&slot->request.split, verdict->too_large)) {
        snprintf(output->words, sizeof(output->words), "%s", verdict->words);
        snprintf(output->trouble, sizeof(output->trouble),
                 "the server refuses a frame of records: %.180s", verdict->words);
        http->refused = true;
        if (log_limit_pass(&output->failure_limit, clock_monotonic_ns(), 60 * NS_PER_S))
            log_error("%s: the server refuses a frame of records by itself (%s). It is kept, and "
                      "tried again every %.3g s; the others go on",
                      output->ops->name, verdict->words,
                      (double)output->retry.max_ns / (double)NS_PER_S);
    } else {
        log_debug("%s: request halved: %s", output->ops->name, verdict->words);
    }
    slot_advance(http, slot);
    if (++slot->refusals % REFUSALS_ON_END == 0)
        slot_rest(http, slot);
}

static void on_failure(struct output_http *http, struct slot *slot, const struct verdict *verdict)
{
    struct output_failure failure = {verdict->kind, verdict->words, slot->sent_ns,
                                     verdict->retry_after_ms};

    output_failed(&http->output, &failure);
    slot->state = SLOT_WAITING;
}

static enum verdict_transport transport_of(enum http_outcome outcome)
{
    switch (outcome) {
    case HTTP_ANSWERED:
        return VERDICT_ANSWERED;
    case HTTP_UNTRUSTED:
        return VERDICT_UNTRUSTED;
    default:
        return VERDICT_UNREACHABLE;
    }
}

static void on_done(void *context, unsigned call, const struct http_result *result)
{
    struct output_http *http = context;
    struct slot *slot = &http->slots[call];
    struct verdict_answer answer = {
        .transport = transport_of(result->outcome),
        .status = result->status,
        .content_type = result->content_type,
        .retry_after = result->retry_after,
        .body = result->body,
        .failure = result->failure,
        .now_s = clock_realtime_ns() / NS_PER_S,
    };
    struct verdict verdict;

    verdict_of(&answer, &verdict);
    set_in_flight(http, http->in_flight - 1);
    if (verdict.kind != VERDICT_SUCCESS)
        status_add(http->output.env.status, METRIC_REQUESTS_FAILED, 1);
    if (result->outcome == HTTP_UNREACHABLE)
        http->connect_failed = true;
    switch (verdict.kind) {
    case VERDICT_SUCCESS:
        on_success(http, slot, &verdict);
        break;
    case VERDICT_SPLIT:
        on_refused(http, slot, &verdict);
        break;
    case VERDICT_RETRY:
    case VERDICT_HOLD:
        on_failure(http, slot, &verdict);
        break;
    }
    pump(&http->output);
    http->output.env.changed(http->output.env.context);
}

/* ---- names ---- */

static void on_resolved(void *context, const char *failure)
{
    struct output_http *http = context;

    http->connect_failed = false;
    if (failure != NULL) {
        struct output_failure how = {VERDICT_RETRY, failure, clock_monotonic_ns(), 0};

        /* With the old addresses there is still something to try. */
        if (!http_client_is_ready(http->client))
            output_failed(&http->output, &how);
        else
            log_debug("%s: %s", http->output.ops->name, failure);
    }
    pump(&http->output);
}

/* True: there are addresses to send to. Asks for them where they are old or did not work. */
static bool have_addresses(struct output_http *http, uint64_t now)
{
    uint64_t age, got = http_client_resolved_ns(http->client);

    if (!http_client_is_ready(http->client)) {
        http_client_resolve(http->client);
        return false;
    }
    if (got == UINT64_MAX)
        return true;
    age = now - got;
    /* A question that fails leaves the age as it is, and its answer comes back here at once. */
    if (http->asked_ns != 0 && now - http->asked_ns <= RESOLVE_AGAIN_NS)
        return true;
    if (age > RESOLVE_NS || (http->connect_failed && age > RESOLVE_AGAIN_NS)) {
        http_client_resolve(http->client);
        http->asked_ns = now;
    }
    return true;
}

/* ---- the pump ---- */

static struct slot *find_slot(struct output_http *http, enum slot_state state)
{
    for (unsigned i = 0; i < http->slot_count; i++)
        if (http->slots[i].state == state)
            return &http->slots[i];
    return NULL;
}

/* A slot with something to send, filled if need be; NULL: none. */
static struct slot *next_slot(struct output_http *http)
{
    struct slot *slot = find_slot(http, SLOT_WAITING);

    if (slot != NULL)
        return slot;
    slot = find_slot(http, SLOT_FREE);
    if (slot == NULL || !output_fill(&http->output, http->max_request * 16 / http->growth_16,
                                     &slot->request.parcel))
        return NULL;
    if (slot_begin(slot) < 0) {
        /* Out of memory for a few bytes per frame: hopeless, and safe. The supervisor starts us
         * again, and the cursor has not moved. */
        log_panic("no memory for a request of %u frames", slot->request.parcel.count);
    }
    return slot;
}

/*
 * `now`: when the pump began. A retry whose time had come by then was not sent for want of records
 * or addresses: these wake us themselves, and a timer in the past would do so for ever.
 */
static void set_timer(struct output_http *http, uint64_t now)
{
    uint64_t wake = retry_wake_ns(&http->output.retry);

    if (wake <= now)
        wake = UINT64_MAX;
    for (unsigned i = 0; i < http->slot_count; i++)
        if (http->slots[i].state == SLOT_RESTING && http->slots[i].until_ns < wake)
            wake = http->slots[i].until_ns;
    if (wake == UINT64_MAX) {
        sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(http->timer, wake / NS_PER_US + 1);
    sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT);
}

static void pump(struct output *output)
{
    struct output_http *http = http_of(output);
    uint64_t now = clock_monotonic_ns();

    if (output->phase == OUTPUT_LEAVING)
        return;
    end_rests(http, now);
    while (http->in_flight < http->slot_count && retry_may_send(&output->retry, now)) {
        struct slot *slot;

        if (!have_addresses(http, now))
            break;
        slot = next_slot(http);
        if (slot == NULL || !slot_post(http, slot))
            break;
        status_alive(output->env.status);
    }
    set_timer(http, now);
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata)
{
    struct output_http *http = userdata;

    (void)source;
    (void)now;
    pump(&http->output);
    return 0;
}

static bool is_idle(const struct output *output)
{
    const struct output_http *http = (const struct output_http *)output;

    if (http->in_flight > 0)
        return false;
    if (output->phase == OUTPUT_LEAVING)
        return true;
    /* What rests was refused, and a stop does not wait for it. */
    for (unsigned i = 0; i < http->slot_count; i++)
        if (http->slots[i].state == SLOT_WAITING)
            return false;
    return output->exhausted;
}

/* ---- opening and closing ---- */

static bool is_json(const struct options *options)
{
    return options_is(options, OPT_OTLP_ENCODING, "json");
}

static int open_env(struct output_http *http, struct err *err)
{
    const struct options *options = http->output.env.options;
    const char *compression = options_string(options, OPT_OTLP_COMPRESSION);
    struct recode_form form = {.json = is_json(options)};
    int r;

    form.any_codec = frame_codec_parse(compression, &form.codec) < 0; /* auto */
    if (options_is(options, OPT_RECORD_TRACE_ID, "verbatim"))
        form.transcode_flags = TRANSCODE_VERBATIM_TRACE_ID;
    http->growth_16 = form.json ? 32 : 16;
    http->env.output = &http->output;
    r = recode_new(&form, &http->env.recode, err);
    return r < 0 ? r : frame_quarantine_open(options, &http->env.quarantine, err);
}

static int open_http(struct output *output, struct err *err)
{
    const struct options *options = output->env.options;
    struct output_http *http = http_of(output);
    struct http_config config = {
        .url = options_string(options, OPT_OTLP_ENDPOINT),
        .ca_file = options_string(options, OPT_OTLP_CA_FILE),
        .user_agent = "OTel-OTLP-Exporter-Sluice/" SLUICE_VERSION,
        .content_type = is_json(options) ? "application/json" : "application/x-protobuf",
        .dataset = options_string(options, OPT_OTLP_DATASET),
        .bearer = output->env.api_key,
        .timeout_ms = options_time_ms(options, OPT_OTLP_TIMEOUT),
        .calls = (unsigned)options_int(options, OPT_OTLP_REQUESTS),
    };
    struct http_handler handler = {on_done, on_resolved, http};
    int r;

    http->max_request = options_size(options, OPT_OTLP_MAX_REQUEST);
    http->slots = calloc(config.calls, sizeof(http->slots[0]));
    if (http->slots == NULL)
        return err_errno(err, ENOMEM, "cannot prepare requests");
    http->slot_count = config.calls;
    for (unsigned i = 0; i < http->slot_count; i++)
        request_init(&http->slots[i].request);
    r = open_env(http, err);
    if (r < 0)
        return r;
    r = sd_event_add_time(output->env.event, &http->timer, CLOCK_MONOTONIC, UINT64_MAX,
                          OUTPUT_TIMER_ACCURACY_US, on_timer, http);
    if (r < 0)
        return err_errno(err, -r, "cannot make a timer");
    sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
    return http_client_new(output->env.event, &config, &handler, &http->client, err);
}

static int start_http(struct output *output, struct err *err)
{
    struct output_http *http = http_of(output);

    set_in_flight(http, 0);
    log_info("%s: delivering to %s%s", output->ops->name, http_client_peer(http->client),
             is_json(output->env.options) ? " as JSON" : "");
    return http_client_start(http->client, err);
}

static void reload_http(struct output *output)
{
    struct output_http *http = http_of(output);

    http_client_set_bearer(http->client, output->env.api_key);
    /* A new key may be what a held output was waiting for. */
    http->output.retry.until_ns = 0;
    pump(output);
}

static void trim_http(struct output *output)
{
    struct output_http *http = http_of(output);

    for (unsigned i = 0; i < http->slot_count; i++)
        if (http->slots[i].state == SLOT_FREE)
            request_trim(&http->slots[i].request);
    recode_trim(http->env.recode);
}

static void close_http(struct output *output)
{
    struct output_http *http = http_of(output);

    http_client_free(&http->client);
    sd_event_source_disable_unref(http->timer);
    for (unsigned i = 0; i < http->slot_count; i++)
        request_fini(&http->slots[i].request);
    recode_free(&http->env.recode);
    disk_free(&http->env.quarantine);
    free(http->slots);
    http->slots = NULL;
    http->slot_count = 0;
}

const struct output_ops output_http_ops = {
    .name = "otlp",
    .size = sizeof(struct output_http),
    .open = open_http,
    .start = start_http,
    .pump = pump,
    .reload = reload_http,
    .is_idle = is_idle,
    .trim = trim_http,
    .close = close_http,
};
