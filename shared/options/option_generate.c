/*
 * option_generate: writes one of the texts that are made from the option tables to standard output;
 * the build makes the man pages with it, and conf/sluice.conf is compared with it.
 *
 *     option-generate sluice.conf | sluice.conf.5 | sluiced.8 | help
 */
#include <stdio.h>
#include <string.h>

#include "shared/options/option_dump.h"

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";

    if (strcmp(what, "sluice.conf") == 0) {
        option_dump_conf(stdout);
    } else if (strcmp(what, "sluice.conf.5") == 0) {
        option_dump_conf_man(stdout, SLUICE_VERSION);
    } else if (strcmp(what, "sluiced.8") == 0) {
        option_dump_daemon_man(stdout, SLUICE_VERSION, SLUICE_CONFIG_FILE);
    } else if (strcmp(what, "help") == 0) {
        option_dump_help(stdout);
    } else {
        fprintf(stderr, "usage: option-generate sluice.conf | sluice.conf.5 | sluiced.8 | help\n");
        return 100;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 111;
}
