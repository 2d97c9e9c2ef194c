#include "shared/ipc/double_map.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

int double_map(int fd, uint64_t offset, uint64_t size, uint8_t **ret_base, struct err *err)
{
    uint8_t *base = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED)
        return err_errno(err, errno, "cannot reserve %llu bytes of address space",
                         (unsigned long long)(2 * size));
    for (int half = 0; half < 2; half++) {
        if (mmap(base + (uint64_t)half * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                 fd, (off_t)offset) == MAP_FAILED) {
            int r = err_errno(err, errno, "cannot map a ring's data");
            munmap(base, 2 * size);
            return r;
        }
    }
    *ret_base = base;
    return 0;
}
