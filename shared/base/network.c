#include "shared/base/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "shared/base/num.h"

#define MAPPED_BITS 96u
#define MAPPED_BYTES (MAPPED_BITS / 8)

static const uint8_t mapped[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

/* Takes the address as it is; `bits` of the prefix count from the front of the 16 bytes. */
static int cut(struct network *network, unsigned bits)
{
    uint8_t lost = 0;

    network->prefix = (uint8_t)bits;
    network->is_four = bits >= MAPPED_BITS && memcmp(network->bytes, mapped, MAPPED_BYTES) == 0;
    for (unsigned i = 0; i < sizeof(network->bytes); i++) {
        unsigned kept = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
        uint8_t mask = (uint8_t)(0xff00u >> kept);

        lost |= network->bytes[i] & (uint8_t)~mask;
        network->bytes[i] &= mask;
    }
    return lost != 0;
}

int network_parse(struct slice text, struct network *ret)
{
    const uint8_t *slash = text.n > 0 ? memchr(text.p, '/', text.n) : NULL;
    size_t n = slash ? (size_t)(slash - text.p) : text.n;
    struct network network = {0};
    char address[INET6_ADDRSTRLEN];
    unsigned least = 0;
    uint64_t prefix;
    int r;

    if (n >= sizeof(address) || (n > 0 && memchr(text.p, '\0', n)))
        return -EINVAL;
    if (n > 0)
        memcpy(address, text.p, n);
    address[n] = '\0';
    if (inet_pton(AF_INET, address, network.bytes + MAPPED_BYTES) == 1) {
        memcpy(network.bytes, mapped, MAPPED_BYTES);
        least = MAPPED_BITS;
    } else if (inet_pton(AF_INET6, address, network.bytes) != 1) {
        return -EINVAL;
    }
    prefix = NETWORK_BITS - least;
    if (slash && (num_parse_u64(slice_of(slash + 1, text.n - n - 1), &prefix) < 0 ||
                  prefix > NETWORK_BITS - least))
        return -EINVAL;
    r = cut(&network, least + (unsigned)prefix);
    *ret = network;
    return r;
}

int network_of_peer(const struct sockaddr_storage *address, struct network *ret)
{
    struct network network = {0};

    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

        memcpy(network.bytes, mapped, MAPPED_BYTES);
        memcpy(network.bytes + MAPPED_BYTES, &in->sin_addr, sizeof(in->sin_addr));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

        memcpy(network.bytes, &in6->sin6_addr, sizeof(network.bytes));
    } else {
        return -EAFNOSUPPORT;
    }
    cut(&network, NETWORK_BITS);
    *ret = network;
    return 0;
}

bool network_contains(const struct network *outer, const struct network *inner)
{
    struct network part = *inner;

    if (outer->is_four != inner->is_four || outer->prefix > inner->prefix)
        return false;
    cut(&part, outer->prefix);
    return memcmp(part.bytes, outer->bytes, sizeof(part.bytes)) == 0;
}

bool network_equal(const struct network *a, const struct network *b)
{
    return a->is_four == b->is_four && a->prefix == b->prefix &&
           memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
