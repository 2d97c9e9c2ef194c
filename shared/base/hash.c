#include "shared/base/hash.h"

/* Inlined: the streaming state then lives on the stack whatever version of the library runs. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "shared/base/bytes.h"

struct hash128 hash_slices(const struct slice *parts, size_t count)
{
    XXH3_state_t state;
    XXH128_hash_t value;

    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    for (size_t i = 0; i < count; i++) {
        uint8_t length[8];

        bytes_put_le64(length, parts[i].n);
        XXH3_128bits_update(&state, length, sizeof(length));
        if (parts[i].n > 0)
            XXH3_128bits_update(&state, parts[i].p, parts[i].n);
    }
    value = XXH3_128bits_digest(&state);
    return (struct hash128){.low = value.low64, .high = value.high64};
}
