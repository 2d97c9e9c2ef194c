/*
 * double_map: maps a range of a descriptor twice in a row, so that a run of bytes that crosses the
 * end of a ring is contiguous.
 */
#ifndef SHARED_IPC_DOUBLE_MAP_H
#define SHARED_IPC_DOUBLE_MAP_H

#include "shared/base/err.h"

#include <stdint.h>

/* offset and size are whole pages. The caller munmaps 2 * size bytes at *ret_base. */
int double_map(int fd, uint64_t offset, uint64_t size, uint8_t **ret_base, struct err *err);

#endif
