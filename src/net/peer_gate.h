/*
 * Which callers may begin a handshake: so many at a time and a second, by host, with a share for
 * hosts of members, so that strangers cannot keep a cluster from forming.
 *
 *   caller                       at a time, of its host   at a time, in all
 *   ---------------------------  -----------------------  --------------------------
 *   a stranger                   PEER_GATE_OF_STRANGER    PEER_GATE_STRANGERS
 *   from the host of a member    PEER_GATE_OF_MEMBER      PEER_GATE_MEMBERS besides
 *
 * and PEER_GATE_A_SECOND of one host either way. A host is an IPv4 address or an IPv6 /64
 * (net/peer_limit). Where the strangers' places are all taken, whoever has one for the longest is
 * to give way: a handshake of goodwill takes two round trips.
 */
#ifndef PORTOLAN_NET_PEER_GATE_H
#define PORTOLAN_NET_PEER_GATE_H

#include "net/address.h"

#define PEER_GATE_STRANGERS 192
#define PEER_GATE_MEMBERS 64
#define PEER_GATE_OF_STRANGER 32
#define PEER_GATE_OF_MEMBER 64
#define PEER_GATE_A_SECOND 64

struct peer_gate;

/* NULL when out of memory. */
struct peer_gate *peer_gate_new(void);
void peer_gate_free(struct peer_gate *gate);

/* Whether a stranger has to give way before peer_gate_enter can let this one in. */
bool peer_gate_is_crowded(const struct peer_gate *gate, bool of_member);

/* One handshake more. False: not now; the attempt counts for PEER_GATE_A_SECOND all the same. */
bool peer_gate_enter(struct peer_gate *gate, const struct address *peer, bool of_member,
                     int64_t now_ms);

/* One that entered so is over. */
void peer_gate_leave(struct peer_gate *gate, const struct address *peer, bool of_member);

#endif
