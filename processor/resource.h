/*
 * resource: what a record's OTLP Resource is. Three sources, the first that has a name wins:
 *
 *   the group     Fluent Bit's group marker: the resource of a sender that speaks OTLP
 *   the record    facts that record.c found in it: machine_id, Kubernetes' and Docker's names
 *   the options   service.name, environment, resource.attributes
 *
 * Facts are collected per record without copying (struct facts). By their bytes the head that was
 * encoded for them is found again: a relay's chunk may change between machines with every record.
 *
 *     resource_begin(resource)                    each chunk: no group
 *     resource_group(resource, &group)            a marker; NULL: it ends
 *     facts_clear(&facts, resource_given(resource)); record.c calls facts_offer …
 *     r = resource_choose(resource, &facts)       1: the head is another one now
 *     resource_head(resource)
 */
#ifndef PROCESSOR_RESOURCE_H
#define PROCESSOR_RESOURCE_H

#include "processor/frame_builder.h"
#include "processor/key_set.h"
#include "processor/mp.h"
#include "shared/base/buf.h"
#include "shared/base/err.h"

/* The attributes that a record's fields become. */
enum fact {
    FACT_HOST_NAME,
    FACT_SERVICE_NAME,
    FACT_SERVICE_VERSION,
    FACT_SERVICE_NAMESPACE,
    FACT_ENVIRONMENT,
    FACT_CONTAINER_ID,
    FACT_CONTAINER_NAME,
    FACT_IMAGE_NAME,
    FACT_IMAGE_TAG, /* an array of one */
    FACT_NAMESPACE,
    FACT_NAMESPACE_UID,
    FACT_POD_NAME,
    FACT_POD_UID,
    FACT_POD_IP,
    FACT_POD_CONTAINER,
    FACT_NODE_NAME,
    FACT_COUNT
};

/* Maps whose pairs become attributes under a prefix. */
enum fact_map {
    FACT_POD_LABELS,
    FACT_POD_ANNOTATIONS,
    FACT_NAMESPACE_LABELS,
    FACT_NAMESPACE_ANNOTATIONS,
    FACT_MAPS
};

/* Larger ones stay in the record: a head is written once per frame, or more often. */
#define FACT_MAX_BYTES 1024u
#define FACT_MAP_MAX_BYTES (16u << 10)
#define RESOURCE_MAX_GROUP_BYTES (64u << 10)
/* A group's resource above this takes no facts beside it. */
#define RESOURCE_MIXED_BYTES (1u << 10)
/* What a pair of a map takes in a head, beside its own bytes. */
#define FACT_MAP_PAIR_BYTES 40u

struct facts {
    uint32_t given; /* bits of enum fact that the group says: not to be taken from a record */
    uint32_t set;
    uint32_t maps_set;
    struct slice value[FACT_COUNT]; /* borrowed */
    struct slice map[FACT_MAPS];    /* msgpack of the pairs, borrowed */
    uint32_t map_pairs[FACT_MAPS];
};

static inline void facts_clear(struct facts *facts, uint32_t given)
{
    facts->given = given;
    facts->set = facts->maps_set = 0;
}

/* Whether the fact was taken: then the record need not keep it. */
static inline bool facts_offer(struct facts *facts, enum fact fact, struct slice text)
{
    const uint32_t bit = 1u << fact;

    if (((facts->given | facts->set) & bit) != 0 || text.n == 0 || text.n > FACT_MAX_BYTES)
        return false;
    facts->set |= bit;
    facts->value[fact].p = text.p;
    facts->value[fact].n = text.n;
    return true;
}

static inline bool facts_offer_map(struct facts *facts, enum fact_map map, struct slice pairs,
                                   uint32_t count)
{
    const uint32_t bit = 1u << map;

    if ((facts->maps_set & bit) != 0 || facts->given == UINT32_MAX ||
        pairs.n + (uint64_t)count * FACT_MAP_PAIR_BYTES > FACT_MAP_MAX_BYTES)
        return false;
    facts->maps_set |= bit;
    facts->map[map] = pairs;
    facts->map_pairs[map] = count;
    return true;
}

/* A group marker's resource; all borrowed until the group ends. */
struct resource_group {
    struct mp attributes; /* at the first pair */
    uint32_t count;
    uint32_t dropped_attributes;
    struct slice schema_url;
};

struct resource_config {
    const char *service_name; /* NULL or "": none */
    const char *environment;
    const char *attributes; /* resource.attributes: "key=value,key=value" */
};

struct resource;

/* Returns 0, -EINVAL (attributes cannot be read) or -ENOMEM. */
int resource_new(const struct resource_config *config, struct resource **ret_resource,
                 struct err *err);
void resource_free(struct resource **resource);

/* A chunk begins: without a group, and with the head of the last one. Returns 0 or -ENOMEM. */
int resource_begin(struct resource *resource);

/* A chunk ended: gives memory back that its resources took. */
void resource_trim(struct resource *resource);

/* A group begins, or ends (NULL). Returns 0; -EFBIG above RESOURCE_MAX_GROUP_BYTES; -EBADMSG, -ENODATA; -ENOMEM. */
int resource_group(struct resource *resource, const struct resource_group *group);

/* The facts that the group says already. */
uint32_t resource_given(const struct resource *resource);

/* Takes a record's facts. Returns 1 if the head is another one than before, 0 if not, or -errno. */
int resource_choose(struct resource *resource, const struct facts *facts);

/* Lent until the next resource_choose. */
const struct frame_head *resource_head(const struct resource *resource);

#endif
