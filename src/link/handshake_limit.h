/*
 * Which callers may begin a handshake: so many at a time and a second, by host, with a share for
 * hosts of members, so that strangers cannot keep a cluster from forming.
 *
 *   caller                       at a time, of its host    at a time, in all
 *   ---------------------------  ------------------------  -------------------------
 *   a stranger                   HANDSHAKES_OF_STRANGER    HANDSHAKES_STRANGERS
 *   from the host of a member    HANDSHAKES_OF_MEMBER      HANDSHAKES_MEMBERS besides
 *
 * and HANDSHAKES_A_SECOND of one host either way. A host is an IPv4 address or an IPv6 /64
 * (net/host_limit). Where the strangers' places are all taken, whoever has one for the longest is
 * to give way: a handshake of goodwill takes two round trips.
 */
#ifndef PORTOLAN_LINK_HANDSHAKE_LIMIT_H
#define PORTOLAN_LINK_HANDSHAKE_LIMIT_H

#include "net/address.h"

#define HANDSHAKES_STRANGERS 192
#define HANDSHAKES_MEMBERS 64
#define HANDSHAKES_OF_STRANGER 32
#define HANDSHAKES_OF_MEMBER 64
#define HANDSHAKES_A_SECOND 64

struct handshake_limit;

/* NULL when out of memory. */
struct handshake_limit *handshake_limit_new(void);
void handshake_limit_free(struct handshake_limit *limit);

/* Whether a stranger has to give way before handshake_limit_enter can let this one in. */
bool handshake_limit_needs_victim(const struct handshake_limit *limit, bool from_member);

/* One handshake more. False: not now; the attempt counts for HANDSHAKES_A_SECOND all the same. */
bool handshake_limit_enter(struct handshake_limit *limit, const struct address *peer,
                           bool from_member, int64_t now_ms);

/* One that entered so is over. */
void handshake_limit_leave(struct handshake_limit *limit, const struct address *peer,
                           bool from_member);

#endif
