/*
 * chunk: one message as the receiver took it, seen by the processor. The ring's entry is copied
 * once into private memory; every slice here points into that copy and lives as long as it does.
 * All bytes are a client's: untrusted.
 */
#ifndef PROCESSOR_CHUNK_H
#define PROCESSOR_CHUNK_H

#include "shared/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What `payload` holds:
 *   CHUNK_MESSAGE  time and record, back to back (the option map is in `options`)
 *   CHUNK_FORWARD  the elements of the entries array, back to back, its header stripped
 *   CHUNK_PACKED   the bytes of the bin or str: entries back to back, maybe compressed
 * and on a JSON connection, JSON text as it came:
 *   CHUNK_MESSAGE  time and record with the comma between them
 *   CHUNK_FORWARD  the array of entries with its brackets
 *   CHUNK_PACKED   the string with its quotes: no client sends that, it cannot be read
 */
enum chunk_carrier { CHUNK_MESSAGE, CHUNK_FORWARD, CHUNK_PACKED };

/*
 * What the option `compressed` says. A packed payload whose first bytes are gzip's or zstd's is
 * decompressed even where the option is missing: no entry begins so.
 */
enum chunk_compression { CHUNK_PLAIN, CHUNK_GZIP, CHUNK_ZSTD };

/* The option fluent_signal. Only logs are converted. */
enum chunk_signal { CHUNK_LOGS, CHUNK_METRICS, CHUNK_TRACES };

struct chunk {
    enum chunk_carrier carrier;
    enum chunk_compression compression;
    enum chunk_signal signal;
    bool
        json; /* the client speaks JSON: payload and options are JSON text; the tag is plain text */
    struct slice tag;
    struct slice peer;    /* who sent it, as text */
    struct slice options; /* the option map; empty where there is none */
    struct slice payload;
    uint64_t received_ns;      /* CLOCK_REALTIME */
    uint32_t entries_declared; /* option `size`: a hint, never trusted; 0 = not said */
};

#endif
