/*
 * fixture: captures of real clients, and what a message of them consists of (fixtures/index, made
 * by a reader that shares nothing with ours).
 */
#ifndef TESTS_UNIT_RECEIVER_FIXTURE_H
#define TESTS_UNIT_RECEIVER_FIXTURE_H

/* cmocka's header wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/slice.h"

struct fixture_message {
    bool ping;
    unsigned long end, signal, declared;
    char carrier[16], compression[16];
    unsigned long tag_at, tag_n, id_at, id_n, option_at, option_n, payload_at, payload_n;
};

struct fixture {
    char name[64];
    uint8_t *bytes; /* exactly n, so that a read beyond is seen */
    size_t n;
    struct fixture_message messages[64];
    size_t count;
};

/* All bytes of a file in the fixtures' folder; freed by the caller. */
static inline uint8_t *fixture_read(const char *name, size_t *ret_n)
{
    char path[512];
    FILE *file;
    uint8_t *bytes;
    long n;

    snprintf(path, sizeof(path), "%s/%s", FIXTURES, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    n = ftell(file);
    assert_true(n >= 0);
    rewind(file);
    bytes = malloc(n > 0 ? (size_t)n : 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)n, file), n);
    fclose(file);
    *ret_n = (size_t)n;
    return bytes;
}

static inline void fixture_add(struct fixture *fixture, const char *line)
{
    struct fixture_message *m = &fixture->messages[fixture->count++];

    assert_true(fixture->count <= 64);
    *m = (struct fixture_message){0};
    if (sscanf(line, "ping %lu", &m->end) == 1) {
        m->ping = true;
        return;
    }
    assert_int_equal(sscanf(line, "chunk %lu %15s %15s %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu",
                            &m->end, m->carrier, m->compression, &m->signal, &m->declared,
                            &m->tag_at, &m->tag_n, &m->id_at, &m->id_n, &m->option_at, &m->option_n,
                            &m->payload_at, &m->payload_n),
                     13);
}

/* Calls use() for each capture of an index. */
static inline size_t fixture_each_of(const char *index,
                                     void (*use)(const struct fixture *fixture, void *argument),
                                     void *argument)
{
    size_t n, streams = 0;
    uint8_t *text = fixture_read(index, &n);
    FILE *file = fmemopen(text, n, "r");
    struct fixture fixture = {0};
    char line[256];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        char name[64];
        unsigned long bytes;

        if (sscanf(line, "stream %63s %lu", name, &bytes) != 2) {
            fixture_add(&fixture, line);
            continue;
        }
        if (fixture.bytes)
            use(&fixture, argument);
        free(fixture.bytes);
        fixture = (struct fixture){0};
        memcpy(fixture.name, name, sizeof(name));
        fixture.bytes = fixture_read(name, &fixture.n);
        assert_int_equal(fixture.n, bytes);
        streams++;
    }
    if (fixture.bytes)
        use(&fixture, argument);
    free(fixture.bytes);
    fclose(file);
    free(text);
    return streams;
}

/* Those of clients that speak msgpack. */
static inline size_t fixture_each(void (*use)(const struct fixture *fixture, void *argument),
                                  void *argument)
{
    return fixture_each_of("index", use, argument);
}

/* A small generator with a seed, so that a failure can be run again. */
static inline uint32_t fixture_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

#endif
