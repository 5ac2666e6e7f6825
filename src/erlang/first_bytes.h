/*
 * Who is calling at the front port, from the first bytes that came. A pure function: what a caller
 * is, whatever the pieces that its bytes arrive in.
 *
 *   first bytes                                          caller
 *   ---------------------------------------------------  ----------------------------------------
 *   2-byte length of a request, then x z n d k s         FIRST_BYTES_EPMD
 *   2-byte length, then N, or n and version 5, and a     FIRST_BYTES_DIST, once the packet is whole
 *   name that a node can have
 *   0x16 0x03, a hello that offers our protocol          FIRST_BYTES_LINK, once the hello is whole
 *   0x16 0x03, any other hello                           FIRST_BYTES_DIST_TLS, likewise
 *   0x16 0x03, no hello                                  FIRST_BYTES_NOBODY
 *   anything else                                        FIRST_BYTES_EPMD
 *
 * Invalid requests are refused there, as on epmd's port. An n followed by bytes that are not a
 * handshake is a request for names, as epmd takes it.
 *
 * As a length of the epmd protocol 0x1603 is over EPMD_REQUEST_MAX, so TLS is taken for nothing
 * else.
 */
#ifndef PORTOLAN_ERLANG_FIRST_BYTES_H
#define PORTOLAN_ERLANG_FIRST_BYTES_H

#include "base/bytes.h"

enum first_bytes {
    FIRST_BYTES_EPMD,     /* an epmd client, or too little yet to tell it from one */
    FIRST_BYTES_MORE,     /* TLS, and the hello is not whole */
    FIRST_BYTES_LINK,     /* a peer daemon */
    FIRST_BYTES_DIST,     /* an Erlang node */
    FIRST_BYTES_DIST_TLS, /* an Erlang node, as far as can be told */
    FIRST_BYTES_NOBODY,
};

struct first_caller {
    enum first_bytes who;
    struct bytes node; /* of FIRST_BYTES_DIST: what the caller calls itself; borrows `received` */
};

/* `protocol`: the one that peer daemons offer. */
struct first_caller first_bytes_judge(struct bytes received, struct bytes protocol);

#endif
