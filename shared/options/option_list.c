#include "shared/options/option_list.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "shared/base/secret.h"

/* One of the words. */
struct word {
    struct slice name;
    unsigned place;
    bool is_list;
};

/* Takes the first word off *words. False: there is none. */
static bool next_word(const char **words, struct word *word)
{
    size_t n = strcspn(*words, "|");

    if (n == 0)
        return false;
    word->is_list = n > 2 && memcmp(*words + n - 2, "[]", 2) == 0;
    word->name = slice_of(*words, word->is_list ? n - 2 : n);
    *words += (*words)[n] == '|' ? n + 1 : n;
    return true;
}

static bool find_word(const char *words, struct slice name, struct word *ret)
{
    struct word word = {0};

    for (; next_word(&words, &word); word.place++) {
        if (slice_equal(word.name, name)) {
            *ret = word;
            return true;
        }
    }
    return false;
}

const char *option_list_names(const char *words, char *text, size_t size)
{
    struct word word = {0};
    size_t used = 0;

    text[0] = '\0';
    while (used < size && next_word(&words, &word))
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", used > 0 ? ", " : "",
                                 (int)word.name.n, (const char *)word.name.p);
    return text;
}

/* The reason why it cannot be a text, or NULL. */
static const char *bad_text(struct slice text)
{
    if (text.n == 0)
        return "is empty: leave it out";
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 || text.p[i] == 0x7f)
            return "holds a control character";
    return NULL;
}

/* ---- reading ---- */

/* The line in front, with its newline; empty: there is none. */
static struct slice first_line(struct slice text)
{
    const uint8_t *end = text.n > 0 ? memchr(text.p, '\n', text.n) : NULL;

    return slice_of(text.p, end ? (size_t)(end - text.p) + 1 : 0);
}

bool option_list_next(struct slice *rest, struct option_list_entry *entry)
{
    struct slice line = first_line(*rest);
    const uint8_t *equals;

    if (entry->element == 0 || line.n == 1) {
        entry->element++;
        if (line.n == 1) {
            *rest = slice_of(rest->p + 1, rest->n - 1);
            line = first_line(*rest);
        }
    }
    equals = line.n > 1 ? memchr(line.p, '=', line.n) : NULL;
    if (!equals)
        return false;
    entry->name = slice_of(line.p, (size_t)(equals - line.p));
    entry->value = slice_of(equals + 1, (size_t)(line.p + line.n - 1 - (equals + 1)));
    *rest = slice_of(rest->p + line.n, rest->n - line.n);
    return true;
}

static bool is_good_entry(const char *words, const struct option_list_entry *entry,
                          const struct option_list_entry *before)
{
    struct word word;

    if (!find_word(words, entry->name, &word) || bad_text(entry->value))
        return false;
    /* Several texts of a name stand together; one that takes one text has one. */
    return word.is_list || entry->element != before->element ||
           !slice_equal(entry->name, before->name);
}

int option_list_check(const char *words, struct slice text, struct err *err)
{
    struct option_list_entry entry = {0}, before = {0};
    struct slice rest = text;

    if (text.n == 0)
        return 0;
    if (text.n > OPTION_LIST_MAX_BYTES)
        return err_set(err, EINVAL, "the list takes more than %u bytes", OPTION_LIST_MAX_BYTES);
    while (option_list_next(&rest, &entry)) {
        if (!is_good_entry(words, &entry, &before))
            return err_set(err, EINVAL, "element %u: has what does not belong there",
                           entry.element);
        before = entry;
    }
    if (rest.n != 0 || text.p[0] == '\n' || text.n < 2 || text.p[text.n - 2] != '\n')
        return err_set(err, EINVAL, "is no list");
    return 0;
}

/* ---- writing ---- */

int option_list_init(struct option_list *list, const char *words)
{
    *list = (struct option_list){.words = words};
    buf_init(&list->text, OPTION_LIST_MAX_BYTES);
    /* All of it at once: growing would leave copies behind. */
    return buf_reserve(&list->text, OPTION_LIST_MAX_BYTES);
}

void option_list_fini(struct option_list *list)
{
    if (list->text.p)
        secret_wipe(list->text.p, list->text.cap);
    buf_fini(&list->text);
}

int option_list_refuse(const struct option_list *list, const char *words, struct err *err)
{
    return err_set(err, EINVAL, "element %u: %s", list->elements, words);
}

/* About the name that is being written, which is one of the words. */
static int refuse_name(const struct option_list *list, const char *words, struct err *err)
{
    return err_set(err, EINVAL, "element %u: %.*s %s", list->elements, (int)list->name.n,
                   (const char *)list->name.p, words);
}

void option_list_begin(struct option_list *list)
{
    list->elements++;
    list->seen = 0;
    list->wants_text = false;
}

int option_list_name(struct option_list *list, struct slice name, bool is_list, struct err *err)
{
    struct word word;
    char names[128];

    if (list->wants_text)
        return refuse_name(list, "is empty: leave it out", err);
    if (!find_word(list->words, name, &word) || word.place >= CHAR_BIT * sizeof(list->seen))
        return err_set(err, EINVAL, "element %u: has an unknown name; it may have %s",
                       list->elements, option_list_names(list->words, names, sizeof(names)));
    list->name = word.name;
    if (list->seen & 1ul << word.place)
        return refuse_name(list, "is given twice", err);
    if (word.is_list && !is_list)
        return refuse_name(list, "takes a list of texts", err);
    if (!word.is_list && is_list)
        return refuse_name(list, "takes one text, not a list", err);
    list->seen |= 1ul << word.place;
    list->wants_text = true;
    return 0;
}

static int append(struct option_list *list, struct slice text, struct err *err)
{
    if (buf_append(&list->text, text.p, text.n) == 0)
        return 0;
    return err_set(err, EINVAL, "the list takes more than %u bytes", OPTION_LIST_MAX_BYTES);
}

int option_list_text(struct option_list *list, struct slice text, struct err *err)
{
    const char *bad = bad_text(text);
    int r;

    if (bad)
        return refuse_name(list, bad, err);
    list->wants_text = false;
    r = append(list, list->name, err);
    if (r == 0)
        r = append(list, SLICE_LITERAL("="), err);
    if (r == 0)
        r = append(list, text, err);
    if (r == 0)
        r = append(list, SLICE_LITERAL("\n"), err);
    return r;
}

int option_list_end(struct option_list *list, struct err *err)
{
    if (list->wants_text)
        return refuse_name(list, "is empty: leave it out", err);
    if (list->seen == 0)
        return option_list_refuse(list, "is empty", err);
    return append(list, SLICE_LITERAL("\n"), err);
}
