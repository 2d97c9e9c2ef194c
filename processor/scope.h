/*
 * scope: a chunk's OTLP InstrumentationScope: who sent it and under which tag, and Sluice's own name
 * and host; between Fluent Bit's group markers the sender's own scope, with the same attributes of
 * ours beside its own. A head is the fields of a ScopeLogs message but for log_records, as
 * frame_builder.h wants it.
 */
#ifndef PROCESSOR_SCOPE_H
#define PROCESSOR_SCOPE_H

#include "processor/frame_builder.h"
#include "processor/key_set.h"
#include "processor/mp.h"
#include "shared/base/buf.h"

/* Tags and peers go into every frame's header: longer ones are cut. */
#define SCOPE_MAX_NAME_BYTES 1024u
#define SCOPE_MAX_GROUP_BYTES (64u << 10)

/* Borrowed for as long as the scope lives; NULL or "" leaves it out. */
struct scope_config {
    const char *name;
    const char *version;
    const char *host; /* attribute sluice.host */
};

/* A group marker's scope; all borrowed during the call. */
struct scope_group {
    struct slice name;
    struct slice version;
    struct slice schema_url;
    struct mp attributes; /* at the first pair */
    uint32_t count;
    uint32_t dropped_attributes;
};

struct scope {
    struct scope_config config;
    struct slice tag, peer; /* of the chunk at hand, borrowed */
    struct key_set seen;
    struct buf bytes;
    struct frame_head head;
};

void scope_init(struct scope *scope, const struct scope_config *config);
void scope_fini(struct scope *scope);

/* A chunk begins. Returns 0 or -ENOMEM. */
int scope_begin(struct scope *scope, struct slice tag, struct slice peer);

/* A group begins, or ends (NULL). Returns 0, -EFBIG (above SCOPE_MAX_GROUP_BYTES), -ENOMEM,
 * -EBADMSG or -ENODATA. */
int scope_group(struct scope *scope, const struct scope_group *group);

/* Lent until the next call. */
static inline const struct frame_head *scope_head(const struct scope *scope)
{
    return &scope->head;
}

#endif
