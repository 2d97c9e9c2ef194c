/*
 * options_file: values from the configuration file, over libconfig. Groups are one level deep:
 * `forward: { port = 24224; };` sets forward.port.
 */
#include "shared/options/options_internal.h"

#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/secret.h"
#include "shared/options/option_list.h"
#include "shared/options/option_source.h"

#define PATH_BYTES 256
#define MAX_DEPTH 8 /* of groups that are looked into to name what is unknown */

struct load {
    struct options *options;
    struct option_report *report;
    struct option_source source;
};

/* A group, and the member that comes next. */
struct group {
    config_setting_t *setting;
    unsigned next;
    size_t path_n; /* of the group's own path in `path` */
};

static struct option_place place_of(const struct load *load, const config_setting_t *setting)
{
    return option_source_place(&load->source, config_setting_source_line(setting));
}

#define MISTAKE(load, setting, path, ...)                                                \
    option_report_add((load)->report, OPTION_ERROR, place_of((load), (setting)), (path), \
                      __VA_ARGS__)

static const char *wrong_type_words(const struct option_row *row, int type)
{
    if (row->type == OPTION_TYPE_LIST)
        return "takes a list of groups, ( { NAME = \"...\"; }, ... ), or the same as JSON in "
               "double "
               "quotes";
    if (type == CONFIG_TYPE_GROUP || type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY)
        return "takes one value, not a group or a list";
    switch (row->type) {
    case OPTION_TYPE_BOOL:
        return "takes true or false, without quotes";
    case OPTION_TYPE_INT:
        return type == CONFIG_TYPE_STRING ? "takes a whole number, without quotes"
                                          : "takes a whole number";
    case OPTION_TYPE_SIZE:
        return "takes a size: bytes, or a number with k, M or G in double quotes, as in \"16M\"";
    case OPTION_TYPE_TIME:
        return "takes a time in double quotes: a number with ms, s, m or h, as in \"30s\"";
    default:
        return "takes text in double quotes";
    }
}

static bool type_fits(const struct option_row *row, int type)
{
    bool whole = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;

    switch (row->type) {
    case OPTION_TYPE_BOOL:
        return type == CONFIG_TYPE_BOOL;
    case OPTION_TYPE_INT:
        return whole;
    case OPTION_TYPE_SIZE:
    case OPTION_TYPE_TIME:
        return whole || type == CONFIG_TYPE_STRING;
    case OPTION_TYPE_LIST:
        return type == CONFIG_TYPE_STRING || type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;
    default:
        return type == CONFIG_TYPE_STRING;
    }
}

/* libconfig frees them without overwriting them. */
static void wipe(const char *text)
{
    secret_wipe((char *)(uintptr_t)text, strlen(text));
}

static void warn_if_public(struct load *load, enum option_id id, config_setting_t *setting)
{
    struct option_place place = place_of(load, setting);

    if (option_source_is_public(&load->source, config_setting_source_line(setting)))
        option_report_add(load->report, OPTION_WARNING, place, option_path(id),
                          "a secret stands in a file that every user can read: chmod o= %s",
                          place.place);
}

static void assign_secret(struct load *load, enum option_id id, config_setting_t *setting)
{
    const char *text = config_setting_get_string(setting);

    options_assign_written(load->options, id, slice_string(text), OPTION_FROM_FILE,
                           place_of(load, setting), load->report);
    if (*text != '\0')
        warn_if_public(load, id, setting);
    wipe(text);
}

/* ---- lists ---- */

static int put_text(struct option_list *list, const config_setting_t *setting, struct err *err)
{
    const char *text = config_setting_get_string(setting);

    if (text == NULL)
        return option_list_refuse(list, "takes texts in double quotes", err);
    return option_list_text(list, slice_string(text), err);
}

/* A name of an element, with one text or a list of them. */
static int put_member(struct option_list *list, const config_setting_t *setting, struct err *err)
{
    bool is_list = config_setting_is_list(setting) || config_setting_is_array(setting);
    int r = option_list_name(list, slice_string(config_setting_name(setting)), is_list, err);

    if (r == 0 && !is_list)
        return put_text(list, setting, err);
    for (int i = 0; r == 0 && i < config_setting_length(setting); i++)
        r = put_text(list, config_setting_get_elem(setting, (unsigned)i), err);
    return r;
}

/* *ret_at: what the mistake is about. */
static int put_element(struct option_list *list, const config_setting_t *element, struct err *err,
                       const config_setting_t **ret_at)
{
    int r = 0;

    option_list_begin(list);
    *ret_at = element;
    if (!config_setting_is_group(element))
        return option_list_refuse(list, "is no group: write { NAME = \"...\"; }", err);
    for (int i = 0; r == 0 && i < config_setting_length(element); i++) {
        *ret_at = config_setting_get_elem(element, (unsigned)i);
        r = put_member(list, *ret_at, err);
    }
    return r < 0 ? r : option_list_end(list, err);
}

static void wipe_text(const config_setting_t *setting)
{
    const char *text = config_setting_get_string(setting);

    if (text != NULL)
        wipe(text);
}

/* All texts of a list, of elements, of members: also of what was not read because of a mistake. */
static void wipe_list(const config_setting_t *list)
{
    for (int i = 0; i < config_setting_length(list); i++) {
        const config_setting_t *element = config_setting_get_elem(list, (unsigned)i);

        wipe_text(element);
        for (int j = 0; j < config_setting_length(element); j++) {
            const config_setting_t *member = config_setting_get_elem(element, (unsigned)j);

            wipe_text(member);
            for (int k = 0; k < config_setting_length(member); k++)
                wipe_text(config_setting_get_elem(member, (unsigned)k));
        }
    }
}

static void assign_list(struct load *load, enum option_id id, config_setting_t *setting)
{
    const config_setting_t *at = setting;
    struct option_list list;
    struct err err = {0};
    int r = option_list_init(&list, option_row(id)->words);

    if (r < 0)
        err_errno(&err, -r, "the list cannot be read");
    for (int i = 0; r == 0 && i < config_setting_length(setting); i++)
        r = put_element(&list, config_setting_get_elem(setting, (unsigned)i), &err, &at);
    if (r == 0) {
        options_assign(load->options, id, buf_slice(&list.text), OPTION_FROM_FILE,
                       place_of(load, setting), load->report);
        if (list.elements > 0 && option_is_secret(id))
            warn_if_public(load, id, setting);
    } else {
        options_mark_broken(load->options, id);
        MISTAKE(load, at, option_path(id), "%s", err.text);
    }
    option_list_fini(&list);
    wipe_list(setting);
}

/* ---- values ---- */

static void assign(struct load *load, enum option_id id, config_setting_t *setting)
{
    const struct option_row *row = option_row(id);
    int type = config_setting_type(setting);
    const char *text;
    char number[32];

    if (!type_fits(row, type)) {
        options_mark_broken(load->options, id);
        MISTAKE(load, setting, row->path, "%s", wrong_type_words(row, type));
        return;
    }
    if (row->type == OPTION_TYPE_LIST && type != CONFIG_TYPE_STRING) {
        assign_list(load, id, setting);
        return;
    }
    if (option_is_secret(id)) {
        assign_secret(load, id, setting);
        return;
    }
    text = number;
    if (type == CONFIG_TYPE_STRING)
        text = config_setting_get_string(setting);
    else if (type == CONFIG_TYPE_BOOL)
        snprintf(number, sizeof(number), "%s", config_setting_get_bool(setting) ? "true" : "false");
    else
        snprintf(number, sizeof(number), "%lld", config_setting_get_int64(setting));
    options_assign_written(load->options, id, slice_string(text), OPTION_FROM_FILE,
                           place_of(load, setting), load->report);
}

static void report_unknown(struct load *load, config_setting_t *setting, const char *path)
{
    enum option_id id;

    if (option_is_group(path))
        MISTAKE(load, setting, path, "is a group: write %s: { ... }", path);
    else if (option_nearest(path, &id) == 0)
        MISTAKE(load, setting, path, "unknown option; did you mean %s?", option_path(id));
    else
        MISTAKE(load, setting, path, "unknown option");
}

/* Depth first, with a stack of its own: the depth is the file's. */
static void walk(struct load *load, config_setting_t *root)
{
    struct group stack[MAX_DEPTH] = {{.setting = root}};
    char path[PATH_BYTES] = "";
    size_t depth = 1;

    while (depth > 0) {
        struct group *group = &stack[depth - 1];
        config_setting_t *setting = config_setting_get_elem(group->setting, group->next++);
        enum option_id id;

        path[group->path_n] = '\0';
        if (setting == NULL) {
            depth--;
            continue;
        }
        snprintf(path + group->path_n, sizeof(path) - group->path_n, "%s%s",
                 group->path_n > 0 ? "." : "", config_setting_name(setting));
        if (option_by_path(path, &id) == 0)
            assign(load, id, setting);
        else if (config_setting_is_group(setting) && depth < MAX_DEPTH &&
                 (config_setting_length(setting) > 0 || option_is_group(path)))
            stack[depth++] = (struct group){.setting = setting, .path_n = strlen(path)};
        else
            report_unknown(load, setting, path);
    }
}

static int parse(struct load *load)
{
    struct option_place place;
    const char *words;
    config_t config;
    int r = 0;

    config_init(&config);
    if (config_read_string(&config, (const char *)load->source.text.p)) {
        walk(load, config_root_setting(&config));
    } else {
        place = option_source_place(&load->source, (unsigned)config_error_line(&config));
        words = config_error_text(&config);
        option_report_add(
            load->report, OPTION_ERROR, place, NULL, "%s",
            words != NULL && strstr(words, "duplicate") != NULL
                ? "this name was given before: an option, and a group, may stand only once"
                : "syntax error here or just before: write NAME = VALUE; and GROUP: { ... };");
        r = -EINVAL;
    }
    config_destroy(&config);
    return r;
}

int options_file_load(struct options *options, const char *path, bool may_be_missing,
                      struct option_report *report)
{
    struct load load = {.options = options, .report = report};
    int r = option_source_read(&load.source, path, report);

    if (r == -ENOENT && !may_be_missing)
        option_report_add(report, OPTION_ERROR, (struct option_place){.place = path}, NULL,
                          "cannot be read: %s", strerror(ENOENT));
    if (r == -ENOENT)
        r = may_be_missing ? 0 : -EINVAL;
    else if (r == 0)
        r = parse(&load);
    option_source_fini(&load.source);
    return r;
}
