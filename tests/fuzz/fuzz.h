/*
 * fuzz: what the fuzz targets share. Each target is a program of its own with libFuzzer's main,
 * which calls LLVMFuzzerTestOneInput with bytes that it mutates; tests/fuzz/run builds and runs
 * them. A broken promise of the code under test ends the program, and libFuzzer keeps the input.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/buf.h"

/* Nesting of OTLP/JSON: three levels to one of a value's. */
#define FUZZ_JSON_DEPTH 256

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static inline void fuzz_check(int holds, const char *promise)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s\n", promise);
    abort();
}

/* The text is one whole JSON value in valid UTF-8, by a parser that is not ours. */
static inline void fuzz_check_json(const struct buf *json)
{
    json_tokener *tokener = json_tokener_new_ex(FUZZ_JSON_DEPTH);
    json_object *root;

    fuzz_check(tokener != NULL, "memory for a JSON parser");
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    root = json_tokener_parse_ex(tokener, (const char *)json->p, (int)json->n);
    fuzz_check(root != NULL, "JSON that a parser takes");
    fuzz_check(json_tokener_get_parse_end(tokener) == json->n, "nothing behind the JSON");
    json_object_put(root);
    json_tokener_free(tokener);
}

#endif
