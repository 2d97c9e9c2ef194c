/*
 * generate: seeded random records, texts and JSON for the converter's property test: every known
 * name, values of every MessagePack type and width, texts of every format within each other.
 * Values are made so that hardly two are equal: what is lost is not found elsewhere by chance.
 */
#ifndef TESTS_UNIT_PROCESSOR_GENERATE_H
#define TESTS_UNIT_PROCESSOR_GENERATE_H

#include "shared/base/buf.h"

struct generate {
    uint64_t state;  /* the seed, at first */
    uint32_t serial; /* of tokens so far */
    bool is_small;   /* no large values */
};

/* The key that says which record it is; generate_record puts it first, generate_json_record too. */
#define GENERATE_NUMBER "zz_number"

/* 0 to n - 1. */
uint32_t generate_below(struct generate *g, uint32_t n);

/* A MessagePack map. */
void generate_record(struct generate *g, uint32_t number, struct buf *out);

/* A MessagePack map of `pairs` pairs under keys of all kinds. */
void generate_map(struct generate *g, uint32_t pairs, struct buf *out);

/* A JSON object. */
void generate_json_record(struct generate *g, uint32_t number, struct buf *out);

/* A MessagePack value; containers with at most `depth` levels. */
void generate_value(struct generate *g, unsigned depth, struct buf *out);

/* A text with more in it; texts in texts up to `depth`. */
void generate_text(struct generate *g, unsigned depth, struct buf *out);

#endif
