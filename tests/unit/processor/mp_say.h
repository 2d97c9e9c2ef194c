/*
 * mp_say: MessagePack as a line to compare with, whatever widths it has: values in their order,
 * with a blank between them.
 *
 *     nil true false 5 -5 d0.5 "text" [2 (an array of the two values that follow) {1 (a map)
 *
 * Bytes of strings that are no printable ASCII, and quotes and backslashes, as \xNN.
 */
#ifndef TESTS_UNIT_PROCESSOR_MP_SAY_H
#define TESTS_UNIT_PROCESSOR_MP_SAY_H

#include "shared/base/buf.h"

/* The caller frees it. What is no MessagePack ends the test. */
char *mp_say(struct slice bytes);

/* Fails where the bytes do not say `want`. */
#define assert_says(bytes, want) assert_says_at(bytes, want, __FILE__, __LINE__)
void assert_says_at(struct slice bytes, const char *want, const char *file, int line);

#endif
