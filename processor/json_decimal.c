#include "processor/json_decimal.h"

#include "processor/json_mp.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/*
 * Digits up to 2^53 and powers of ten up to 10^22 are exact doubles, and so their product or
 * quotient is the nearest one (Clinger's fast path); most numbers in logs are such.
 */
static bool small_decimal(const struct json_decimal *d, double *ret)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double v;

    if (FLT_EVAL_METHOD != 0 || !d->exact || d->digits > (uint64_t)1 << 53 || d->scale < -22 ||
        d->scale > 22)
        return false;
    v = (double)d->digits;
    v = d->scale < 0 ? v / powers[-d->scale] : v * powers[d->scale];
    *ret = d->negative ? -v : v;
    return true;
}

#ifdef __SIZEOF_INT128__
/*
 * 64 bits of digits over a power of ten that has no more: the quotient, to 63 bits at least with
 * the last bit set for a remainder, rounds like the true one. For points in time as seconds with a
 * fraction, which many loggers write and which are above 2^53.
 */
static bool wide_decimal(const struct json_decimal *d, double *ret)
{
    uint64_t divisor = 1, quotient;
    unsigned __int128 dividend;
    int shift;

    if (!d->exact || d->digits == 0 || d->scale >= 0 || d->scale < -19)
        return false;
    for (int64_t i = d->scale; i < 0; i++)
        divisor *= 10;
    shift = __builtin_clzll(d->digits);
    dividend = (unsigned __int128)(d->digits << shift) << 63;
    shift = __builtin_clzll(divisor) - shift - 63;
    divisor <<= __builtin_clzll(divisor);
    quotient = (uint64_t)(dividend / divisor);
    quotient |= quotient * (unsigned __int128)divisor != dividend;
    *ret = ldexp((double)quotient, shift);
    if (d->negative)
        *ret = -*ret;
    return true;
}
#else
static bool wide_decimal(const struct json_decimal *d, double *ret)
{
    (void)d;
    (void)ret;
    return false;
}
#endif

/* By the C library, which knows every case, and wants a NUL behind it. */
static bool any_decimal(const struct json_decimal *d, struct slice text, double *ret)
{
    bool is_zero = d->exact && d->digits == 0;
    char copy[JSON_MAX_DECIMAL + 1];
    double v;

    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    v = strtod(copy, NULL);
    if (isinf(v) || (v == 0 && !is_zero))
        return false;
    *ret = v;
    return true;
}

bool json_decimal_double(const struct json_decimal *d, struct slice text, double *ret)
{
    if (text.n > JSON_MAX_DECIMAL)
        return false;
    return small_decimal(d, ret) || wide_decimal(d, ret) || any_decimal(d, text, ret);
}
