#include "receiver/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/hash.h"

#define BUCKETS 1024u

struct peers {
    struct peer *buckets[BUCKETS];
};

struct peers *peers_new(void)
{
    return calloc(1, sizeof(struct peers));
}

void peers_free(struct peers **peers)
{
    free(*peers);
    *peers = NULL;
}

static void name_in6(const struct sockaddr_in6 *in6, char text[PEER_TEXT_BYTES])
{
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, text, PEER_TEXT_BYTES);
    else
        inet_ntop(AF_INET6, &in6->sin6_addr, text, PEER_TEXT_BYTES);
}

static void name_of(const struct sockaddr_storage *address, char text[PEER_TEXT_BYTES],
                    uint16_t *ret_port)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

        inet_ntop(AF_INET, &in->sin_addr, text, PEER_TEXT_BYTES);
        *ret_port = ntohs(in->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

        name_in6(in6, text);
        *ret_port = ntohs(in6->sin6_port);
    } else {
        snprintf(text, PEER_TEXT_BYTES, "local");
        *ret_port = 0;
    }
}

static struct peer **bucket_of(struct peers *peers, struct slice name)
{
    return &peers->buckets[hash_slices(&name, 1).low % BUCKETS];
}

struct peer *peers_join(struct peers *peers, const struct sockaddr_storage *address,
                        uint16_t *ret_port)
{
    char text[PEER_TEXT_BYTES] = "unknown";
    struct peer **bucket, *peer;
    struct slice name;

    name_of(address, text, ret_port);
    name = slice_string(text);
    bucket = bucket_of(peers, name);
    for (peer = *bucket; peer; peer = peer->next)
        if (slice_is(name, peer->text))
            break;
    if (!peer) {
        peer = calloc(1, sizeof(*peer));
        if (!peer)
            return NULL;
        memcpy(peer->text, text, sizeof(text));
        (void)network_of_peer(address, &peer->address);
        peer->text_bytes = (uint32_t)name.n;
        peer->next = *bucket;
        *bucket = peer;
    }
    peer->connections++;
    return peer;
}

void peers_leave(struct peers *peers, struct peer *peer)
{
    struct peer **at;

    if (--peer->connections > 0)
        return;
    at = bucket_of(peers, slice_of(peer->text, peer->text_bytes));
    while (*at != peer)
        at = &(*at)->next;
    *at = peer->next;
    free(peer);
}
