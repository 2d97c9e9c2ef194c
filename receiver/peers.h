/*
 * peers: who the clients are, by address, each with its share of the memory budget. A peer exists
 * while it has a connection; connections of one address share it.
 */
#ifndef RECEIVER_PEERS_H
#define RECEIVER_PEERS_H

#include <stdint.h>
#include <sys/socket.h>

#include "receiver/budget.h"
#include "shared/base/network.h"
#include "shared/base/slice.h"

#define PEER_TEXT_BYTES 64u

struct peer {
    struct peer *next; /* in its bucket */
    struct budget_share share;
    uint32_t connections;
    uint32_t text_bytes;
    struct network address;     /* zero where it is no IP address */
    char text[PEER_TEXT_BYTES]; /* the address, NUL-terminated; IPv4 also where it came mapped */
};

struct peers;

/* NULL: out of memory. */
struct peers *peers_new(void);
/* All peers must have been left. */
void peers_free(struct peers **peers);

/*
 * The peer of this address, for one more connection; *ret_port is its port, 0 where it has none.
 * NULL: out of memory.
 */
struct peer *peers_join(struct peers *peers, const struct sockaddr_storage *address,
                        uint16_t *ret_port);
void peers_leave(struct peers *peers, struct peer *peer);

#endif
