/*
 * options: the values of all options, where each came from, and what of them a child may see.
 * The table is options.def; nothing about a single option is written anywhere else but in
 * options_check.c (what options mean together) and access.c (who may send).
 *
 * The supervisor loads them from all sources and validates them:
 *
 *     struct options_sources sources = {.file = "/etc/sluice/sluice.conf", .environment = environ};
 *     struct option_report report = {0};
 *     struct options *options = NULL;
 *     if (options_load(&sources, NULL, &report, &options) < 0)
 *         … print the report (it names file, line and option of every mistake), exit 78
 *     options_wipe_environment(environ);
 *
 * A later source beats an earlier one: default < file < environment < command line. For each child
 * it makes a snapshot (no secrets in it) and sends the child's secrets beside it; the child reads
 * both with options_from_snapshot and options_set_secret, or keeps the secrets itself.
 *
 * Values are effective ones: what is empty "because it follows from others" has been filled in by
 * options_load (self.host, otlp.endpoint, file.path, receiver.memory), so that a child never
 * decides it again:
 *     otlp.endpoint not empty  <=>  the OTLP/HTTP output is on
 *     file.path not empty      <=>  the file output is on
 *
 * Ownership: strings that getters return are borrowed until options_free (secrets: until they are
 * wiped). Errors: a getter for the wrong type or an unknown word is a bug of the caller and
 * aborts; everything else returns -errno. Not thread-safe while it is changed; reading is.
 */
#ifndef SHARED_OPTIONS_OPTIONS_H
#define SHARED_OPTIONS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/slice.h"
#include "shared/options/option_report.h"

/* The most pairs in resource.attributes. */
#define OPTIONS_MAX_RESOURCE 60u

#define OPTION(ID, ...) OPT_##ID,
enum option_id {
#include "shared/options/options.def"
    OPT_COUNT
};
#undef OPTION

/* Which children see an option; a mask. */
enum option_role {
    OPTION_RECEIVER = 1 << 0,
    OPTION_PROCESSOR = 1 << 1,
    OPTION_SHIPPER = 1 << 2,
};

/* Where a value came from, in rising order of precedence. */
enum option_origin {
    OPTION_FROM_DEFAULT,
    OPTION_FROM_FILE,
    OPTION_FROM_ENVIRONMENT,
    OPTION_FROM_COMMAND_LINE,
    OPTION_FROM_SNAPSHOT, /* in a child */
};

struct options;

struct options_sources {
    const char *file;         /* libconfig file, or NULL */
    bool file_may_be_missing; /* the default place: no error where nothing is there */
    char *const *environment; /* "NAME=value" …, NULL; or NULL: not read */
    const char *const *sets;  /* arguments of --set: "path=value" …; or NULL */
    size_t set_count;
};

/*
 * Reads all sources, fills in what follows from others and checks everything. Every mistake goes
 * into the report, not only the first one. Returns 0 (perhaps with warnings) and the options, or
 * -EINVAL with errors in the report, or -ENOMEM.
 *
 * before: NULL at start; at a reload the options in force, from which secrets are taken over that
 * came from an environment which has been wiped since.
 */
int options_load(const struct options_sources *sources, const struct options *before,
                 struct option_report *report, struct options **ret_options);

/* All defaults, nothing filled in, nothing checked. NULL: out of memory. */
struct options *options_new(void);
void options_free(struct options **options);

/* ---- values ---- */

bool options_bool(const struct options *options, enum option_id id);
uint64_t options_int(const struct options *options, enum option_id id);
uint64_t options_size(const struct options *options, enum option_id id);    /* bytes */
uint64_t options_time_ms(const struct options *options, enum option_id id); /* milliseconds */
/* STRING, PATH, CHOICE, and LIST (as option_list.h has it). Never NULL. Not for secrets. */
const char *options_string(const struct options *options, enum option_id id);
/* A STRING or CHOICE has this value. A word that is none of its choices aborts: a typo shows. */
bool options_is(const struct options *options, enum option_id id, const char *word);

enum option_origin options_origin(const struct options *options, enum option_id id);
/* "default", "/etc/sluice/sluice.conf:12", "NODE_ENV", "command line". */
const char *options_origin_text(const struct options *options, enum option_id id);

/*
 * Sets from text, as it would stand in a file without quotes ("24224", "16M", "30s", "true"); a LIST
 * as option_list.h has it.
 * Checks type and range: -EINVAL and the reason. Secrets are taken too; the reason never holds
 * the value. For tests, tools and benches; sluiced uses options_load.
 */
int options_set(struct options *options, enum option_id id, struct slice text, struct err *err);

/* ---- the table ---- */

const char *option_path(enum option_id id); /* "forward.port" */
unsigned option_roles(enum option_id id);   /* mask of enum option_role */
bool option_is_secret(enum option_id id);
bool option_is_reloadable(enum option_id id); /* taken up without restarting a stage */
bool option_is_fixed(enum option_id id);      /* needs a restart of sluiced */
/* -ENOENT for an unknown path. */
int option_by_path(const char *path, enum option_id *ret_id);

/* ---- secrets ---- */

/* "" where it is not set (or was wiped). The bytes are NUL-terminated behind n. */
struct slice options_secret(const struct options *options, enum option_id id);

/*
 * The set secrets that `role` may see, one per call: start with *cursor = 0. False: no more.
 *     size_t cursor = 0;
 *     while (options_next_secret(o, OPTION_RECEIVER, &cursor, &id)) send(id, options_secret(o, id));
 */
bool options_next_secret(const struct options *options, unsigned role, size_t *cursor,
                         enum option_id *ret_id);

/* In a child: takes a secret that came beside the snapshot. -EINVAL: not one of secrets. */
int options_set_secret(struct options *options, enum option_id id, struct slice value);

/* Overwrites all secrets. After it they read as not set. */
void options_wipe_secrets(struct options *options);

/* Overwrites the values of all variables that hold a secret, in place. Call after options_load. */
void options_wipe_environment(char *const *environment);

/* ---- for children and reload ---- */

/*
 * Appends what `role` may see, without secrets. Layout, little-endian:
 *     u32 magic, u32 version, u32 count, then per option
 *     u16 length, path, u32 length, value as text
 * By path and not by number: a stage may be newer than the sluiced that starts it.
 */
int options_snapshot(const struct options *options, unsigned role, struct buf *buf);

/*
 * Reads one, as untrusted bytes: unknown or doubled paths, options of other roles, secrets, bad
 * values, bytes left over are errors. What it does not name keeps its default.
 */
int options_from_snapshot(struct slice snapshot, unsigned role, struct options **ret_options,
                          struct err *err);

/* A set of options. */
struct options_changes {
    bool changed[OPT_COUNT];
    size_t count;
};

/* Which effective values differ (secrets too). */
void options_diff(const struct options *old, const struct options *new,
                  struct options_changes *ret_changes);

struct options_reload {
    struct options_changes changes;
    unsigned
        restart_roles;     /* stages that must be restarted: they see a change that is not RELOAD */
    unsigned reload_roles; /* stages that get a new snapshot and secrets */
};

/*
 * What a reload from `old` to `new` takes. -EINVAL where a FIXED option changed: each of them is an
 * error in the report, in words, and the reload must be refused.
 */
int options_plan_reload(const struct options *old, const struct options *new,
                        struct option_report *report, struct options_reload *ret_reload);

#endif
