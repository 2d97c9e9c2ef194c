#include "supervisor/status_report.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "supervisor/data_dir.h"
#include "supervisor/proc_status.h"

/* So long a processor may take nothing of what a ring holds. A commit is far shorter. */
#define RING_WAITS_NS (5 * NS_PER_S)

/*
 * json-c's constructors return NULL when memory is out, and its add functions take that as JSON's
 * null: the report then has a hole, which is better than none.
 */
static void add(struct json_object *object, const char *key, struct json_object *value)
{
    json_object_object_add(object, key, value);
}

static void add_string(struct json_object *object, const char *key, const char *value)
{
    add(object, key, json_object_new_string(value));
}

static void add_number(struct json_object *object, const char *key, uint64_t value)
{
    add(object, key, json_object_new_uint64(value));
}

static void add_bool(struct json_object *object, const char *key, bool value)
{
    add(object, key, json_object_new_boolean(value));
}

static void add_hex(struct json_object *object, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%llx", (unsigned long long)value);
    add_string(object, key, value == 0 ? "none" : text);
}

static void __attribute__((format(printf, 3, 4)))
alert(struct json_object *alerts, const char *code, const char *format, ...)
{
    struct json_object *object = json_object_new_object();
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    add_string(object, "code", code);
    add_string(object, "text", text);
    json_object_array_add(alerts, object);
}

static uint64_t age_ns(uint64_t since_ns)
{
    uint64_t now_ns = clock_monotonic_ns();

    return since_ns != 0 && now_ns > since_ns ? now_ns - since_ns : 0;
}

static const char *phase_name(uint64_t phase)
{
    static const char *const names[] = {
        [STATUS_STARTING] = "starting", [STATUS_COMPUTING] = "computing", [STATUS_IDLE] = "idle",
        [STATUS_IN_SYNC] = "in sync",   [STATUS_DRAINING] = "draining",
    };

    return phase < sizeof(names) / sizeof(names[0]) ? names[phase] : "?";
}

static struct json_object *confinement(const struct child *child)
{
    const struct message_ready *ready = child_ready(child);
    struct proc_status status = proc_status_read(child_pid(child));
    struct json_object *object;

    if (!status.known)
        return NULL;
    object = json_object_new_object();
    add_number(object, "uid", status.uid);
    add_bool(object, "no_new_privs", status.no_new_privs);
    add_bool(object, "seccomp", status.seccomp);
    add_hex(object, "capabilities", status.capabilities);
    add_hex(object, "bounding", status.bounding);
    add_number(object, "landlock_abi", ready->landlock_abi);
    add_bool(object, "landlock_tcp", ready->landlock_net != 0);
    add_bool(object, "landlock_scoped", ready->landlock_scoped != 0);
    add_number(object, "nofile", ready->nofile);
    return object;
}

static struct json_object *metrics(const struct status_slot *slot, char letter)
{
    struct json_object *object = json_object_new_object();

    for (unsigned id = 0; id < METRIC_COUNT; id++) {
        const struct metric_row *row = metric_row((enum metric_id)id);

        if (row->stage == letter || row->stage == 'A')
            add_number(object, row->name, status_get(slot, (enum metric_id)id));
    }
    return object;
}

/* A copy that ends, of text that another process may be writing. */
static void copy_note(const struct status_slot *slot, char note[STATUS_NOTE_BYTES])
{
    memcpy(note, slot->note, STATUS_NOTE_BYTES);
    note[STATUS_NOTE_BYTES - 1] = '\0';
    for (char *c = note; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            *c = '?';
}

static void stage_alerts(const struct supervisor *supervisor, const struct child *child,
                         const char *note, struct json_object *alerts)
{
    const char *name = stage_row(child_stage(child))->name;
    unsigned index = child_index(child);

    if (child_state(child) == CHILD_DELAYED)
        alert(alerts, "stage-down", "%s.%u keeps ending: %s", name, index, child_last_exit(child));
    switch (supervisor_liveness(supervisor, child)) {
    case LIVENESS_IN_DISK:
        alert(alerts, "disk-stuck", "%s.%u has been in one call on the disk for over %llu s", name,
              index, (unsigned long long)(LIVENESS_DISK_NS / NS_PER_S));
        break;
    case LIVENESS_SLOW:
        alert(alerts, "slow-start", "%s.%u has been starting for over hang_timeout", name, index);
        break;
    default:
        break;
    }
    if (child_state(child) == CHILD_RUNNING && child_ready(child)->landlock_abi == 0)
        alert(alerts, "no-landlock", "%s.%u runs without Landlock: the kernel has none", name,
              index);
    if (note[0] != '\0')
        alert(alerts, "note", "%s.%u: %s", name, index, note);
}

static struct json_object *stage(const struct supervisor *supervisor, const struct child *child,
                                 struct json_object *alerts)
{
    const struct stage_row *row = stage_row(child_stage(child));
    const struct status_slot *slot = wiring_slot(supervisor_wiring(supervisor), child_slot(child));
    struct json_object *object = json_object_new_object();
    bool runs = child_pid(child) > 0;
    char note[STATUS_NOTE_BYTES];

    copy_note(slot, note);
    add_string(object, "name", row->name);
    add_number(object, "index", child_index(child));
    add_number(object, "pid", (uint64_t)child_pid(child));
    add_string(object, "state", child_state_name(child_state(child)));
    add_number(object, "uptime_s", runs ? age_ns(child_started_ns(child)) / NS_PER_S : 0);
    add_number(object, "restarts", child_restarts(child));
    add_string(object, "last_exit", child_last_exit(child));
    add_string(object, "phase", runs ? phase_name(slot->phase) : "");
    add_number(object, "phase_since_ms", runs ? age_ns(slot->phase_since_ns) / NS_PER_MS : 0);
    add_string(object, "note", note);
    add(object, "confinement", confinement(child));
    add(object, "metrics", metrics(slot, row->metric_letter));
    stage_alerts(supervisor, child, note, alerts);
    return object;
}

static struct json_object *stages(const struct supervisor *supervisor, struct json_object *alerts)
{
    struct json_object *array = json_object_new_array();

    for (unsigned id = 0; id < STAGE_COUNT; id++) {
        for (unsigned i = 0; i < STAGE_INSTANCES_MAX; i++) {
            const struct child *child = supervisor_child(supervisor, (enum stage_id)id, i);

            if (child != NULL)
                json_object_array_add(array, stage(supervisor, child, alerts));
        }
    }
    return array;
}

static struct json_object *listeners(const struct wiring *wiring)
{
    struct json_object *array = json_object_new_array();
    const struct listeners *all = wiring_listeners(wiring);

    for (unsigned i = 0; i < all->count; i++) {
        struct json_object *object = json_object_new_object();

        add_string(object, "name", all->all[i].name);
        add_string(object, "address", all->all[i].address);
        add_number(object, "port", all->all[i].port);
        add_bool(object, "heartbeats", all->all[i].heartbeat_fd >= 0);
        json_object_array_add(array, object);
    }
    return array;
}

/* Whatever the processor says of itself: it may stand still with "idle" as its last word. */
static void ring_alert(const struct wiring_ring *ring, struct json_object *alerts)
{
    uint64_t waiting_ns = age_ns(ring->waiting_since_ns);

    if (waiting_ns > RING_WAITS_NS)
        alert(alerts, "ring-stuck",
              "processor.%u has taken nothing from receiver.%u for %llu s, and %llu bytes wait",
              ring->lane, ring->receiver, (unsigned long long)(waiting_ns / NS_PER_S),
              (unsigned long long)ring->used_bytes);
}

static struct json_object *rings(const struct wiring *wiring, struct json_object *alerts)
{
    struct json_object *array = json_object_new_array();
    struct wiring_ring ring;
    unsigned cursor = 0;

    while (wiring_next_ring(wiring, &cursor, &ring)) {
        struct json_object *object = json_object_new_object();

        add_number(object, "receiver", ring.receiver);
        add_number(object, "lane", ring.lane);
        add_number(object, "used", ring.used_bytes);
        add_number(object, "size", ring.size_bytes);
        ring_alert(&ring, alerts);
        json_object_array_add(array, object);
    }
    return array;
}

static struct json_object *lanes(const struct wiring *wiring)
{
    struct json_object *array = json_object_new_array();
    struct lane_state state;
    unsigned cursor = 0, lane;
    bool published;

    while (wiring_next_lane(wiring, &cursor, &lane, &published, &state)) {
        struct json_object *object = json_object_new_object();

        add_number(object, "lane", lane);
        add_bool(object, "published", published);
        add_number(object, "segment", published ? state.segment : 0);
        add_number(object, "end", published ? state.end : 0);
        add_number(object, "next_sequence", published ? state.next_sequence : 0);
        add_number(object, "records", published ? state.records : 0);
        json_object_array_add(array, object);
    }
    return array;
}

static void add_running(struct json_object *root, const struct supervisor *supervisor,
                        struct json_object *alerts)
{
    const struct wiring *wiring = supervisor_wiring(supervisor);

    add(root, "listeners", wiring != NULL ? listeners(wiring) : json_object_new_array());
    add(root, "stages", wiring != NULL ? stages(supervisor, alerts) : json_object_new_array());
    add(root, "rings", wiring != NULL ? rings(wiring, alerts) : json_object_new_array());
    add(root, "lanes", wiring != NULL ? lanes(wiring) : json_object_new_array());
}

char *status_report_json(const struct supervisor *supervisor, const char *last_reload)
{
    const struct options *options = supervisor_options(supervisor);
    struct json_object *root = json_object_new_object();
    struct json_object *alerts = json_object_new_array();
    struct json_object *config = json_object_new_object();
    const char *place = data_dir_alert(options);
    char *text;

    add_string(root, "version", SLUICE_VERSION);
    add_number(root, "pid", (uint64_t)getpid());
    add_string(root, "state", supervisor_state_name(supervisor_state(supervisor)));
    add_number(root, "uptime_s", age_ns(supervisor_started_ns(supervisor)) / NS_PER_S);
    add_string(root, "environment", options_string(options, OPT_ENVIRONMENT));
    add_string(root, "data_dir", options_string(options, OPT_DATA_DIR));
    add_running(root, supervisor, alerts);
    add_string(config, "last_reload", last_reload);
    add(root, "config", config);
    if (supervisor_state(supervisor) == SUPERVISOR_WAITING)
        alert(alerts, "locked", "another process holds the lock of %s",
              options_string(options, OPT_DATA_DIR));
    if (place != NULL)
        alert(alerts, "data-dir", "%s", place);
    if (strncmp(last_reload, "refused", 7) == 0)
        alert(alerts, "reload", "last reload %s", last_reload);
    add(root, "alerts", alerts);
    text = strdup(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN));
    json_object_put(root);
    return text;
}
