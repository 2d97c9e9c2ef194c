/*
 * option_source: the text of a configuration file as libconfig shall see it: @include lines
 * expanded, whole numbers marked as 64-bit ones.
 *
 * libconfig could do the first itself and should do the second, but version 1.5 (Debian 12) ends
 * the process when an included name is a directory, cannot include an absolute path, and cuts whole
 * numbers to 32 bits without a word (journal.total_limit = 8589934592 would read as 0). This pass
 * also sees what libconfig would only call "syntax error": values that lack their quotes.
 *
 * An @include stands at the beginning of a line; a relative name is relative to the file it stands
 * in. Invariant: line k of the text (from 1) came from the place that option_source_place names.
 */
#ifndef SHARED_OPTIONS_OPTION_SOURCE_H
#define SHARED_OPTIONS_OPTION_SOURCE_H

#include <stdbool.h>

#include "shared/base/buf.h"
#include "shared/options/option_report.h"

#define OPTION_SOURCE_MAX_FILES 64

struct option_source {
    struct buf text;  /* NUL-terminated behind n */
    struct buf lines; /* struct source_line each */
    char *names[OPTION_SOURCE_MAX_FILES];
    unsigned modes[OPTION_SOURCE_MAX_FILES]; /* permissions */
    size_t file_count;
};

/*
 * Reads the file and all that it includes. 0, or -EINVAL with what is wrong in the report; -ENOENT,
 * unreported, where the file itself is not there. In every case fini must be called.
 */
int option_source_read(struct option_source *source, const char *path,
                       struct option_report *report);

/* Wipes the text: it may hold secrets. */
void option_source_fini(struct option_source *source);

/* Borrowed from the source. */
struct option_place option_source_place(const struct option_source *source, unsigned line);

/* May everybody on the machine read the file that this line came from? */
bool option_source_is_public(const struct option_source *source, unsigned line);

#endif
