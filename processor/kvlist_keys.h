/*
 * kvlist_keys: unique keys in a nested map. OTLP wants the keys of every KeyValueList unique, and
 * nothing of a record may be lost: the second "a" becomes "a#2", as at the top level (key_set.h).
 * For otlp_value.c.
 *
 * It looks at what was written, not at the input: there all keys are text, sanitised, and the values
 * are finished. Where keys are unique, as nearly always, nothing is touched. What it needs to
 * remember lies behind the output's end and is overwritten by what is written next: it allocates
 * nothing that the output would not have needed.
 */
#ifndef PROCESSOR_KVLIST_KEYS_H
#define PROCESSOR_KVLIST_KEYS_H

#include "processor/otlp_out.h"

/* Maps up to this size are compared without a table. */
#define KVLIST_KEYS_SMALL 16

/*
 * The content of a KeyValueList lies from offset `list` to o->w: `pairs` KeyValues, each with its
 * key first. Makes the keys unique. O(bytes of the keys), whatever they are.
 * Returns 0, or -ENOMEM or -EFBIG (room of about twice the list, for more than KVLIST_KEYS_SMALL).
 */
int kvlist_keys_unique(struct otlp_out *o, size_t list, uint32_t pairs);

#endif
