/*
 * option_value: one option's value from text and back. For the other modules of shared/options.
 */
#ifndef SHARED_OPTIONS_OPTION_VALUE_H
#define SHARED_OPTIONS_OPTION_VALUE_H

#include "shared/options/option_table.h"

#define OPTION_TEXT_MAX_BYTES 4096 /* the longest STRING, PATH or secret */

/*
 * Checks text for this row: type, unit, range, words, characters. For BOOL, INT, SIZE and TIME
 * *ret_number is the value in the base unit; for the others the text is the value.
 * -EINVAL and a reason that begins with the value in quotes (never where it is a secret).
 */
int option_value_check(const struct option_row *row, struct slice text, uint64_t *ret_number,
                       struct err *err);

/* The shortest text that reads back as the number: 64M, 10m, true. Returns `text`. */
const char *option_value_format(const struct option_row *row, uint64_t number, char *text,
                                size_t size);

/* Is it one of the words of "a|b|c"? */
bool option_value_is_word(const char *words, struct slice word);

/* "a, b or c" of "a|b|c", cut to size. */
void option_value_list_words(const char *words, char *list, size_t size);

#endif
