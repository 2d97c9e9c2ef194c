#include "supervisor/ctl/screen.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdint.h>
#include <string.h>

static struct json_object *get(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;

    return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

static const char *get_string(struct json_object *object, const char *key)
{
    struct json_object *value = get(object, key);

    return value != NULL ? json_object_get_string(value) : "";
}

static uint64_t get_number(struct json_object *object, const char *key)
{
    return json_object_get_uint64(get(object, key));
}

static size_t length(struct json_object *array)
{
    return array != NULL && json_object_is_type(array, json_type_array)
               ? json_object_array_length(array)
               : 0;
}

/* 75 -> "1m15s" */
static const char *duration(uint64_t seconds, char text[32])
{
    if (seconds < 60)
        snprintf(text, 32, "%" PRIu64 "s", seconds);
    else if (seconds < 3600)
        snprintf(text, 32, "%" PRIu64 "m%02us", seconds / 60, (unsigned)(seconds % 60));
    else if (seconds < 86400)
        snprintf(text, 32, "%" PRIu64 "h%02um", seconds / 3600, (unsigned)(seconds / 60 % 60));
    else
        snprintf(text, 32, "%" PRIu64 "d%02uh", seconds / 86400, (unsigned)(seconds / 3600 % 24));
    return text;
}

static void print_head(struct json_object *root, FILE *out)
{
    struct json_object *listeners = get(root, "listeners");
    char text[32];

    fprintf(out, "sluiced %s  pid %" PRIu64 "  %s for %s  %s  %s\n", get_string(root, "version"),
            get_number(root, "pid"), get_string(root, "state"),
            duration(get_number(root, "uptime_s"), text), get_string(root, "environment"),
            get_string(root, "data_dir"));
    for (size_t i = 0; i < length(listeners); i++) {
        struct json_object *listener = json_object_array_get_idx(listeners, i);

        fprintf(out, "%s: port %" PRIu64 " of %s\n", get_string(listener, "name"),
                get_number(listener, "port"), get_string(listener, "address"));
    }
}

/* "nnp seccomp landlock 7", or what is missing of it in capitals. */
static void print_confinement(struct json_object *stage, FILE *out)
{
    struct json_object *confinement = get(stage, "confinement");
    uint64_t abi;

    if (confinement == NULL)
        return;
    abi = get_number(confinement, "landlock_abi");
    fprintf(out, "  %s",
            json_object_get_boolean(get(confinement, "seccomp")) ? "seccomp" : "NO SECCOMP");
    if (abi > 0)
        fprintf(out, ", landlock %" PRIu64, abi);
    else
        fprintf(out, ", NO LANDLOCK");
    if (strcmp(get_string(confinement, "capabilities"), "none") != 0)
        fprintf(out, ", CAPABILITIES %s", get_string(confinement, "capabilities"));
}

static void print_stages(struct json_object *root, FILE *out)
{
    struct json_object *stages = get(root, "stages");

    if (length(stages) > 0)
        fprintf(out, "\n%-13s %7s  %-9s %8s %9s  %-18s  %s\n", "STAGE", "PID", "STATE", "FOR",
                "RESTARTS", "PHASE", "CONFINEMENT");
    for (size_t i = 0; i < length(stages); i++) {
        struct json_object *stage = json_object_array_get_idx(stages, i);
        char name[48], phase[48], text[32];
        uint64_t ms = get_number(stage, "phase_since_ms");

        snprintf(name, sizeof(name), "%.40s.%" PRIu64, get_string(stage, "name"),
                 get_number(stage, "index"));
        if (ms >= 1000)
            snprintf(phase, sizeof(phase), "%.20s %s", get_string(stage, "phase"),
                     duration(ms / 1000, text));
        else
            snprintf(phase, sizeof(phase), "%.20s", get_string(stage, "phase"));
        fprintf(out, "%-13s %7" PRIu64 "  %-9s", name, get_number(stage, "pid"),
                get_string(stage, "state"));
        fprintf(out, " %8s %9" PRIu64 "  %-18s", duration(get_number(stage, "uptime_s"), text),
                get_number(stage, "restarts"), phase);
        print_confinement(stage, out);
        fprintf(out, "\n");
        if (get_string(stage, "last_exit")[0] != '\0')
            fprintf(out, "%13s last end: %s\n", "", get_string(stage, "last_exit"));
    }
}

/* The sum over the instances of all stages. */
static uint64_t metric(struct json_object *root, const char *name)
{
    struct json_object *stages = get(root, "stages");
    uint64_t sum = 0;

    for (size_t i = 0; i < length(stages); i++)
        sum += get_number(get(json_object_array_get_idx(stages, i), "metrics"), name);
    return sum;
}

static void print_flow(struct json_object *root, FILE *out)
{
    fprintf(out,
            "\nin         %" PRIu64 " connections, %" PRIu64 " chunks (%" PRIu64
            " without ack), %" PRIu64 " acks\n",
            metric(root, "connections_open"), metric(root, "input_chunks_total"),
            metric(root, "input_chunks_without_ack_total"), metric(root, "acks_sent_total"));
    fprintf(out,
            "journal    %" PRIu64 " records, %" PRIu64 " chunks, %" PRIu64 " resent, %" PRIu64
            " quarantined, %" PRIu64 " bytes on disk\n",
            metric(root, "records_committed_total"), metric(root, "chunks_committed_total"),
            metric(root, "chunks_resent_total"), metric(root, "chunks_quarantined_total"),
            metric(root, "journal_bytes"));
    fprintf(out,
            "out        %" PRIu64 " delivered, %" PRIu64 " waiting, %" PRIu64 " rejected, %" PRIu64
            " tries since the last success\n",
            metric(root, "records_delivered_total"), metric(root, "output_lag_records"),
            metric(root, "records_rejected_total"), metric(root, "output_retry_count"));
}

static void print_places(struct json_object *root, FILE *out)
{
    struct json_object *rings = get(root, "rings");
    struct json_object *lanes = get(root, "lanes");

    for (size_t i = 0; i < length(rings); i++) {
        struct json_object *ring = json_object_array_get_idx(rings, i);
        uint64_t size = get_number(ring, "size");

        fprintf(out, "ring %" PRIu64 ".%" PRIu64 "   %" PRIu64 " of %" PRIu64 " KiB\n",
                get_number(ring, "receiver"), get_number(ring, "lane"),
                get_number(ring, "used") / 1024, size / 1024);
    }
    for (size_t i = 0; i < length(lanes); i++) {
        struct json_object *lane = json_object_array_get_idx(lanes, i);

        fprintf(out, "lane %02" PRIu64 "    ", get_number(lane, "lane"));
        if (json_object_get_boolean(get(lane, "published")))
            fprintf(out,
                    "segment %" PRIu64 ", durable to byte %" PRIu64 ", next batch %" PRIu64 "\n",
                    get_number(lane, "segment"), get_number(lane, "end"),
                    get_number(lane, "next_sequence"));
        else
            fprintf(out, "not recovered yet\n");
    }
}

static void print_alerts(struct json_object *root, FILE *out)
{
    struct json_object *alerts = get(root, "alerts");
    const char *reload = get_string(get(root, "config"), "last_reload");

    if (reload[0] != '\0')
        fprintf(out, "\nlast reload: %s\n", reload);
    if (length(alerts) > 0)
        fprintf(out, "\n");
    for (size_t i = 0; i < length(alerts); i++)
        fprintf(out, "! %s\n", get_string(json_object_array_get_idx(alerts, i), "text"));
}

int screen_print(const char *json, FILE *out)
{
    struct json_object *root = json_tokener_parse(json);

    if (root == NULL || !json_object_is_type(root, json_type_object)) {
        json_object_put(root);
        return -EINVAL;
    }
    print_head(root, out);
    print_stages(root, out);
    print_flow(root, out);
    print_places(root, out);
    print_alerts(root, out);
    json_object_put(root);
    return 0;
}
