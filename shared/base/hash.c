#include "shared/base/hash.h"

/* The state lives on our stack; its layout is stable since 0.8.0. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#ifdef __x86_64__
/* Chooses AVX2 or AVX-512 at run time: half the time of the SSE2 that Debian compiles for. */
#define XXH_DISPATCH_DISABLE_REPLACE
#include <xxh_x86dispatch.h>
#define UPDATE XXH3_128bits_update_dispatch
#else
#define UPDATE XXH3_128bits_update
#endif

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
        UPDATE(&state, length, sizeof(length));
        if (parts[i].n > 0)
            UPDATE(&state, parts[i].p, parts[i].n);
    }
    value = XXH3_128bits_digest(&state);
    return (struct hash128){.low = value.low64, .high = value.high64};
}
