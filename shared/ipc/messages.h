/*
 * messages: the bodies of the messages between sluiced and a stage (rows: messages.def).
 *
 *     sluiced                                    stage
 *       HELLO ─────────────────────────────────▶   who it is
 *       SNAPSHOT, SECRET…, FD… ────────────────▶   what it may see and hold
 *       GO ────────────────────────────────────▶   prepare, confine, start
 *       ◀───────────────────────────────── READY   what confinement is in force
 *       SNAPSHOT, SECRET…, RELOAD ─────────────▶   changed options, any number of times
 *       DRAIN ─────────────────────────────────▶   finish and exit
 *       ◀───────────────────────── LEAVE, FAILED   a signal told it to leave; why it gives up
 *
 * Both ends run on one machine, so integers are in its byte order; the two builds may differ
 * (a stage may be upgraded alone), which HELLO's version is for. Texts have no NUL.
 */
#ifndef SHARED_IPC_MESSAGES_H
#define SHARED_IPC_MESSAGES_H

#include <assert.h>
#include <stdint.h>

#define MESSAGE_VERSION 1u
#define MESSAGE_FD_NAME_BYTES 48u

enum message_type {
    MESSAGE_NONE = 0,
#define MESSAGE(ID, direction, min, max, descriptors, secret) MESSAGE_##ID,
#include "shared/ipc/messages.def"
#undef MESSAGE
    MESSAGE_TYPES
};

/* Followed by the stage's name, 1 to 40 bytes. */
struct message_hello {
    uint32_t version;
    uint32_t index;
    uint64_t incarnation;
    uint32_t slot; /* of the status page */
    uint32_t pad;  /* zero */
};

struct message_drain {
    uint32_t reason; /* enum drain_reason (shared/role/role.h) */
    uint32_t pad;    /* zero */
    uint64_t deadline_ns;
};

/* What the stage has put itself under. sluiced shows it beside what the kernel says of it. */
struct message_ready {
    uint32_t landlock_abi; /* 0: none */
    uint32_t landlock_net; /* 1: TCP is restricted */
    uint32_t landlock_scoped;
    uint32_t seccomp; /* 1: a filter is loaded */
    uint64_t nofile;  /* descriptors it may have */
};

/* SECRET: u16 length of the option's path, path, value. FD: its name. FAILED: the reason. */

static_assert(sizeof(struct message_hello) == 24, "messages.def");
static_assert(sizeof(struct message_drain) == 16, "messages.def");
static_assert(sizeof(struct message_ready) == 24, "messages.def");

#endif
