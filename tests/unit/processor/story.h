/*
 * story: one random chunk for the converter's property test, any carrier and codec, and where in its
 * bytes the parts of each record lie. Failures end the test (cmocka).
 */
#ifndef TESTS_UNIT_PROCESSOR_STORY_H
#define TESTS_UNIT_PROCESSOR_STORY_H

#include "processor/chunk.h"
#include "shared/base/buf.h"
#include "tests/unit/processor/generate.h"

#define STORY_MAX_RECORDS 24

/* Offsets into the story's bytes. */
struct story_span {
    size_t at, n;
};

/* A record that was generated, and what says more about it. */
struct story_item {
    struct story_span entry, record, metadata;
    struct story_span odd_time;     /* of the event, where it can be none */
    struct story_span marker;       /* the entry that began its group */
    struct story_span group, scope; /* their attributes */
    bool json;
};

/* One chunk. */
struct story {
    struct buf bytes; /* the entries */
    struct buf payload;
    struct story_item item[STORY_MAX_RECORDS];
    uint32_t first, count; /* numbers of the records */
    uint64_t invalid, markers;
    size_t entry_end; /* of some entry: a place for damage */
    struct chunk chunk;
};

/* Its records have the numbers from `first` on. */
void story_make(struct generate *g, uint32_t first, struct story *story);
void story_free(struct story *story);

static inline struct slice story_slice(const struct story *story, struct story_span span)
{
    return slice_of(story->bytes.p + span.at, span.n);
}

#endif
