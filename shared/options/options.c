#include "shared/options/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/secret.h"
#include "shared/options/option_list_json.h"
#include "shared/options/option_value.h"
#include "shared/options/options_internal.h"

struct value {
    uint64_t number;      /* BOOL, INT, SIZE, TIME */
    char *text;           /* STRING, PATH, CHOICE, LIST; owned */
    struct secret secret; /* secrets */
    enum option_origin origin;
    char *place; /* of the origin, owned; NULL: default */
    unsigned line;
    bool broken;
};

struct options {
    struct value values[OPT_COUNT];
    char *place_texts[OPT_COUNT]; /* "file:line" for options_origin_text */
};

static bool is_text(const struct option_row *row)
{
    return row->type == OPTION_TYPE_STRING || row->type == OPTION_TYPE_PATH ||
           row->type == OPTION_TYPE_CHOICE || row->type == OPTION_TYPE_LIST;
}

/* Checks and stores. -EINVAL with the reason, -ENOMEM; the old value stays on errors. */
static int store(struct value *value, const struct option_row *row, struct slice text,
                 struct err *err)
{
    uint64_t number = 0;
    char *copy;
    int r = option_value_check(row, text, &number, err);

    if (r < 0)
        return r;
    if ((row->flags & OPTION_SECRET) != 0) {
        r = secret_set(&value->secret, text);
        return r < 0 ? err_errno(err, -r, "the secret cannot be kept") : 0;
    }
    if (!is_text(row)) {
        value->number = number;
        return 0;
    }
    copy = strndup((const char *)text.p, text.n);
    if (copy == NULL)
        return err_errno(err, ENOMEM, "the value cannot be kept");
    free(value->text);
    value->text = copy;
    return 0;
}

struct options *options_new(void)
{
    struct options *options = calloc(1, sizeof(*options));

    if (options == NULL)
        return NULL;
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);

        if (store(&options->values[i], row, slice_string(row->fallback), NULL) < 0) {
            options_free(&options);
            return NULL;
        }
    }
    return options;
}

void options_free(struct options **options)
{
    struct options *o = *options;

    *options = NULL;
    if (o == NULL)
        return;
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        free(o->values[i].text);
        free(o->values[i].place);
        free(o->place_texts[i]);
        secret_fini(&o->values[i].secret);
    }
    free(o);
}

/* ---- values ---- */

/* A getter of the wrong type is a bug of the caller that its first run shows. */
static const struct value *value_of(const struct options *options, enum option_id id, bool fits)
{
    if (!fits)
        abort();
    return &options->values[id];
}

bool options_bool(const struct options *options, enum option_id id)
{
    return value_of(options, id, option_row(id)->type == OPTION_TYPE_BOOL)->number != 0;
}

uint64_t options_int(const struct options *options, enum option_id id)
{
    return value_of(options, id, option_row(id)->type == OPTION_TYPE_INT)->number;
}

uint64_t options_size(const struct options *options, enum option_id id)
{
    return value_of(options, id, option_row(id)->type == OPTION_TYPE_SIZE)->number;
}

uint64_t options_time_ms(const struct options *options, enum option_id id)
{
    return value_of(options, id, option_row(id)->type == OPTION_TYPE_TIME)->number;
}

const char *options_string(const struct options *options, enum option_id id)
{
    return value_of(options, id, is_text(option_row(id)) && !option_is_secret(id))->text;
}

bool options_is(const struct options *options, enum option_id id, const char *word)
{
    const struct option_row *row = option_row(id);
    bool fits =
        row->type == OPTION_TYPE_STRING ||
        (row->type == OPTION_TYPE_CHOICE && option_value_is_word(row->words, slice_string(word)));

    return strcmp(value_of(options, id, fits)->text, word) == 0;
}

enum option_origin options_origin(const struct options *options, enum option_id id)
{
    return value_of(options, id, (unsigned)id < OPT_COUNT)->origin;
}

const char *options_origin_text(const struct options *options, enum option_id id)
{
    const struct value *value = value_of(options, id, (unsigned)id < OPT_COUNT);

    if (options->place_texts[id] != NULL)
        return options->place_texts[id];
    if (value->place != NULL)
        return value->place;
    return value->origin == OPTION_FROM_SNAPSHOT ? "sluiced" : "default";
}

struct option_place options_place(const struct options *options, enum option_id id)
{
    const struct value *value = value_of(options, id, (unsigned)id < OPT_COUNT);

    return (struct option_place){.place = value->place, .line = value->line};
}

const char *options_show(const struct options *options, enum option_id id, char *text, size_t size)
{
    const struct option_row *row = option_row(id);

    if ((row->flags & OPTION_SECRET) != 0)
        return options->values[id].secret.n > 0 ? "(set)" : "(not set)";
    if (is_text(row))
        return options->values[id].text;
    return option_value_format(row, options->values[id].number, text, size);
}

/* ---- setting ---- */

static void set_place(struct options *options, enum option_id id, enum option_origin origin,
                      struct option_place place)
{
    struct value *value = &options->values[id];

    free(value->place);
    free(options->place_texts[id]);
    options->place_texts[id] = NULL;
    /* Out of memory here costs only words. */
    value->place = place.place != NULL ? strdup(place.place) : NULL;
    value->line = place.line;
    value->origin = origin;
    if (place.place != NULL && place.line > 0 &&
        asprintf(&options->place_texts[id], "%s:%u", place.place, place.line) < 0)
        options->place_texts[id] = NULL;
}

void options_assign(struct options *options, enum option_id id, struct slice text,
                    enum option_origin origin, struct option_place place,
                    struct option_report *report)
{
    struct value *value = &options->values[id];
    struct err err = {0};

    if (store(value, option_row(id), text, &err) < 0) {
        value->broken = true;
        option_report_add(report, OPTION_ERROR, place, option_path(id), "%s", err.text);
        return;
    }
    set_place(options, id, origin, place);
}

void options_assign_written(struct options *options, enum option_id id, struct slice text,
                            enum option_origin origin, struct option_place place,
                            struct option_report *report)
{
    const struct option_row *row = option_row(id);
    struct option_list list;
    struct err err = {0};
    int r;

    if (row->type != OPTION_TYPE_LIST || text.n == 0) {
        options_assign(options, id, text, origin, place, report);
        return;
    }
    r = option_list_init(&list, row->words);
    if (r < 0)
        err_errno(&err, -r, "the list cannot be read");
    else
        r = option_list_json(&list, text, &err);
    if (r == 0) {
        options_assign(options, id, buf_slice(&list.text), origin, place, report);
    } else {
        options_mark_broken(options, id);
        option_report_add(report, OPTION_ERROR, place, option_path(id), "%s", err.text);
    }
    option_list_fini(&list);
}

void options_mark_broken(struct options *options, enum option_id id)
{
    options->values[id].broken = true;
}

bool options_is_broken(const struct options *options, enum option_id id)
{
    return options->values[id].broken;
}

int options_fill(struct options *options, enum option_id id, const char *text)
{
    return store(&options->values[id], option_row(id), slice_string(text), NULL);
}

int options_set(struct options *options, enum option_id id, struct slice text, struct err *err)
{
    int r = store(&options->values[id], option_row(id), text, err);

    if (r < 0) {
        err_prefix(err, "%s", option_path(id));
        return r;
    }
    set_place(options, id, OPTION_FROM_COMMAND_LINE,
              (struct option_place){.place = "command line"});
    return 0;
}

void options_mark_snapshot(struct options *options)
{
    for (unsigned i = 0; i < OPT_COUNT; i++)
        set_place(options, (enum option_id)i, OPTION_FROM_SNAPSHOT, (struct option_place){0});
}

/* ---- loading ---- */

/*
 * The environment's secrets were overwritten after the start, so a reload takes them from the
 * options in force, where nothing of higher precedence sets them; an empty list too, which comes
 * over the file's. Secrets from a NAME_FILE are not: the file is there to be read again.
 */
static int keep_environment_secrets(struct options *options, const struct options *before)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const struct value *old = &before->values[i];
        int r;

        if (!option_is_secret((enum option_id)i) || old->origin != OPTION_FROM_ENVIRONMENT ||
            old->line != 0 || options->values[i].origin >= OPTION_FROM_ENVIRONMENT)
            continue;
        if (old->place != NULL && strlen(old->place) > 5 &&
            strcmp(old->place + strlen(old->place) - 5, "_FILE") == 0)
            continue;
        r = secret_set(&options->values[i].secret, secret_slice(&old->secret));
        if (r < 0)
            return r;
        set_place(options, (enum option_id)i, OPTION_FROM_ENVIRONMENT,
                  (struct option_place){.place = old->place});
    }
    return 0;
}

static int load(struct options *options, const struct options_sources *sources,
                const struct options *before, struct option_report *report)
{
    bool readable = true;
    int r;

    if (sources->file != NULL)
        readable =
            options_file_load(options, sources->file, sources->file_may_be_missing, report) == 0;
    if (sources->environment != NULL)
        options_environment_load(options, sources->environment, report);
    for (size_t i = 0; i < sources->set_count; i++)
        options_environment_set(options, sources->sets[i], report);
    if (before != NULL) {
        r = keep_environment_secrets(options, before);
        if (r < 0)
            return r;
    }
    r = options_check_fill(options);
    if (r < 0)
        return r;
    if (readable)
        r = options_check(options, report);
    if (r < 0)
        return r;
    return report->errors > 0 ? -EINVAL : 0;
}

int options_load(const struct options_sources *sources, const struct options *before,
                 struct option_report *report, struct options **ret_options)
{
    struct options *options = options_new();
    int r;

    if (options == NULL)
        return -ENOMEM;
    r = load(options, sources, before, report);
    if (r < 0) {
        options_free(&options);
        return r;
    }
    *ret_options = options;
    return 0;
}

/* ---- secrets ---- */

struct slice options_secret(const struct options *options, enum option_id id)
{
    const struct value *value = value_of(options, id, option_is_secret(id));

    return slice_of(secret_text(&value->secret), value->secret.n);
}

bool options_next_secret(const struct options *options, unsigned role, size_t *cursor,
                         enum option_id *ret_id)
{
    while (*cursor < OPT_COUNT) {
        enum option_id id = (enum option_id)(*cursor)++;

        if (option_is_secret(id) && (option_roles(id) & role) != 0 &&
            options->values[id].secret.n > 0) {
            *ret_id = id;
            return true;
        }
    }
    return false;
}

int options_set_secret(struct options *options, enum option_id id, struct slice value)
{
    if ((unsigned)id >= OPT_COUNT || !option_is_secret(id))
        return -EINVAL;
    return store(&options->values[id], option_row(id), value, NULL);
}

void options_wipe_secrets(struct options *options)
{
    for (unsigned i = 0; i < OPT_COUNT; i++)
        secret_fini(&options->values[i].secret);
}

/* ---- reload ---- */

static bool value_equal(const struct option_row *row, const struct value *a, const struct value *b)
{
    if ((row->flags & OPTION_SECRET) != 0)
        return secret_equal(secret_slice(&a->secret), secret_slice(&b->secret));
    if (is_text(row))
        return strcmp(a->text, b->text) == 0;
    return a->number == b->number;
}

void options_diff(const struct options *old, const struct options *new,
                  struct options_changes *ret_changes)
{
    *ret_changes = (struct options_changes){0};
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        if (value_equal(option_row((enum option_id)i), &old->values[i], &new->values[i]))
            continue;
        ret_changes->changed[i] = true;
        ret_changes->count++;
    }
}

int options_plan_reload(const struct options *old, const struct options *new,
                        struct option_report *report, struct options_reload *ret_reload)
{
    struct options_reload reload = {0};
    char before[64], after[64];
    bool refused = false;

    options_diff(old, new, &reload.changes);
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        enum option_id id = (enum option_id)i;

        if (!reload.changes.changed[i])
            continue;
        if (option_is_reloadable(id)) {
            reload.reload_roles |= option_roles(id);
        } else if (!option_is_fixed(id)) {
            reload.restart_roles |= option_roles(id);
        } else {
            refused = true;
            option_report_add(report, OPTION_ERROR, options_place(new, id), option_path(id),
                              "cannot change while sluiced runs (it is \"%s\" now, \"%s\" in the "
                              "new configuration): restart sluiced to change it",
                              options_show(old, id, before, sizeof(before)),
                              options_show(new, id, after, sizeof(after)));
        }
    }
    if (refused)
        return -EINVAL;
    reload.reload_roles &= ~reload.restart_roles;
    *ret_reload = reload;
    return 0;
}
