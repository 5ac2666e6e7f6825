/*
 * The front port: who is calling, from the first bytes (design: epmd clients, peer daemons and
 * Erlang nodes share it).
 *
 *   first bytes                                    who
 *   ---------------------------------------------  ------------------------------------------
 *   2-byte length of a request, then the request   an epmd client
 *   0x16 0x03                                      TLS: a peer daemon, once its handshake says so
 *   anything else                                  nobody
 *
 * As an epmd length 0x1603 is over EPMD_REQUEST_MAX, so the two cannot be confused, and an epmd
 * client's way is not a step longer for this.
 */
#ifndef PORTOLAN_NET_FRONT_H
#define PORTOLAN_NET_FRONT_H

#include "net/listener.h"

#include "base/bytes.h"

enum front_caller {
    FRONT_UNKNOWN, /* nobody, or an epmd client */
    FRONT_TLS,
};

/* What the bytes that epmd's framing does not take are the beginning of. */
enum front_caller front_classify(struct bytes first);

/* Whether the connection came in on one of the front ports. */
bool front_is_called(const struct listeners *listeners, int fd);

/*
 * Takes a connection over that is no epmd client's: the descriptor, and what was read from it
 * already (`first`, borrowed for the call). False: it is not wanted, and stays the caller's.
 */
typedef bool front_taker(void *context, enum front_caller caller, int fd,
                         const struct address *peer, struct bytes first);

#endif
