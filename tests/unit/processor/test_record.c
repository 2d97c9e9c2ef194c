/*
 * test_record: whole records, as a person reads them. golden/records.txt holds, per case, what comes
 * in and what goes out, in JSON with OTLP's wrappers taken off:
 *
 *     # what it shows
 *     in   {"message":"hello","machine_id":"m1"}
 *     out  {"body":"hello","attributes":{"machine_id":"m1"},"resource":{"host.name":"m1"}}
 *
 * `with OPTION...` before the input sets options for the case: profile, plain (no parsing of text),
 * any, never (record.service), no-service. `entries` instead of `in` is the array of entries of a
 * Forward message on a JSON connection. In `out` stand only what is there, the resource without the
 * configured attributes, and no observed time; several records stand on several lines.
 */
#include "processor/record.h"
#include "tests/unit/processor/support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define EVENT_S 1700000000

/* ---- OTLP's JSON, as plain JSON ---- */

static json_object *pairs_of(json_object *list);

/* {"stringValue": "x"} and its like. */
static json_object *plain(json_object *any)
{
    json_object *v, *items, *list;

    if (any == NULL || json_object_object_length(any) == 0)
        return NULL;
    if (json_object_object_get_ex(any, "intValue", &v))
        return json_object_new_int64(json_object_get_int64(v));
    if (json_object_object_get_ex(any, "arrayValue", &v)) {
        list = json_object_new_array();
        if (json_object_object_get_ex(v, "values", &items))
            for (size_t i = 0; i < json_object_array_length(items); i++)
                json_object_array_add(list, plain(json_object_array_get_idx(items, i)));
        return list;
    }
    if (json_object_object_get_ex(any, "kvlistValue", &v)) {
        items = NULL;
        json_object_object_get_ex(v, "values", &items);
        return pairs_of(items);
    }
    json_object_object_foreach(any, key, value)
    {
        (void)key;
        return json_object_get(value);
    }
    return NULL;
}

/* Keys must be unique: a test that sees one twice fails. */
static json_object *pairs_of(json_object *list)
{
    json_object *map = json_object_new_object();

    for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++) {
        json_object *pair = json_object_array_get_idx(list, i);
        const char *key = text_at(pair, "key");

        if (json_object_object_get_ex(map, key, NULL))
            fail_msg("the key %s stands twice", key);
        json_object_object_add(map, key, plain(at(pair, "value")));
    }
    return map;
}

static void add_field(json_object *to, const char *name, json_object *log, const char *field)
{
    json_object *v = at(log, field);

    if (v != NULL)
        json_object_object_add(to, name, json_object_get(v));
}

/* The event's own time is left out: it says only that the record has none. */
static json_object *readable(json_object *log, json_object *resource, json_object *scope)
{
    json_object *out = json_object_new_object(), *attributes, *map;
    char event_time[32];

    snprintf(event_time, sizeof(event_time), "%d000000000", EVENT_S);
    if (strcmp(text_at(log, "timeUnixNano"), event_time) != 0)
        add_field(out, "time", log, "timeUnixNano");
    add_field(out, "number", log, "severityNumber");
    add_field(out, "severity", log, "severityText");
    if (at(log, "body") != NULL)
        json_object_object_add(out, "body", plain(at(log, "body")));
    attributes = at(log, "attributes");
    if (attributes != NULL)
        json_object_object_add(out, "attributes", pairs_of(attributes));
    add_field(out, "trace", log, "traceId");
    add_field(out, "span", log, "spanId");
    add_field(out, "flags", log, "flags");
    map = pairs_of(at(resource, "attributes"));
    if (strcmp(json_object_get_string(json_object_object_get(map, "service.name")),
               "emp-job-queue") == 0)
        json_object_object_del(map, "service.name");
    json_object_object_del(map, "deployment.environment");
    if (json_object_object_length(map) > 0)
        json_object_object_add(out, "resource", json_object_get(map));
    json_object_put(map);
    if (strcmp(text_at(scope, "name"), "sluice") != 0) {
        map = pairs_of(at(scope, "attributes"));
        json_object_object_add(map, "name", json_object_get(at(scope, "name")));
        json_object_object_del(map, "sluice.host");
        json_object_object_del(map, "sluice.peer");
        json_object_object_del(map, "fluent.tag");
        json_object_object_add(out, "scope", map);
    }
    return out;
}

/* All records of a request, one a line. */
static void render(json_object *root, char *ret, size_t n)
{
    json_object *resources = at(root, "resourceLogs");

    *ret = '\0';
    for (size_t i = 0; resources != NULL && i < json_object_array_length(resources); i++) {
        json_object *resource = json_object_array_get_idx(resources, i);
        json_object *scopes = at(resource, "scopeLogs");

        for (size_t j = 0; j < json_object_array_length(scopes); j++) {
            json_object *scope = json_object_array_get_idx(scopes, j);
            json_object *logs = at(scope, "logRecords");

            for (size_t k = 0; k < json_object_array_length(logs); k++) {
                json_object *out = readable(json_object_array_get_idx(logs, k),
                                            at(resource, "resource"), at(scope, "scope"));
                size_t used = strlen(ret);

                snprintf(ret + used, n - used, "%s\n",
                         json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN |
                                                                 JSON_C_TO_STRING_NOSLASHESCAPE));
                json_object_put(out);
            }
        }
    }
}

/* ---- a case ---- */

struct record_case {
    char options[256];
    char in[16384];
    char out[32768];
    bool is_entries;
    int line;
};

static void convert_case(const struct record_case *c, char *ret, size_t n)
{
    const struct converter_config config = {
        .service_name = strstr(c->options, "no-service") ? "" : "emp-job-queue",
        .environment = "production",
        .self_name = "sluice",
        .self_version = "0.1",
        .self_host = "central",
        .resource_attributes = strstr(c->options, "attributes") ? "team=a%2Cb, zone = 1 " : "",
        .trace_id = CONVERT_TRACE_PAD,
        .service = strstr(c->options, "any")     ? RECORD_SERVICE_ANY
                   : strstr(c->options, "never") ? RECORD_SERVICE_NEVER
                                                 : RECORD_SERVICE_NAMED,
        .parse_text = !strstr(c->options, "plain"),
        .is_limited = strstr(c->options, "profile"),
        .max_decompressed = (size_t)1 << 20,
    };
    struct chunk chunk = {.carrier = c->is_entries ? CHUNK_FORWARD : CHUNK_MESSAGE,
                          .json = true,
                          .tag = SLICE_LITERAL("app.web"),
                          .peer = SLICE_LITERAL("10.0.0.7"),
                          .received_ns = RECEIVED_NS};
    static char text[sizeof(c->in) + 32];
    json_object *root;
    struct rig rig;

    rig_init(&rig, FRAME_GZIP, CONVERT_TRACE_PAD);
    converter_free(&rig.converter);
    assert_int_equal(converter_new(&config, &rig.converter, &rig.err), 0);
    snprintf(text, sizeof(text), c->is_entries ? "%.0d%s" : "%d,%s", c->is_entries ? 0 : EVENT_S,
             c->in);
    chunk.payload = slice_string(text);
    if (rig_convert(&rig, &chunk) < 0)
        fail_msg("line %d: %s", c->line, rig.err.text);
    root = rig_json(&rig);
    render(root, ret, n);
    json_object_put(root);
    rig_fini(&rig);
}

/* The next case of the file. False at its end. */
static bool read_case(FILE *file, struct record_case *ret, int *line)
{
    static char text[16500];

    ret->options[0] = ret->in[0] = ret->out[0] = '\0';
    while (fgets(text, sizeof(text), file) != NULL) {
        size_t used = strlen(ret->out);

        ++*line;
        if (strncmp(text, "with ", 5) == 0) {
            snprintf(ret->options, sizeof(ret->options), "%.200s", text + 5);
        } else if (strncmp(text, "in ", 3) == 0 || strncmp(text, "entries ", 8) == 0) {
            ret->is_entries = text[0] == 'e';
            ret->line = *line;
            text[strcspn(text, "\n")] = '\0';
            snprintf(ret->in, sizeof(ret->in), "%s",
                     strchr(text, ' ') + strspn(strchr(text, ' '), " "));
        } else if (strncmp(text, "out ", 4) == 0) {
            snprintf(ret->out + used, sizeof(ret->out) - used, "%s",
                     text + 4 + strspn(text + 4, " "));
        } else if (text[0] == '\n' && ret->in[0] != '\0') {
            return true;
        }
    }
    return ret->in[0] != '\0';
}

static void golden_records(void **state)
{
    static struct record_case c;
    static char got[sizeof(c.out)];
    const char *folder = getenv("srcdir");
    char path[512];
    unsigned cases = 0, wrong = 0;
    int line = 0;
    FILE *file;

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/unit/processor/golden/records.txt",
             folder == NULL ? "." : folder);
    file = fopen(path, "r");
    assert_non_null(file);
    while (read_case(file, &c, &line)) {
        convert_case(&c, got, sizeof(got));
        cases++;
        if (strcmp(got, c.out) == 0)
            continue;
        print_error("line %d: %s\n  want %s\n  got  %s\n", c.line, c.in, c.out, got);
        wrong++;
    }
    fclose(file);
    assert_int_equal(wrong, 0);
    assert_true(cases > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_records)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
