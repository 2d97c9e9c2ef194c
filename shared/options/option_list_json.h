/*
 * option_list_json: a LIST written as JSON: a list of objects whose values are strings, or lists of
 * strings. Only for shared/options.
 *
 * Not json-c, which takes the last of two equal names without a word (of two keys, which is in
 * force?) and leaves copies of what it read in memory that it frees.
 */
#ifndef SHARED_OPTIONS_OPTION_LIST_JSON_H
#define SHARED_OPTIONS_OPTION_LIST_JSON_H

#include "shared/options/option_list.h"

/*
 * Writes what stands there into the list, which is new. 0; -EINVAL with the reason: either what is
 * wrong with an element, or the place (in bytes, from 1) where it is no JSON of this kind.
 */
int option_list_json(struct option_list *list, struct slice json, struct err *err);

#endif
