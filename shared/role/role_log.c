#include "shared/role/role_log.h"

#include "shared/base/log.h"

/* The table of options admits only words that parse; what does not is a bug, and harmless here. */
static enum log_level level_of(const struct options *options)
{
    enum log_level level = LOG_INFO;

    (void)log_level_parse(options_string(options, OPT_LOG_LEVEL), &level);
    return level;
}

void role_log_open(const char *name, unsigned index, const struct options *options)
{
    enum log_format format = LOG_FORMAT_AUTO;

    (void)log_format_parse(options_string(options, OPT_LOG_FORMAT), &format);
    if (format == LOG_FORMAT_AUTO && options_is(options, OPT_ENVIRONMENT, "development"))
        format = LOG_FORMAT_TEXT;
    log_open(name, index, format, level_of(options));
}

void role_log_reload(const struct options *options)
{
    log_set_level(level_of(options));
}
