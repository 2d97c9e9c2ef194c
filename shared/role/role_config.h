/*
 * role_config: what sluiced tells a stage over the control channel before "go" and at a reload:
 * who it is, its options, secrets and descriptors. Used by role.c only.
 *
 * The bytes are checked as if they came from anywhere. A reload replaces the options as a whole,
 * at the RELOAD message and not before. Options that were replaced stay allocated (without their
 * secrets) until the end, because a stage may have kept strings of them; a reload is rare.
 */
#ifndef SHARED_ROLE_ROLE_CONFIG_H
#define SHARED_ROLE_ROLE_CONFIG_H

#include "shared/base/err.h"
#include "shared/ipc/channel.h"
#include "shared/options/options.h"

/* 8 receivers, 8 lanes, leftover lanes of earlier configurations, and some. */
#define ROLE_FDS_MAX 256u

struct role_fd {
    char name[MESSAGE_FD_NAME_BYTES + 1];
    int fd;
};

struct role_config {
    const char *name;     /* of the stage */
    unsigned option_role; /* what it may see */
    bool greeted;
    unsigned index;
    unsigned slot; /* below STATUS_SLOTS */
    uint64_t incarnation;
    struct options *options; /* in force; NULL before the first GO */
    struct options *next;    /* arriving */
    struct options **retired;
    size_t retired_count;
    struct role_fd fds[ROLE_FDS_MAX];
    size_t fd_count;
};

enum role_config_step { ROLE_CONFIG_MORE = 0, ROLE_CONFIG_GO = 1, ROLE_CONFIG_RELOADED = 2 };

void role_config_init(struct role_config *config, const char *name, unsigned option_role);
void role_config_fini(struct role_config *config);

/*
 * Takes one message (any but DRAIN), and its descriptor. Returns an enum role_config_step, -EPROTO
 * where it has no place now, -EINVAL where its content is wrong, -ENOMEM. The caller wipes.
 */
int role_config_take(struct role_config *config, struct channel_message *message, struct err *err);

/* By name; -ENOENT. */
int role_config_fd(const struct role_config *config, const char *name);

#endif
