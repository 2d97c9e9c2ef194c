/*
 * output: one destination: a source of parcels with cursors of its own, a retry state, and a way
 * of sending, behind a table of functions. A new kind of output is a new `struct output_ops`.
 *
 *     output_http.c   OTLP/HTTP, several requests in flight
 *     output_file.c   OTLP JSON lines
 *
 * The shipper calls: open (privileged: files and folders), start (on the loop, confined), then
 * pump whenever something may be there to send, leave when it is to stop, and close. An output
 * calls back through output_changed when it has become idle or made progress.
 *
 * Everything runs on the event loop's thread. Nothing that an output sends is lost by any failure:
 * only output_delivered moves its cursor.
 */
#ifndef SHIPPER_OUTPUT_H
#define SHIPPER_OUTPUT_H

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/slice.h"
#include "shared/ipc/status_page.h"
#include "shared/options/options.h"
#include "shipper/retry.h"
#include "shipper/source.h"
#include "shipper/verdict.h"

#include <systemd/sd-event.h>

struct output;

/* sd-event may delay a timer so much to spare wake-ups; its own default is 250 ms. */
#define OUTPUT_TIMER_ACCURACY_US 1000u

enum output_phase {
    OUTPUT_RUNNING,
    OUTPUT_FINISHING, /* delivers what is there, then is idle */
    OUTPUT_LEAVING,   /* begins nothing new */
};

/* What an output gets from the shipper; borrowed for its life. */
struct output_env {
    sd_event *event;
    struct status_slot *status;
    const struct options *options;
    struct slice api_key; /* borrowed during open and reload only */
    const struct source_lane *lanes;
    unsigned lane_count;
    void (*changed)(void *context);
    void *context;
};

struct output_ops {
    const char *name; /* of its folder of cursors, and in words */
    size_t size;      /* of the struct that embeds struct output first */
    int (*open)(struct output *output, struct err *err);
    int (*start)(struct output *output, struct err *err); /* may be NULL */
    /* Sends what is there and may be sent now. Cheap when there is nothing. */
    void (*pump)(struct output *output);
    /*
     * Lane `index` goes, with its cursor: what else only that cursor knows is put into another,
     * durably. May be NULL. -errno: it must not go yet.
     */
    int (*leave_lane)(struct output *output, unsigned index, struct err *err);
    /* env.api_key has changed. May be NULL. */
    void (*reload)(struct output *output);
    /* Whether nothing is under way, nor (OUTPUT_FINISHING) left to deliver. */
    bool (*is_idle)(const struct output *output);
    /* Called when there has been nothing to do for a while: gives memory back. */
    void (*trim)(struct output *output);
    void (*close)(struct output *output);
};

/* Embedded first in every kind. */
struct output {
    const struct output_ops *ops;
    struct output_env env;
    enum output_phase phase;
    struct disk *folder;
    struct source *source;
    struct retry retry;
    bool exhausted;                    /* the last fill found nothing */
    char words[VERDICT_WORDS_BYTES];   /* of the last failure */
    char trouble[VERDICT_WORDS_BYTES]; /* what else is wrong: "" is nothing */
    bool disk_failed;                  /* trouble is of the disk */
    uint64_t skipped;                  /* of source_skipped, counted so far */
    bool told;                         /* the present failure has its log line */
    bool told_held;                    /* the last such line said that it is held */
    uint64_t told_ns;                  /* when that was; 0: never */
    struct log_limit failure_limit, partial_limit, disk_limit;
};

extern const struct output_ops output_http_ops;
extern const struct output_ops output_file_ops;

/* Opens the cursors below data_dir and the kind's own things. */
int output_open(const struct output_ops *ops, const struct output_env *env,
                struct output **ret_output, struct err *err);
int output_start(struct output *output, struct err *err);
/* Closes without waiting; cursors are synced before by output_sync. */
void output_close(struct output **output);

void output_pump(struct output *output);
void output_reload(struct output *output, struct slice api_key);
void output_set_phase(struct output *output, enum output_phase phase);
bool output_is_idle(const struct output *output);
/* Lane `index`, delivered to its end, is not read any more. -errno: not yet. */
int output_leave_lane(struct output *output, unsigned index, struct err *err);
void output_trim(struct output *output);

/* Syncs its cursors. Errors are logged and kept as its trouble; the next call tries again. */
void output_sync(struct output *output);

/* "otlp: 503 from the server, 4 tries, next in 8 s", or "" where all is well. */
void output_note(const struct output *output, char *ret_text, size_t size);

/* ---- for the kinds ---- */

/* Records of a run of frames that are done and not delivered. */
struct output_missing {
    uint64_t rejected;    /* by the server, for good; its own figure, so it may be too large */
    uint64_t quarantined; /* could not be read */
};

/* Frames [first, end) of the parcel are with the destination, but for what is missing. */
void output_delivered(struct output *output, const struct parcel *parcel, uint32_t first,
                      uint32_t end, struct output_missing missing);

/* A try failed: counts it into the retry state, logs, keeps the words. */
struct output_failure {
    enum verdict_kind kind; /* VERDICT_RETRY or VERDICT_HOLD */
    const char *words;
    uint64_t sent_ns;
    uint64_t retry_after_ms;
};
void output_failed(struct output *output, const struct output_failure *failure);
/* A try that was sent then was answered as it should be. */
void output_succeeded(struct output *output, uint64_t sent_ns);

/* A disk failed: logged, and its trouble until output_disk_works. */
void output_disk_failed(struct output *output, const struct err *err);
void output_disk_works(struct output *output);
/* source_fill, with its errors handled. True: the parcel has frames. */
bool output_fill(struct output *output, uint64_t max_plain_bytes, struct parcel *parcel);
/* Counts what the readers skipped since the last call; logs it. */
void output_count_skipped(struct output *output);

#endif
