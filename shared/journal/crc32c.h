/* crc32c: CRC-32C (Castagnoli, as in iSCSI) by ISA-L; about 10 GB/s. */
#ifndef SHARED_JOURNAL_CRC32C_H
#define SHARED_JOURNAL_CRC32C_H

#include <isa-l/crc.h>
#include <stddef.h>
#include <stdint.h>

/* ISA-L takes int lengths. */
#define CRC32C_STEP (1u << 30)

/* Continues `crc` (0 to begin) over n bytes. */
static inline uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *at = (const uint8_t *)p;

    crc = ~crc;
    for (; n > CRC32C_STEP; n -= CRC32C_STEP, at += CRC32C_STEP)
        crc = crc32_iscsi((unsigned char *)at, (int)CRC32C_STEP, crc);
    if (n > 0)
        crc = crc32_iscsi((unsigned char *)at, (int)n, crc);
    return ~crc;
}

#endif
