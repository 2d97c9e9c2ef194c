/*
 * fd: what every owner of a descriptor does: close it once, move all bytes in spite of signals,
 * and ring an eventfd.
 *
 * All return 0 or -errno. Descriptors made here are close-on-exec.
 */
#ifndef SHARED_BASE_FD_H
#define SHARED_BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Closes *fd if it is not negative and sets it to -1. Never repeats after EINTR: on Linux the
 * descriptor is gone then. Keeps errno. */
void fd_close(int *fd);

/* Exactly n bytes, for files and blocking descriptors. -ENODATA where the end comes before. */
int fd_read_full(int fd, void *p, size_t n);
int fd_pread_full(int fd, void *p, size_t n, off_t offset);

/* All n bytes. A device that takes nothing gives -EIO. */
int fd_write_full(int fd, const void *p, size_t n);
int fd_pwrite_full(int fd, const void *p, size_t n, off_t offset);

/* Sets or clears close-on-exec (cleared only for what a child is given). */
int fd_set_cloexec(int fd, int on);
int fd_set_nonblock(int fd, int on);

/* A doorbell: a non-blocking eventfd. Returns the descriptor or -errno. */
int fd_bell_new(void);

/* Rings; never blocks; a bell that rings already stays so. Errors other than that: -errno. */
int fd_bell_ring(int fd);

/* Takes the ring, so that the descriptor polls quiet again. Quiet already is no error. */
int fd_bell_clear(int fd);

#endif
