#include "shared/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return -code;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return -code;
}

int err_errno(struct err *err, int code, const char *format, ...)
{
    va_list args;
    size_t used;

    if (err == NULL)
        return -code;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(code));
    return -code;
}

void err_prefix(struct err *err, const char *format, ...)
{
    char prefix[ERR_TEXT_BYTES];
    char old[ERR_TEXT_BYTES];
    va_list args;
    size_t used;

    if (err == NULL)
        return;
    va_start(args, format);
    vsnprintf(prefix, sizeof(prefix), format, args);
    va_end(args);
    memcpy(old, err->text, sizeof(old));
    memcpy(err->text, prefix, sizeof(err->text));
    used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
}
