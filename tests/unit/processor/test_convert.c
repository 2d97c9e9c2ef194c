/* What becomes of records and chunks, seen as OTLP/JSON. */
#include "tests/unit/processor/support.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <zlib.h>
#include <zstd.h>

static void put_service_record(struct buf *b)
{
    put_map(b, 9);
    put_pair(b, "timestamp", "2024-01-15T10:30:45.123Z");
    put_pair(b, "level", "info");
    put_pair(b, "message", "Job processing started");
    put_pair(b, "trace_id", "abc123def456");
    put_pair(b, "job_id", "job-789");
    put_pair(b, "machine_id", "comfyui-prod-1");
    put_pair(b, "worker_id", "comfyui-prod-1-worker-0");
    put_pair(b, "source", "worker.comfyui");
    put_pair(b, "component", "job-executor");
}

/* The record that the service's description gives, and its expected OTLP. */
static void the_record_of_the_service(void **state)
{
    struct rig rig;
    struct buf record = new_buf();
    json_object *root, *log, *resource, *scope;

    (void)state;
    rig_init(&rig, FRAME_GZIP, CONVERT_TRACE_PAD);
    put_service_record(&record);
    log = one_record(&rig, &record, &root);
    resource = at(root, "resourceLogs/0/resource");
    scope = at(root, "resourceLogs/0/scopeLogs/0/scope");
    assert_string_equal(text_at(log, "timeUnixNano"), "1705314645123000000");
    assert_string_equal(text_at(log, "observedTimeUnixNano"), "1700000001000000000");
    assert_string_equal(text_at(log, "severityNumber"), "9");
    assert_string_equal(text_at(log, "severityText"), "INFO");
    assert_string_equal(text_at(log, "body/stringValue"), "Job processing started");
    assert_string_equal(text_at(log, "traceId"), "00000000000000000000abc123def456");
    assert_int_equal(attribute_count(log), 6);
    assert_string_equal(attribute_text(log, "trace_id"), "abc123def456");
    assert_string_equal(attribute_text(log, "job_id"), "job-789");
    assert_string_equal(attribute_text(log, "machine_id"), "comfyui-prod-1");
    assert_string_equal(attribute_text(log, "worker_id"), "comfyui-prod-1-worker-0");
    assert_string_equal(attribute_text(log, "source"), "worker.comfyui");
    assert_string_equal(attribute_text(log, "component"), "job-executor");
    assert_string_equal(attribute_text(resource, "service.name"), "emp-job-queue");
    assert_string_equal(attribute_text(resource, "deployment.environment"), "production");
    assert_string_equal(attribute_text(resource, "host.name"), "comfyui-prod-1");
    assert_int_equal(attribute_count(resource), 3);
    assert_string_equal(text_at(scope, "name"), "sluice");
    assert_string_equal(text_at(scope, "version"), "0.1");
    assert_string_equal(attribute_text(scope, "fluent.tag"), "app.web");
    assert_string_equal(attribute_text(scope, "sluice.peer"), "10.0.0.7");
    assert_string_equal(attribute_text(scope, "sluice.host"), "central");
    assert_int_equal(rig.frames.infos[0].first_time_ns, 1705314645123000000ull);
    assert_int_equal(rig.result.first_time_ns, 1705314645123000000ull);
    json_object_put(root);
    buf_fini(&record);
    rig_fini(&rig);
}

static void every_type_keeps_its_type(void **state)
{
    struct rig rig;
    struct buf r = new_buf();
    json_object *root, *log;

    (void)state;
    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    put_map(&r, 15);
    put_str(&r, "nil"), put_nil(&r);
    put_str(&r, "true"), put_bool(&r, true);
    put_str(&r, "small"), put_uint(&r, 7);
    put_str(&r, "max"), put_uint(&r, INT64_MAX);
    put_str(&r, "above"), put_uint(&r, 18446744073709551615ull);
    put_str(&r, "min"), put_int(&r, INT64_MIN);
    put_str(&r, "f32"), put_hex(&r, "ca 3fc00000");
    put_str(&r, "f64"), put_double(&r, 0.1);
    put_str(&r, "nan"), put_double(&r, NAN);
    put_str(&r, "bin"), put_bin(&r, "\x00\xff\x10", 3);
    put_str(&r, "ext"), put_hex(&r, "c7 03 80 010203");
    put_str(&r, "array"), put_array(&r, 3), put_uint(&r, 1), put_str(&r, "b"), put_array(&r, 0);
    put_str(&r, "map"), put_map(&r, 2), put_pair(&r, "k", "v"), put_uint(&r, 5), put_map(&r, 0);
    put_str(&r, ""), put_str(&r, "empty key");
    put_str(&r, "empty"), put_str(&r, "");
    log = one_record(&rig, &r, &root);
    assert_int_equal(attribute_count(log), 15);
    assert_string_equal(json_object_to_json_string_ext(attribute(log, "nil"), 0), "{}");
    assert_true(json_object_get_boolean(at(attribute(log, "true"), "boolValue")));
    assert_string_equal(text_at(attribute(log, "small"), "intValue"), "7");
    assert_string_equal(text_at(attribute(log, "max"), "intValue"), "9223372036854775807");
    assert_string_equal(attribute_text(log, "above"), "18446744073709551615");
    assert_string_equal(text_at(attribute(log, "min"), "intValue"), "-9223372036854775808");
    assert_true(json_object_get_double(at(attribute(log, "f32"), "doubleValue")) == 1.5);
    assert_true(json_object_get_double(at(attribute(log, "f64"), "doubleValue")) == 0.1);
    assert_string_equal(text_at(attribute(log, "nan"), "doubleValue"), "NaN");
    assert_string_equal(text_at(attribute(log, "bin"), "bytesValue"), "AP8Q");
    assert_string_equal(
        json_object_to_json_string_ext(attribute(log, "ext"), 0),
        "{\"kvlistValue\":{\"values\":[{\"key\":\"type\",\"value\":{\"intValue\":\"-128\"}},"
        "{\"key\":\"data\",\"value\":{\"bytesValue\":\"AQID\"}}]}}");
    assert_string_equal(json_object_to_json_string_ext(attribute(log, "array"), 0),
                        "{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},{\"stringValue\":\"b\"},"
                        "{\"arrayValue\":{\"values\":[]}}]}}");
    assert_string_equal(
        json_object_to_json_string_ext(attribute(log, "map"), 0),
        "{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{\"stringValue\":\"v\"}},"
        "{\"key\":\"5\",\"value\":{\"kvlistValue\":{\"values\":[]}}}]}}");
    assert_string_equal(attribute_text(log, "_"), "empty key");
    assert_string_equal(json_object_to_json_string_ext(attribute(log, "empty"), 0),
                        "{\"stringValue\":\"\"}");
    json_object_put(root);
    buf_fini(&r);
    rig_fini(&rig);
}

static void keys_are_unique_and_text(void **state)
{
    struct rig rig;
    struct buf r = new_buf();
    json_object *root, *log;

    (void)state;
    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    put_map(&r, 9);
    put_pair(&r, "a", "1");
    put_pair(&r, "a", "2");
    put_pair(&r, "a#2", "3");
    put_pair(&r, "a", "4");
    put_int(&r, -5), put_str(&r, "int");
    put_nil(&r), put_str(&r, "nil");
    put_pair(&r, "message", "first");
    put_pair(&r, "message", "second");
    put_str_n(&r, "b\xff", 2), put_str_n(&r, "x\xc3", 2);
    log = one_record(&rig, &r, &root);
    assert_int_equal(attribute_count(log), 8);
    assert_string_equal(attribute_text(log, "a"), "1");
    assert_string_equal(attribute_text(log, "a#2"), "2");
    assert_string_equal(attribute_text(log, "a#2#2"), "3");
    assert_string_equal(attribute_text(log, "a#3"), "4");
    assert_string_equal(attribute_text(log, "-5"), "int");
    assert_string_equal(attribute_text(log, "null"), "nil");
    assert_string_equal(text_at(log, "body/stringValue"), "first");
    assert_string_equal(attribute_text(log, "message#2"), "second");
    assert_string_equal(attribute_text(log, "b\xef\xbf\xbd"), "x\xef\xbf\xbd");
    json_object_put(root);
    buf_fini(&r);
    rig_fini(&rig);
}

/* What the OTLP field does not say fully stays beside it. */
static void lossy_fields_stay(void **state)
{
    struct rig rig;
    struct buf r = new_buf();
    json_object *root, *log;

    (void)state;
    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    put_map(&r, 6);
    put_pair(&r, "time", "2024-01-15T12:30:45.123+02:00");
    put_pair(&r, "ts", "not a time");
    put_str(&r, "level"), put_uint(&r, 30);
    put_pair(&r, "severity", "custom");
    put_pair(&r, "log", "line\n");
    put_pair(&r, "msg", "the message");
    log = one_record(&rig, &r, &root);
    assert_string_equal(text_at(log, "timeUnixNano"), "1705314645123000000");
    assert_string_equal(attribute_text(log, "time"), "2024-01-15T12:30:45.123+02:00");
    assert_string_equal(attribute_text(log, "ts"), "not a time");
    assert_string_equal(text_at(log, "severityNumber"), "9");
    assert_string_equal(text_at(log, "severityText"), "INFO");
    assert_string_equal(text_at(attribute(log, "level"), "intValue"), "30");
    assert_string_equal(attribute_text(log, "severity"), "custom");
    assert_string_equal(text_at(log, "body/stringValue"), "the message");
    assert_string_equal(attribute_text(log, "log"), "line\n");
    json_object_put(root);

    r.n = 0;
    put_map(&r, 1);
    put_pair(&r, "log", "line\n");
    log = one_record(&rig, &r, &root);
    assert_string_equal(text_at(log, "body/stringValue"), "line");
    assert_string_equal(text_at(log, "timeUnixNano"), "1700000000500000000");
    assert_null(at(log, "severityNumber"));
    assert_null(at(log, "attributes"));
    json_object_put(root);

    r.n = 0;
    put_map(&r, 2);
    put_str(&r, "message"), put_map(&r, 1), put_pair(&r, "k", "v");
    put_str(&r, "event"), put_map(&r, 1), put_pair(&r, "e", "w");
    log = one_record(&rig, &r, &root);
    assert_string_equal(text_at(log, "body/kvlistValue/values/0/value/stringValue"), "v");
    assert_string_equal(text_at(attribute(log, "event"), "kvlistValue/values/0/key"), "e");
    json_object_put(root);
    buf_fini(&r);
    rig_fini(&rig);
}

static void trace_ids_by_mode(void **state)
{
    static const struct {
        enum convert_trace_id mode;
        const char *text;
        const char *id;
    } rows[] = {
        {CONVERT_TRACE_PAD, "5b8efff798038103d269b633813fc60c", "5b8efff798038103d269b633813fc60c"},
        {CONVERT_TRACE_PAD, "5B8EFFF798038103D269B633813FC60C", "5b8efff798038103d269b633813fc60c"},
        {CONVERT_TRACE_PAD, "abc", "00000000000000000000000000000abc"},
        {CONVERT_TRACE_PAD, "00000000000000000000000000000000", ""},
        {CONVERT_TRACE_PAD, "0", ""},
        {CONVERT_TRACE_PAD, "", ""},
        {CONVERT_TRACE_PAD, "not hex", ""},
        {CONVERT_TRACE_PAD, "5b8efff798038103d269b633813fc60c0", ""},
        {CONVERT_TRACE_PAD, "5b8efff7-9803-8103-d269-b633813fc60c",
         "5b8efff798038103d269b633813fc60c"},
        {CONVERT_TRACE_PAD, "5b8efff7-9803-8103-d269-b633813fc60-", ""},
        {CONVERT_TRACE_STRICT, "abc123def456", ""},
        {CONVERT_TRACE_STRICT, "5b8efff798038103d269b633813fc60c",
         "5b8efff798038103d269b633813fc60c"},
        {CONVERT_TRACE_VERBATIM, "abc123def456", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct rig rig;
        struct buf r = new_buf();
        json_object *root, *log;

        rig_init(&rig, FRAME_NONE, rows[i].mode);
        put_map(&r, 1);
        put_pair(&r, "trace_id", rows[i].text);
        log = one_record(&rig, &r, &root);
        assert_string_equal(text_at(log, "traceId"), rows[i].id);
        assert_string_equal(attribute_text(log, "trace_id"), rows[i].text);
        json_object_put(root);
        buf_fini(&r);
        rig_fini(&rig);
    }
}

static void span_and_parent(void **state)
{
    struct rig rig;
    struct buf r = new_buf();
    json_object *root, *log;

    (void)state;
    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    put_map(&r, 3);
    put_pair(&r, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    put_pair(&r, "trace_id", "5b8efff798038103d269b633813fc60c");
    put_pair(&r, "span_id", "EEE19b7ec3c1b174");
    log = one_record(&rig, &r, &root);
    assert_string_equal(text_at(log, "traceId"), "5b8efff798038103d269b633813fc60c");
    assert_string_equal(text_at(log, "spanId"), "eee19b7ec3c1b174");
    assert_string_equal(text_at(log, "flags"), "1");
    assert_int_equal(attribute_count(log), 3);
    json_object_put(root);
    buf_fini(&r);
    rig_fini(&rig);
}

/* Fluent Bit's v2 events, group markers and OTLP metadata. */
static void fluent_bit_events(void **state)
{
    struct rig rig;
    struct buf e = new_buf();
    struct chunk chunk;
    json_object *root, *log;

    (void)state;
    rig_init(&rig, FRAME_GZIP, CONVERT_TRACE_PAD);
    put_hex(&e, "dd 00000002 92 d7006553f100075bcd15 80 df 00000001"), put_pair(&e, "log", "one");
    put_array(&e, 2), put_array(&e, 2), put_event_time(&e, 0xffffffff, 0), put_map(&e, 1);
    put_pair(&e, "schema", "otlp"), put_map(&e, 0);
    put_array(&e, 2), put_array(&e, 2), put_event_time(&e, 1700000000, 0), put_map(&e, 2);
    put_str(&e, "otlp"), put_map(&e, 4), put_str(&e, "severity_number"), put_uint(&e, 13);
    put_pair(&e, "severity_text", "Warn"), put_str(&e, "timestamp");
    put_uint(&e, 1600000000000000001ull), put_str(&e, "attributes"), put_map(&e, 1);
    put_pair(&e, "a", "metadata's"), put_pair(&e, "stream", "x");
    put_map(&e, 2), put_pair(&e, "log", "two"), put_pair(&e, "a", "record's");
    put_array(&e, 2), put_array(&e, 2), put_event_time(&e, 0xfffffffe, 0), put_map(&e, 0);
    put_map(&e, 0);
    /* A log of 2106, which only looks like a marker. */
    put_array(&e, 2), put_array(&e, 2), put_event_time(&e, 0xfffffffe, 0), put_map(&e, 0);
    put_map(&e, 1), put_pair(&e, "log", "three");
    chunk = chunk_of(&e);
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    assert_int_equal(rig.result.records, 3);
    assert_int_equal(rig.result.markers, 2);
    assert_int_equal(rig.result.dropped_invalid, 0);
    root = rig_json(&rig);
    log = at(root, "resourceLogs/0/scopeLogs/0/logRecords/0");
    assert_string_equal(text_at(log, "timeUnixNano"), "1700000000123456789");
    assert_string_equal(text_at(log, "body/stringValue"), "one");
    log = at(root, "resourceLogs/0/scopeLogs/0/logRecords/1");
    assert_string_equal(text_at(log, "timeUnixNano"), "1600000000000000001");
    assert_string_equal(text_at(log, "severityNumber"), "13");
    assert_string_equal(text_at(log, "severityText"), "Warn");
    assert_string_equal(attribute_text(log, "a"), "record's");
    assert_string_equal(attribute_text(log, "a#2"), "metadata's");
    assert_non_null(at(attribute(log, "fluent.metadata"), "kvlistValue"));
    json_object_put(root);
    buf_fini(&e);
    rig_fini(&rig);
}

/* A group marker that names its resource "service.name": `service`, its scope and schemas. */
static void put_group(struct buf *e, const char *service, const char *scope)
{
    put_array(e, 2), put_array(e, 2), put_event_time(e, 0xffffffff, 0), put_map(e, 1);
    put_pair(e, "schema", "otlp"), put_map(e, 2);
    put_str(e, "resource"), put_map(e, 2), put_str(e, "attributes"), put_map(e, 3);
    put_pair(e, "service.name", service), put_pair(e, "host.name", "sender");
    put_pair(e, "service.name", "again"), put_pair(e, "schema_url", "urn:r");
    put_str(e, "scope"), put_map(e, 5), put_pair(e, "name", scope), put_pair(e, "version", "7");
    put_pair(e, "schema_url", "urn:s"), put_str(e, "attributes"), put_map(e, 1);
    put_pair(e, "fluent.tag", "its own"), put_str(e, "dropped_attributes_count"), put_uint(e, 3);
}

static void put_group_end(struct buf *e)
{
    put_array(e, 2), put_array(e, 2), put_event_time(e, 0xfffffffe, 0), put_map(e, 0);
    put_map(e, 0);
}

static void put_log(struct buf *e, const char *text, const char *machine)
{
    put_array(e, 2), put_event_time(e, 1700000000, 0), put_map(e, 2);
    put_pair(e, "log", text), put_pair(e, "machine_id", machine);
}

/* The ResourceLogs that holds the log of this text. */
static json_object *resource_logs_of(json_object *root, const char *text, json_object **ret_scope)
{
    json_object *all = at(root, "resourceLogs");

    for (size_t i = 0; i < json_object_array_length(all); i++) {
        json_object *scopes = at(json_object_array_get_idx(all, i), "scopeLogs");

        for (size_t j = 0; j < json_object_array_length(scopes); j++) {
            json_object *logs = at(json_object_array_get_idx(scopes, j), "logRecords");

            for (size_t k = 0; k < json_object_array_length(logs); k++) {
                if (strcmp(text_at(json_object_array_get_idx(logs, k), "body/stringValue"), text))
                    continue;
                *ret_scope = json_object_array_get_idx(scopes, j);
                return json_object_array_get_idx(all, i);
            }
        }
    }
    fail_msg("no log \"%s\"", text);
    return NULL;
}

static void expect_resource(json_object *root, const char *text, const char *service,
                            const char *host, const char *scope_name)
{
    json_object *scope, *logs = resource_logs_of(root, text, &scope);

    assert_string_equal(attribute_text(at(logs, "resource"), "service.name"), service);
    assert_string_equal(attribute_text(at(logs, "resource"), "host.name"), host);
    assert_string_equal(text_at(scope, "scope/name"), scope_name);
}

/*
 * What heads may take by a chunk's bytes is for heads that are written: two machines in turn are two
 * groups, however often they change and however long the tag is.
 */
static void machines_in_turn(void **state)
{
    struct rig rig;
    struct buf e = new_buf();
    struct chunk chunk;
    json_object *root, *all;
    char tag[1024];

    (void)state;
    rig_init(&rig, FRAME_GZIP, CONVERT_TRACE_PAD);
    memset(tag, 't', sizeof(tag));
    for (int i = 0; i < 4000; i++)
        put_log(&e, "x", i % 2 == 0 ? "m1" : "m2");
    chunk = chunk_of(&e);
    chunk.tag = slice_of((const uint8_t *)tag, sizeof(tag));
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    root = rig_json(&rig);
    all = at(root, "resourceLogs");
    assert_int_equal(json_object_array_length(all), 2);
    for (size_t i = 0; i < 2; i++) {
        json_object *one = json_object_array_get_idx(all, i);

        assert_int_equal(json_object_array_length(at(one, "scopeLogs/0/logRecords")), 2000);
        assert_string_not_equal(attribute_text(at(one, "resource"), "host.name"), "");
    }
    json_object_put(root);
    buf_fini(&e);
    rig_fini(&rig);
}

/* A group's resource and scope are those of the records up to its end, and of no others. */
static void groups(void **state)
{
    struct rig rig;
    struct buf e = new_buf(), bad = new_buf(), next = new_buf();
    struct chunk chunk;
    json_object *root, *logs, *scope;

    (void)state;
    rig_init(&rig, FRAME_GZIP, CONVERT_TRACE_PAD);
    put_log(&e, "before", "m1");
    put_group(&e, "billing", "lib"), put_log(&e, "within", "m1"), put_log(&e, "still", "m2");
    put_group(&e, "search", "lib2"), put_log(&e, "second", "m1");
    put_group_end(&e), put_log(&e, "after", "m1");
    /* Without an end: it ends with the chunk. */
    put_group(&e, "open", "lib"), put_log(&e, "open", "m1");
    chunk = chunk_of(&e);
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    assert_int_equal(rig.result.markers, 4);
    /* A chunk that breaks within a group leaves nothing of it. */
    put_group(&bad, "broken", "lib"), put_log(&bad, "broken", "m1"), put_hex(&bad, "c1");
    chunk = chunk_of(&bad);
    assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
    put_log(&next, "next", "m1");
    chunk = chunk_of(&next);
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    root = rig_json(&rig);
    expect_resource(root, "before", "emp-job-queue", "m1", "sluice");
    expect_resource(root, "within", "billing", "sender", "lib");
    expect_resource(root, "still", "billing", "sender", "lib");
    expect_resource(root, "second", "search", "sender", "lib2");
    expect_resource(root, "after", "emp-job-queue", "m1", "sluice");
    expect_resource(root, "open", "open", "sender", "lib");
    expect_resource(root, "next", "emp-job-queue", "m1", "sluice");
    logs = resource_logs_of(root, "within", &scope);
    assert_string_equal(attribute_text(at(logs, "resource"), "service.name#2"), "again");
    assert_string_equal(attribute_text(at(logs, "resource"), "deployment.environment"),
                        "production");
    assert_string_equal(text_at(logs, "schemaUrl"), "urn:r");
    assert_string_equal(text_at(scope, "schemaUrl"), "urn:s");
    assert_string_equal(text_at(scope, "scope/version"), "7");
    assert_string_equal(text_at(scope, "scope/droppedAttributesCount"), "3");
    assert_string_equal(attribute_text(at(scope, "scope"), "fluent.tag"), "its own");
    assert_string_equal(attribute_text(at(scope, "scope"), "fluent.tag#2"), "app.web");
    assert_int_equal(json_object_array_length(at(scope, "logRecords")), 2);
    assert_null(strstr(json_object_to_json_string(root), "broken"));
    json_object_put(root);
    buf_fini(&e);
    buf_fini(&bad);
    buf_fini(&next);
    rig_fini(&rig);
}

/*
 * Heads are bounded by the chunk's bytes: tiny records, each with a host of its own, under a large
 * scope. Nothing is lost: beyond the bound the hosts stay with the records.
 */
static void heads_are_bounded(void **state)
{
    struct rig rig;
    struct buf e = new_buf();
    struct chunk chunk;
    char text[32];

    (void)state;
    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    put_array(&e, 2), put_array(&e, 2), put_event_time(&e, 0xffffffff, 0), put_map(&e, 1);
    put_pair(&e, "schema", "otlp"), put_map(&e, 1), put_str(&e, "scope"), put_map(&e, 1);
    put_str(&e, "attributes"), put_map(&e, 1000);
    for (int i = 0; i < 1000; i++)
        put_hex(&e, "c0 d4 ff 00"); /* nil: an extension value, 54 bytes of OTLP */
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof(text), "h%d", i);
        put_array(&e, 2), put_uint(&e, 0), put_map(&e, 1), put_pair(&e, "host", text);
    }
    chunk = chunk_of(&e);
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    assert_int_equal(rig.result.records, 2000);
    assert_int_equal(frame_builder_flush(rig.builder), 0);
    assert_true(rig.frames.plain.n < 40 * e.n + (2 << 20));
    assert_non_null(memmem(rig.frames.plain.p, rig.frames.plain.n, "h1999", 5));
    buf_fini(&e);
    rig_fini(&rig);
}

/* Every event time that a client has been seen to send, and those that are none. */
static void event_times(void **state)
{
    static const struct {
        const char *hex;
        const char *ns;
        bool odd;
    } rows[] = {
        {"d700 6553f100 075bcd15", "1700000000123456789", false},
        {"c70800 6553f100 075bcd15", "1700000000123456789", false},
        {"ce 6553f100", "1700000000000000000", false},
        {"cf 00000003e4e3d680", "16725038720000000000", false}, /* 2500 */
        {"cf 0000003afff4417f", "1700000001000000000", true},   /* 9999 */
        {"cf 0000018d08e20c43", "1705251048515000000", false},  /* milliseconds */
        {"cb 4278d08e20c43000", "1705251048515000000", false},  /* milliseconds, float */
        {"00", "1700000001000000000", false},
        {"c0", "1700000001000000000", false},
        {"cb 41d954fc40200000", "1700000000500000000", false},
        {"d0 ff", "1700000001000000000", true},
        {"cf ffffffffffffffff", "1700000001000000000", true},
        {"cb 7ff8000000000000", "1700000001000000000", true},
        {"d605 00000000", "1700000001000000000", true},
        {"c3", "1700000001000000000", true},
        {"a3 6e6f77", "1700000001000000000", true},
        {"81 a161 01", "1700000001000000000", true},
        {"90", "1700000001000000000", false},
        {"93 ce6553f100 80 c3", "1700000000000000000", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct rig rig;
        struct buf e = new_buf();
        struct chunk chunk;
        json_object *root, *log;

        rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
        put_array(&e, 2), put_hex(&e, rows[i].hex), put_map(&e, 0);
        chunk = chunk_of(&e);
        assert_int_equal(rig_convert(&rig, &chunk), 0);
        root = rig_json(&rig);
        log = at(root, "resourceLogs/0/scopeLogs/0/logRecords/0");
        assert_string_equal(text_at(log, "timeUnixNano"), rows[i].ns);
        assert_int_equal(attribute(log, "fluent.time") != NULL, rows[i].odd);
        json_object_put(root);
        buf_fini(&e);
        rig_fini(&rig);
    }
}

static void put_entry(struct buf *e, const char *message)
{
    put_array(e, 2), put_event_time(e, 1700000000, 0), put_map(e, 1);
    put_pair(e, "message", message);
}

static void carriers(void **state)
{
    struct rig rig;
    struct buf e = new_buf(), options = new_buf();
    struct chunk chunk;
    json_object *root, *log;

    (void)state;
    rig_init(&rig, FRAME_GZIP, CONVERT_TRACE_PAD);
    put_entry(&e, "forward");
    chunk = chunk_of(&e);
    chunk.carrier = CHUNK_FORWARD;
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    e.n = 0;
    put_uint(&e, 1700000000), put_map(&e, 1), put_pair(&e, "message", "message");
    put_map(&options, 2), put_pair(&options, "chunk", "x"), put_str(&options, "metadata");
    put_map(&options, 1), put_pair(&options, "m", "n");
    chunk = chunk_of(&e);
    chunk.carrier = CHUNK_MESSAGE;
    chunk.options = buf_slice(&options);
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    e.n = 0;
    chunk = chunk_of(&e);
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    assert_int_equal(rig.result.records, 0);
    chunk.signal = CHUNK_METRICS;
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    assert_int_equal(rig.result.foreign, 1);
    root = rig_json(&rig);
    /* Equal tag and peer: one scope, one frame. */
    assert_int_equal(rig.frames.count, 1);
    assert_int_equal(json_object_array_length(at(root, "resourceLogs")), 1);
    assert_int_equal(json_object_array_length(at(root, "resourceLogs/0/scopeLogs")), 1);
    log = at(root, "resourceLogs/0/scopeLogs/0/logRecords/1");
    assert_string_equal(text_at(log, "body/stringValue"), "message");
    assert_string_equal(
        text_at(attribute(log, "fluent.metadata"), "kvlistValue/values/0/value/stringValue"), "n");
    json_object_put(root);
    buf_fini(&e);
    buf_fini(&options);
    rig_fini(&rig);
}

static void damaged_chunks(void **state)
{
    struct rig rig;
    struct buf e = new_buf();
    struct chunk chunk;
    size_t whole;
    json_object *root;

    (void)state;
    rig_init(&rig, FRAME_GZIP, CONVERT_TRACE_PAD);
    put_entry(&e, "kept");
    chunk = chunk_of(&e);
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    /* c1 half-way: nothing of the chunk stays */
    e.n = 0;
    put_entry(&e, "lost"), put_hex(&e, "92 00 81 a1 61 c1");
    chunk = chunk_of(&e);
    assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
    assert_non_null(strstr(rig.err.text, "byte 25 of 31"));
    /* a message that ends early */
    e.n = 0;
    put_hex(&e, "ce 6553f100 81 a1");
    chunk = chunk_of(&e);
    chunk.carrier = CHUNK_MESSAGE;
    assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
    /* a client that speaks JSON */
    chunk.json = true;
    assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
    /* invalid events are dropped, the others kept */
    e.n = 0;
    put_array(&e, 2), put_event_time(&e, 1, 0), put_str(&e, "no map");
    put_array(&e, 1), put_event_time(&e, 1, 0), put_array(&e, 0);
    put_str(&e, "no array"), put_nil(&e);
    put_entry(&e, "kept too");
    whole = e.n;
    /* and the last one is cut: at every byte */
    put_entry(&e, "cut");
    for (size_t n = whole + 1; n < e.n; n++) {
        chunk = chunk_of(&e);
        chunk.payload.n = n;
        assert_int_equal(rig_convert(&rig, &chunk), 0);
        assert_int_equal(rig.result.records, 1);
        assert_int_equal(rig.result.dropped_invalid, 5);
        assert_int_equal(rig.result.truncated, 1);
    }
    root = rig_json(&rig);
    assert_int_equal(json_object_array_length(at(root, "resourceLogs/0/scopeLogs/0/logRecords")),
                     e.n - whole);
    json_object_put(root);
    buf_fini(&e);
    rig_fini(&rig);
}

/* ---- compression ---- */

static void gzip_member(struct buf *to, struct slice from)
{
    uint8_t out[70000];
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)from.p;
    z.avail_in = (uInt)from.n;
    z.next_out = out;
    z.avail_out = sizeof(out);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    put_bytes(to, out, z.total_out);
    deflateEnd(&z);
}

/* Entries cut anywhere into members or frames. */
static void compressed_chunks(void **state)
{
    struct buf e = new_buf(), packed = new_buf();

    (void)state;
    for (int i = 0; i < 20; i++)
        put_entry(&e, "compressed");
    for (size_t cut = 1; cut < e.n; cut += 7) {
        for (int zstd = 0; zstd <= 1; zstd++) {
            struct slice parts[] = {{e.p, cut}, {e.p, 0}, {e.p + cut, e.n - cut}};
            struct rig rig;
            struct chunk chunk;

            packed.n = 0;
            for (size_t i = 0; i < 3; i++) {
                uint8_t out[4096];

                if (zstd == 0) {
                    gzip_member(&packed, parts[i]);
                    continue;
                }
                put_bytes(&packed, out, ZSTD_compress(out, sizeof(out), parts[i].p, parts[i].n, 3));
            }
            rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
            chunk = chunk_of(&packed);
            /* With the option, and without it by the first bytes. */
            chunk.compression = cut % 2 ? CHUNK_PLAIN : zstd ? CHUNK_ZSTD : CHUNK_GZIP;
            assert_int_equal(rig_convert(&rig, &chunk), 0);
            assert_int_equal(rig.result.records, 20);
            assert_int_equal(rig.result.truncated, 0);
            /* cut off anywhere: damaged, and nothing is left */
            chunk.payload.n -= 1 + cut % 8;
            assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
            chunk.payload.n = 3;
            chunk.compression = zstd ? CHUNK_ZSTD : CHUNK_GZIP;
            assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
            json_object_put(rig_json(&rig));
            assert_int_equal(rig.frames.infos[0].records, 20);
            rig_fini(&rig);
        }
    }
    buf_fini(&e);
    buf_fini(&packed);
}

static void bad_compression(void **state)
{
    struct rig rig;
    struct buf e = new_buf(), big = new_buf(), packed = new_buf();
    struct chunk chunk;

    (void)state;
    rig_init(&rig, FRAME_NONE, CONVERT_TRACE_PAD);
    put_entry(&e, "plain");
    /* declared gzip, but plain */
    chunk = chunk_of(&e);
    chunk.compression = CHUNK_GZIP;
    assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
    /* a wrong CRC; garbage behind */
    gzip_member(&packed, buf_slice(&e));
    packed.p[packed.n - 6] ^= 1;
    chunk.payload = buf_slice(&packed);
    assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
    packed.p[packed.n - 6] ^= 1;
    put_str(&packed, "garbage");
    chunk.payload = buf_slice(&packed);
    assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
    /* nothing at all is nothing */
    chunk.payload.n = 0;
    assert_int_equal(rig_convert(&rig, &chunk), 0);
    /* exactly the limit of 8 MiB, and one more: both formats */
    assert_int_equal(buf_reserve(&big, ((size_t)8 << 20) + 1), 0);
    memset(big.p, 0x90, ((size_t)8 << 20) + 1);
    for (size_t over = 0; over <= 1; over++) {
        packed.n = 0;
        gzip_member(&packed, slice_of(big.p, ((size_t)8 << 20) + over));
        chunk.payload = buf_slice(&packed);
        assert_int_equal(rig_convert(&rig, &chunk), over ? -EFBIG : 0);
        assert_int_equal(buf_reserve(&packed, 1 << 20), 0);
        packed.n = ZSTD_compress(packed.p, packed.cap, big.p, ((size_t)8 << 20) + over, 1);
        chunk.payload = buf_slice(&packed);
        assert_int_equal(rig_convert(&rig, &chunk), over ? -EFBIG : 0);
    }
    /* a zstd header that asks for a window of 2 TiB */
    packed.n = 0;
    put_hex(&packed, "28b52ffd 00 f8 010000");
    chunk.payload = buf_slice(&packed);
    assert_int_equal(rig_convert(&rig, &chunk), -EBADMSG);
    buf_fini(&e);
    buf_fini(&big);
    buf_fini(&packed);
    rig_fini(&rig);
}

/* ---- hostile and random ---- */

static void deep_and_wide(void **state)
{
    struct rig rig;
    struct buf r = new_buf();
    json_object *root, *log;

    (void)state;
    rig_init(&rig, FRAME_GZIP, CONVERT_TRACE_PAD);
    put_map(&r, 2), put_str(&r, "deep");
    for (int i = 0; i < 10000; i++)
        put_array(&r, 1);
    put_uint(&r, 1);
    put_pair(&r, "after", "it");
    log = one_record(&rig, &r, &root);
    assert_string_equal(attribute_text(log, "after"), "it");
    json_object_put(root);
    /* 100,000 equal keys, 100,000 keys alike at both ends */
    r.n = 0;
    put_map(&r, 200000);
    for (int i = 0; i < 100000; i++) {
        char key[40];

        put_pair(&r, "k", "v");
        snprintf(key, sizeof(key), "aaaaaaaa%06dzzzzzzzz", i);
        put_pair(&r, key, "v");
    }
    log = one_record(&rig, &r, &root);
    assert_int_equal(attribute_count(log), 200000);
    json_object_put(root);
    buf_fini(&r);
    rig_fini(&rig);
}

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((random_state >> 33) % n);
}

static void put_random_text(struct buf *b)
{
    uint8_t text[300];
    size_t n = random_below(8) == 0 ? random_below(300) : random_below(40);
    bool ascii = random_below(3) != 0;

    for (size_t i = 0; i < n; i++)
        text[i] = (uint8_t)(ascii ? 32 + random_below(95) : random_below(256));
    put_str_n(b, text, n);
}

static void put_random_value(struct buf *b, int depth)
{
    uint32_t n = random_below(6);

    switch (random_below(depth > 0 ? 12 : 10)) {
    case 0:
        put_nil(b);
        return;
    case 1:
        put_bool(b, n & 1);
        return;
    case 2:
        put_uint(b, (uint64_t)random_below(1u << 31) << random_below(34));
        return;
    case 3:
        put_int(b, -(int64_t)random_below(1u << 31));
        return;
    case 4:
        put_double(b, random_below(1u << 31) / 1000.0);
        return;
    case 5:
        put_bin(b, "\x00\x80\xff\"\\bytes, which are no text", random_below(30));
        return;
    case 6:
        put_event_time(b, random_below(1u << 31), random_below(1u << 30));
        return;
    case 10:
        put_array(b, n);
        for (uint32_t i = 0; i < n; i++)
            put_random_value(b, depth - 1);
        return;
    case 11:
        put_map(b, n);
        for (uint32_t i = 0; i < 2 * n; i++)
            put_random_value(b, depth - 1);
        return;
    default:
        put_random_text(b);
        return;
    }
}

/* Any record gives OTLP that the transcoder reads and JSON that a parser reads. */
static void random_records(void **state)
{
    static const char *const names[] = {"message",     "time", "level",    "trace_id",
                                        "log",         "ts",   "severity", "span_id",
                                        "traceparent", "msg",  "",         "k"};

    (void)state;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        struct rig rig;
        struct buf e = new_buf();
        struct chunk chunk;
        uint32_t entries = 1 + seed % 20;

        random_state = seed;
        rig_init(&rig, (enum frame_codec_id)(seed % 3), (enum convert_trace_id)(seed % 3));
        for (uint32_t i = 0; i < entries; i++) {
            uint32_t pairs = random_below(seed % 7 == 0 ? 120 : 15);

            put_array(&e, 2), put_event_time(&e, random_below(1u << 31), 0), put_map(&e, pairs);
            for (uint32_t k = 0; k < pairs; k++) {
                if (random_below(2))
                    put_str(&e, names[random_below(12)]);
                else
                    put_random_value(&e, 2);
                put_random_value(&e, 4);
            }
        }
        chunk = chunk_of(&e);
        if (rig_convert(&rig, &chunk) < 0)
            fail_msg("seed %u: %s", seed, rig.err.text);
        assert_int_equal(rig.result.records, entries);
        json_object_put(rig_json(&rig));
        assert_int_equal(rig.frames.infos[0].records, entries);

        /* One byte wrong: an error or records, never a crash, and the rest is readable. */
        for (int i = 0; i < 20; i++) {
            size_t where = random_below((uint32_t)e.n);
            uint8_t was = e.p[where];

            e.p[where] = (uint8_t)random_below(256);
            (void)rig_convert(&rig, &chunk);
            e.p[where] = was;
        }
        json_object_put(rig_json(&rig));
        buf_fini(&e);
        rig_fini(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_record_of_the_service),
        cmocka_unit_test(every_type_keeps_its_type),
        cmocka_unit_test(keys_are_unique_and_text),
        cmocka_unit_test(lossy_fields_stay),
        cmocka_unit_test(trace_ids_by_mode),
        cmocka_unit_test(span_and_parent),
        cmocka_unit_test(fluent_bit_events),
        cmocka_unit_test(groups),
        cmocka_unit_test(machines_in_turn),
        cmocka_unit_test(heads_are_bounded),
        cmocka_unit_test(event_times),
        cmocka_unit_test(carriers),
        cmocka_unit_test(damaged_chunks),
        cmocka_unit_test(compressed_chunks),
        cmocka_unit_test(bad_compression),
        cmocka_unit_test(deep_and_wide),
        cmocka_unit_test(random_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
