/*
 * option_list: values of type LIST: elements, each of named texts. Whoever reads a source writes it
 * with the writer below, from libconfig's groups or from JSON; whoever uses one reads it with
 * option_list_next:
 *
 *     ( { network = "10.0.0.0/8"; users = ("a", "b"); } )       in the file
 *     [{"network": "10.0.0.0/8", "users": ["a", "b"]}]          in the environment, or in quotes
 *
 * The value itself is text, a line for each name and an empty line behind each element:
 *
 *     network=10.0.0.0/8
 *     users=a
 *     users=b
 *
 * Not JSON, so that the stages, which get it from sluiced, need no parser for it.
 *
 * Which names an element may have is in the row's words, "host|network|users[]"; behind a name, []
 * says that it takes a list of texts. What a name must look like, and which must be there, is for
 * whoever knows the option. Errors are -EINVAL (-ENOMEM) and a reason that names the element (from
 * 1) but never shows a value or an unknown name: a list may be a secret.
 */
#ifndef SHARED_OPTIONS_OPTION_LIST_H
#define SHARED_OPTIONS_OPTION_LIST_H

#include <stdbool.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/slice.h"

#define OPTION_LIST_MAX_BYTES 32768u /* of the value; two fit into a stage's control socket */

/* ---- reading ---- */

struct option_list_entry {
    unsigned element; /* counts from 1 */
    struct slice name, value;
};

/*
 * The next name and value; begin with *entry = {0}. False at the end. A name with several texts
 * comes once for each of them. The text must have passed option_list_check.
 */
bool option_list_next(struct slice *rest, struct option_list_entry *entry);

/* Is the text such a value, with these words? Linear. */
int option_list_check(const char *words, struct slice text, struct err *err);

/* "host, network, users" of "host|network|users[]", cut to size. Returns `text`. */
const char *option_list_names(const char *words, char *text, size_t size);

/* ---- writing ---- */

struct option_list {
    const char *words; /* borrowed */
    struct buf text;   /* the value */
    unsigned elements;
    unsigned long seen; /* names of this element, by their place in the words */
    struct slice name;  /* the one that is being written, in the words */
    bool wants_text;    /* it has none yet */
};

/* 0 or -ENOMEM; fini in every case. */
int option_list_init(struct option_list *list, const char *words);
void option_list_fini(struct option_list *list); /* wipes */

void option_list_begin(struct option_list *list);
/* A name of the element; is_list: a list of texts stands behind it. Its texts follow. */
int option_list_name(struct option_list *list, struct slice name, bool is_list, struct err *err);
int option_list_text(struct option_list *list, struct slice text, struct err *err);
int option_list_end(struct option_list *list, struct err *err);

/* For what else is wrong with the present element. Returns -EINVAL. */
int option_list_refuse(const struct option_list *list, const char *words, struct err *err);

#endif
