/*
 * option_dump: texts that are made from the tables: --help, the shipped sluice.conf, the man pages
 * sluice.conf(5) and sluiced(8), and the values in force for --show-config.
 *
 * Called by sluiced and by the generator of the man pages. Writes to a stdio stream; the caller
 * checks ferror. Secrets show as (set) or (not set).
 */
#ifndef SHARED_OPTIONS_OPTION_DUMP_H
#define SHARED_OPTIONS_OPTION_DUMP_H

#include <stdio.h>

#include "shared/options/options.h"

/* sluiced --help: the command line, then every option, by group. */
void option_dump_help(FILE *out);

/* A commented configuration file: every option with its help and its default, switched off. */
void option_dump_conf(FILE *out);

/* roff. version: "0.1.0". file: the configuration file that sluiced reads when none is named. */
void option_dump_conf_man(FILE *out, const char *version);
void option_dump_daemon_man(FILE *out, const char *version, const char *file);

/* "forward.port = 24224    (default)", one line per option. */
void option_dump_values(const struct options *options, FILE *out);

#endif
