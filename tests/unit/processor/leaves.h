/*
 * leaves: "nothing is lost". All that a converted record says, as a set, and whether every leaf of
 * what came in is in it: each scalar by value, as otlp_value.h's table has it; a text that was
 * parsed by its words. Where a field of OTLP says a value in another form (a time, a level, a file's
 * path and line) that counts, but only for a key that means it.
 */
#ifndef TESTS_UNIT_PROCESSOR_LEAVES_H
#define TESTS_UNIT_PROCESSOR_LEAVES_H

#include "shared/base/buf.h"
#include "tests/unit/processor/otlp_check.h"

struct leaves {
    uint64_t *hash; /* of values and keys, sorted */
    size_t n, capacity;
    uint64_t values; /* sum over the different values, without keys */
    struct buf blob; /* all of them as text */
    uint64_t time_ns;
    struct slice severity_text;
    char missing[200]; /* what leaves_have did not find */
};

void leaves_init(struct leaves *leaves);
void leaves_fini(struct leaves *leaves);

/* Of the record, its resource and its scope; the slices must live as long. */
void leaves_take(struct leaves *leaves, const struct otlp_place *place);

/* Whether all of a MessagePack value, or a JSON text, is there. */
bool leaves_have(struct leaves *leaves, struct slice value);
bool leaves_have_json(struct leaves *leaves, struct slice json);

#endif
