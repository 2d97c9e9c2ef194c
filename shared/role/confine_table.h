/*
 * confine_table: what each role may do, one row each. Read by confine.c and confine_seccomp.c only.
 */
#ifndef SHARED_ROLE_CONFINE_TABLE_H
#define SHARED_ROLE_CONFINE_TABLE_H

#include "shared/options/options.h"

#include <stdbool.h>

/* Where a path of a row begins. */
enum confine_base {
    CONFINE_NOWHERE,     /* ends the list */
    CONFINE_DATA,        /* below data_dir */
    CONFINE_OWN_LANE,    /* data_dir/lanes/NN of this index; for index 0: data_dir/lanes */
    CONFINE_SYSTEM,      /* absolute; skipped where it does not exist */
    CONFINE_SYSTEM_ROOT, /* as CONFINE_SYSTEM, only where the stage has user id 0 */
    CONFINE_SYSTEM_USER, /* as CONFINE_SYSTEM, only where it has another */
    CONFINE_FOLDER_OF,   /* the folder of the file that an option names, if it is set */
};

struct confine_rule {
    enum confine_base base;
    bool writable;
    const char *path;
    enum option_id option; /* of CONFINE_FOLDER_OF */
};

#define CONFINE_RULES_MAX 24u

struct confine_row {
    const char *role;
    unsigned option_role;
    bool files;    /* opens, makes, renames and removes files below its paths */
    bool accepts;  /* accepts connections on sockets it was given, and answers on UDP ones */
    bool connects; /* makes sockets (IPv4, IPv6, netlink for getaddrinfo) and connects */
    bool threads;
    uint64_t nofile;
    enum option_id nofile_option; /* its value is added to nofile; OPT_COUNT: none */
    struct confine_rule rules[CONFINE_RULES_MAX];
};

/* NULL: no such role. */
const struct confine_row *confine_row(const char *role);

#endif
