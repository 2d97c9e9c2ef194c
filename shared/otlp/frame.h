/*
 * frame: what is known about a frame beside its bytes. A frame is a run of concatenated
 * `resource_logs` fields (so joined frames are again one ExportLogsServiceRequest), compressed by
 * its codec. The processor fills this in, the journal stores it, the shipper joins by it.
 *
 * With FRAME_GZIP the payload is a raw deflate fragment: byte-aligned, ended by a full flush, not
 * final (gzip_join.h makes a request body of several). With FRAME_ZSTD it is one whole zstd frame,
 * with FRAME_NONE the plain bytes.
 */
#ifndef SHARED_OTLP_FRAME_H
#define SHARED_OTLP_FRAME_H

#include <stdint.h>

/* Numbers are on disk: never reuse one. */
enum frame_codec_id { FRAME_NONE = 0, FRAME_GZIP = 1, FRAME_ZSTD = 2 };
#define FRAME_CODECS 3

/* The most plain bytes of a frame that holds more than one record. */
#define FRAME_MAX_PLAIN_BYTES (1u << 20)

struct frame_info {
    uint8_t codec;          /* enum frame_codec_id */
    uint32_t plain_bytes;   /* length before compression */
    uint32_t plain_crc32;   /* CRC-32 (gzip's) of the plain bytes */
    uint32_t records;       /* log records in it, at least 1 */
    uint64_t first_time_ns; /* smallest and largest time_unix_nano in it */
    uint64_t last_time_ns;
};

#endif
