#include "shared/options/option_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/num.h"
#include "shared/options/option_list.h"

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Largest first, the one to show before the ones that are only understood. */
static const struct unit size_units[] = {
    {"G", 1 << 30}, {"M", 1 << 20}, {"k", 1 << 10}, {"", 1},
    {"g", 1 << 30}, {"m", 1 << 20}, {"K", 1 << 10},
};

static const struct unit time_units[] = {
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* How much of a value a message quotes. */
#define QUOTE_MAX 80

static int quoted(struct slice text)
{
    return text.n > QUOTE_MAX ? QUOTE_MAX : (int)text.n;
}

bool option_value_is_word(const char *words, struct slice word)
{
    for (;;) {
        size_t n = strcspn(words, "|");

        if (slice_equal(slice_of(words, n), word))
            return true;
        if (words[n] == '\0')
            return false;
        words += n + 1;
    }
}

/* Digits and a unit. -EINVAL: not that form. -EOVERFLOW: too large for any range. */
static int parse_with_unit(struct slice text, const struct unit *units, size_t count,
                           uint64_t *ret_number)
{
    size_t digits = 0;
    uint64_t number;
    int r;

    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    r = num_parse_u64(slice_of(text.p, digits), &number);
    if (r < 0)
        return r;
    if (number == 0 && digits == text.n) { /* 0 is 0 in every unit */
        *ret_number = 0;
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        if (slice_is(slice_of(text.p + digits, text.n - digits), units[i].suffix))
            return num_mul_u64(number, units[i].factor, ret_number);
    return -EINVAL;
}

static int parse_bool(struct slice text, uint64_t *ret_number)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < COUNT(yes); i++) {
        if (slice_is(text, yes[i]) || slice_is(text, no[i])) {
            *ret_number = slice_is(text, yes[i]);
            return 0;
        }
    }
    return -EINVAL;
}

static const char *type_words(const struct option_row *row)
{
    switch (row->type) {
    case OPTION_TYPE_BOOL:
        return "is neither true nor false";
    case OPTION_TYPE_INT:
        return "is not a whole number";
    case OPTION_TYPE_SIZE:
        return "is not a size: write bytes, or k, M or G behind the number, as in 16M";
    case OPTION_TYPE_TIME:
        return "is not a time: write a number and its unit, ms, s, m or h, as in 30s";
    default:
        return "";
    }
}

static int parse_number(const struct option_row *row, struct slice text, uint64_t *ret_number)
{
    switch (row->type) {
    case OPTION_TYPE_BOOL:
        return parse_bool(text, ret_number);
    case OPTION_TYPE_SIZE:
        return parse_with_unit(text, size_units, COUNT(size_units), ret_number);
    case OPTION_TYPE_TIME:
        return parse_with_unit(text, time_units, COUNT(time_units), ret_number);
    default:
        return num_parse_u64(text, ret_number);
    }
}

static int check_number(const struct option_row *row, struct slice text, uint64_t *ret_number,
                        struct err *err)
{
    char bound[32];
    uint64_t number = 0;
    int r = parse_number(row, text, &number);
    bool negative = text.n > 1 && text.p[0] == '-' && text.p[1] >= '0' && text.p[1] <= '9';

    if (r == -EINVAL && text.n == 0)
        return err_set(err, EINVAL, "the value is empty");
    if (r == -EINVAL && !negative)
        return err_set(err, EINVAL, "\"%.*s\" %s", quoted(text), (const char *)text.p,
                       type_words(row));
    if (row->type != OPTION_TYPE_BOOL && (negative || (r == 0 && number < row->min)))
        return err_set(err, EINVAL, "\"%.*s\" is below the least allowed, %s", quoted(text),
                       (const char *)text.p,
                       option_value_format(row, row->min, bound, sizeof(bound)));
    if (row->type != OPTION_TYPE_BOOL && (r == -EOVERFLOW || number > row->max))
        return err_set(err, EINVAL, "\"%.*s\" is above the most allowed, %s", quoted(text),
                       (const char *)text.p,
                       option_value_format(row, row->max, bound, sizeof(bound)));
    if (r < 0)
        return err_set(err, EINVAL, "\"%.*s\" %s", quoted(text), (const char *)text.p,
                       type_words(row));
    *ret_number = number;
    return 0;
}

void option_value_list_words(const char *words, char *list, size_t size)
{
    size_t used = 0;

    list[0] = '\0';
    while (*words != '\0' && used < size - 1) {
        int n = (int)strcspn(words, "|");
        const char *next = words[n] == '|' ? words + n + 1 : words + n;
        const char *join = *next == '\0' ? "" : strchr(next, '|') != NULL ? ", " : " or ";

        used += (size_t)snprintf(list + used, size - used, "%.*s%s", n, words, join);
        words = next;
    }
}

/* A newline in a key would end its HTTP header; none of these belongs into any value. */
static int check_characters(const struct option_row *row, struct slice text, struct err *err)
{
    const char *what = (row->flags & OPTION_SECRET) != 0 ? "the secret" : "the value";

    if (text.n > OPTION_TEXT_MAX_BYTES)
        return err_set(err, EINVAL, "%s is longer than %d bytes", what, OPTION_TEXT_MAX_BYTES);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 || text.p[i] == 0x7f)
            return err_set(err, EINVAL, "%s holds a control character (code %u, place %zu)%s", what,
                           text.p[i], i + 1,
                           text.p[i] == '\n' || text.p[i] == '\r' ? ": a line break" : "");
    return 0;
}

int option_value_check(const struct option_row *row, struct slice text, uint64_t *ret_number,
                       struct err *err)
{
    char list[256];
    int r;

    switch (row->type) {
    case OPTION_TYPE_CHOICE:
        if (option_value_is_word(row->words, text))
            return 0;
        option_value_list_words(row->words, list, sizeof(list));
        return err_set(err, EINVAL, "\"%.*s\" is not one of its values: %s", quoted(text),
                       (const char *)text.p, list);
    case OPTION_TYPE_STRING:
        return check_characters(row, text, err);
    case OPTION_TYPE_LIST:
        return option_list_check(row->words, text, err);
    case OPTION_TYPE_PATH:
        r = check_characters(row, text, err);
        if (r == 0 && text.n > 0 && text.p[0] != '/')
            r = err_set(err, EINVAL, "\"%.*s\" is not an absolute path: it must begin with /",
                        quoted(text), (const char *)text.p);
        return r;
    default:
        return check_number(row, text, ret_number, err);
    }
}

const char *option_value_format(const struct option_row *row, uint64_t number, char *text,
                                size_t size)
{
    const struct unit *units = row->type == OPTION_TYPE_SIZE ? size_units : time_units;
    size_t i = 0;

    if (row->type == OPTION_TYPE_BOOL) {
        snprintf(text, size, "%s", number != 0 ? "true" : "false");
    } else if (row->type == OPTION_TYPE_INT || number == 0) {
        snprintf(text, size, "%" PRIu64, number);
    } else {
        while (number % units[i].factor != 0) /* the smallest unit divides everything */
            i++;
        snprintf(text, size, "%" PRIu64 "%s", number / units[i].factor, units[i].suffix);
    }
    return text;
}
