#include "shared/options/option_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define R OPTION_RECEIVER
#define P OPTION_PROCESSOR
#define S OPTION_SHIPPER
#define SECRET OPTION_SECRET
#define RELOAD OPTION_RELOAD
#define FIXED OPTION_FIXED

#define RANGE_BOOL(low, high)
#define RANGE_INT(low, high) .min = (low), .max = (high),
#define RANGE_SIZE(low, high) .min = (low), .max = (high),
#define RANGE_TIME(low, high) .min = (low), .max = (high),
#define RANGE_STRING(low, high)
#define RANGE_PATH(low, high)
#define RANGE_CHOICE(low, high) .words = (low),
#define RANGE_LIST(low, high) .words = (low),

#define OPTION(ID, path_, TYPE, default_, low, high, roles_, flags_, alias_, help_) \
    [OPT_##ID] = {.path = (path_),                                                  \
                  .type = OPTION_TYPE_##TYPE,                                       \
                  .fallback = (default_),                                           \
                  .roles = (roles_),                                                \
                  .flags = (flags_),                                                \
                  .alias = (alias_),                                                \
                  RANGE_##TYPE(low, high).help = (help_)},

static const struct option_row rows[OPT_COUNT] = {
#include "shared/options/options.def"
};

const struct option_row *option_row(enum option_id id)
{
    if ((unsigned)id >= OPT_COUNT)
        abort();
    return &rows[id];
}

const char *option_path(enum option_id id)
{
    return option_row(id)->path;
}

unsigned option_roles(enum option_id id)
{
    return option_row(id)->roles;
}

bool option_is_secret(enum option_id id)
{
    return (option_row(id)->flags & OPTION_SECRET) != 0;
}

bool option_is_reloadable(enum option_id id)
{
    return (option_row(id)->flags & OPTION_RELOAD) != 0;
}

bool option_is_fixed(enum option_id id)
{
    return (option_row(id)->flags & OPTION_FIXED) != 0;
}

int option_by_path(const char *path, enum option_id *ret_id)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        if (strcmp(rows[i].path, path) == 0) {
            *ret_id = (enum option_id)i;
            return 0;
        }
    }
    return -ENOENT;
}

void option_variable(enum option_id id, char ret_name[OPTION_NAME_BYTES])
{
    static const char prefix[] = "SLUICE_";
    const char *path = option_row(id)->path;
    size_t n = sizeof(prefix) - 1;

    memcpy(ret_name, prefix, n);
    for (; *path != '\0' && n < OPTION_NAME_BYTES - 1; path++)
        ret_name[n++] = *path == '.' ? '_' : (char)toupper((unsigned char)*path);
    ret_name[n] = '\0';
}

bool option_is_group(const char *path)
{
    size_t n = strlen(path);

    for (unsigned i = 0; i < OPT_COUNT; i++)
        if (strncmp(rows[i].path, path, n) == 0 && rows[i].path[n] == '.')
            return true;
    return false;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

/*
 * Optimal string alignment distance: insertions, deletions, replacements, and swaps of neighbours,
 * the commonest slip of all. Letter case and the kind of separator do not count.
 */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned rows3[3][OPTION_NAME_BYTES + 1];
    size_t a_n = strlen(a), b_n = strlen(b);

    if (a_n >= OPTION_NAME_BYTES || b_n >= OPTION_NAME_BYTES)
        return OPTION_NAME_BYTES;
    for (size_t j = 0; j <= b_n; j++)
        rows3[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_n; i++) {
        const unsigned *before = rows3[(i + 1) % 3], *above = rows3[(i - 1) % 3];
        unsigned *row = rows3[i % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_n; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
    }
    return rows3[a_n % 3][b_n];
}

static void fold(const char *from, char to[OPTION_NAME_BYTES])
{
    size_t n = 0;

    for (; *from != '\0' && n < OPTION_NAME_BYTES - 1; from++)
        to[n++] = *from == '-' || *from == '_' || *from == '.'
                      ? '.'
                      : (char)tolower((unsigned char)*from);
    to[n] = '\0';
}

int option_nearest(const char *word, enum option_id *ret_id)
{
    char wanted[OPTION_NAME_BYTES], path[OPTION_NAME_BYTES];
    unsigned best = OPTION_NAME_BYTES;
    size_t n;

    fold(word, wanted);
    n = strlen(wanted);
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        const char *last = strrchr(rows[i].path, '.');
        unsigned distance;

        fold(rows[i].path, path);
        distance = edit_distance(wanted, path);
        /* The group forgotten: as good as one slip. */
        if (last != NULL && strcasecmp(word, last + 1) == 0 && distance > 1)
            distance = 1;
        if (distance < best) {
            best = distance;
            *ret_id = (enum option_id)i;
        }
    }
    return n > 2 && best <= 1 + n / 5 ? 0 : -ENOENT;
}
