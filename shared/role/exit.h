/*
 * exit: exit statuses, an API between the stages, the supervisor and whoever starts it.
 */
#ifndef SHARED_ROLE_EXIT_H
#define SHARED_ROLE_EXIT_H

enum exit_status {
    EXIT_ASKED = 0,         /* was asked to stop */
    EXIT_CONFIG = 78,       /* the configuration is wrong (sysexits.h EX_CONFIG) */
    EXIT_MISUSE = 100,      /* started wrongly: arguments, missing descriptors */
    EXIT_PANIC = 101,       /* an own invariant is broken */
    EXIT_ENVIRONMENT = 111, /* the machine did not give what is needed; may pass */
};

#endif
