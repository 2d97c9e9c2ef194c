#include "shared/options/option_group.h"

#include <stdio.h>
#include <string.h>

#include "shared/options/option_list.h"
#include "shared/options/option_value.h"

struct slice option_group_of(enum option_id id)
{
    const char *path = option_path(id);
    size_t n = strcspn(path, ".");

    return slice_of(path, path[n] == '.' ? n : 0);
}

const char *option_group_member(enum option_id id)
{
    size_t n = option_group_of(id).n;

    return option_path(id) + (n > 0 ? n + 1 : 0);
}

/* The groups come in the order of their first rows, the members in the order of the table. */
struct option_ordered option_group_order(void)
{
    struct option_ordered ordered;
    bool taken[OPT_COUNT] = {false};
    size_t n = 0;

    for (unsigned i = 0; i < OPT_COUNT; i++) {
        if (option_group_of((enum option_id)i).n > 0)
            continue;
        taken[i] = true;
        ordered.ids[n++] = (enum option_id)i;
    }
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        struct slice group = option_group_of((enum option_id)i);

        for (unsigned k = i; k < OPT_COUNT; k++) {
            if (taken[k] || !slice_equal(option_group_of((enum option_id)k), group))
                continue;
            taken[k] = true;
            ordered.ids[n++] = (enum option_id)k;
        }
    }
    return ordered;
}

const char *option_group_takes(enum option_id id, char *text, size_t size)
{
    static const char *const kinds[] = {
        [OPTION_TYPE_INT] = "a number",
        [OPTION_TYPE_SIZE] = "a size",
        [OPTION_TYPE_TIME] = "a time",
    };
    const struct option_row *row = option_row(id);
    char low[32], high[32], names[128];

    switch (row->type) {
    case OPTION_TYPE_BOOL:
        snprintf(text, size, "true or false");
        break;
    case OPTION_TYPE_STRING:
        snprintf(text, size, (row->flags & OPTION_SECRET) != 0 ? "a secret" : "text");
        break;
    case OPTION_TYPE_PATH:
        snprintf(text, size, "an absolute path");
        break;
    case OPTION_TYPE_CHOICE:
        option_value_list_words(row->words, text, size);
        break;
    case OPTION_TYPE_LIST:
        snprintf(text, size, "a list; each element may have %s",
                 option_list_names(row->words, names, sizeof(names)));
        break;
    default:
        snprintf(text, size, "%s, %s to %s", kinds[row->type],
                 option_value_format(row, row->min, low, sizeof(low)),
                 option_value_format(row, row->max, high, sizeof(high)));
    }
    return text;
}

const char *option_group_default(enum option_id id, char *text, size_t size)
{
    const struct option_row *row = option_row(id);
    bool bare = row->type == OPTION_TYPE_BOOL || row->type == OPTION_TYPE_INT;

    if (row->type == OPTION_TYPE_LIST)
        snprintf(text, size, "()");
    else
        snprintf(text, size, bare ? "%s" : "\"%s\"", row->fallback);
    return text;
}
