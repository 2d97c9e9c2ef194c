/*
 * network: an IP address or a network in CIDR notation, and whether the one lies in the other. For
 * lists of clients and proxies in the configuration. Pure.
 *
 * An IPv4 address that a dual-stack socket shows as ::ffff:a.b.c.d is the IPv4 address: it lies in
 * IPv4 networks, and no IPv6 network but a mapped one (which is an IPv4 network too) holds it, so
 * that ::/0 is all of IPv6 and 0.0.0.0/0 all of IPv4.
 */
#ifndef SHARED_BASE_NETWORK_H
#define SHARED_BASE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "shared/base/slice.h"

#define NETWORK_BITS 128u

/* Bits behind the prefix are zero. IPv4 is in its mapped form, with 96 bits more of prefix. */
struct network {
    uint8_t bytes[NETWORK_BITS / 8];
    uint8_t prefix;
    bool is_four;
};

/*
 * Reads "10.1.2.3", "2001:db8::7" (networks of one address), "10.0.0.0/8", "2001:db8::/32".
 * 1 where bits behind the prefix were set (they are cleared), 0 where none were; -EINVAL: it is none
 * of these (a host name, a zone, a prefix that is too long).
 */
int network_parse(struct slice text, struct network *ret);

/* The network of this one address. -EAFNOSUPPORT where it is not of the IP family. */
int network_of_peer(const struct sockaddr_storage *address, struct network *ret);

/* `inner` lies in `outer`, or is the same. */
bool network_contains(const struct network *outer, const struct network *inner);
bool network_equal(const struct network *a, const struct network *b);

#endif
