/*
 * json_decimal: a number with fraction or exponent to the nearest double. For json_mp.c, which has
 * read it: the C library would have to find its parts again.
 */
#ifndef PROCESSOR_JSON_DECIMAL_H
#define PROCESSOR_JSON_DECIMAL_H

#include "shared/base/slice.h"

/* digits × 10^scale */
struct json_decimal {
    uint64_t digits; /* the first 19 that count */
    int64_t scale;
    bool negative;
    bool exact; /* all that follow are 0 */
};

/*
 * text: the number as JSON writes it, of which d is made. False where no double says it: it would be
 * infinite, or 0 without being it, or the text is longer than JSON_MAX_DECIMAL. Assumes that nobody
 * has set a locale or a rounding mode.
 */
bool json_decimal_double(const struct json_decimal *d, struct slice text, double *ret);

#endif
