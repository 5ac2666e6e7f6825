/*
 * Whose a connection is, from its first bytes (erlang/first_bytes).
 *
 *   listener  first bytes are of              goes to
 *   --------  ------------------------------  --------------------------------------------------
 *   epmd      anything                        epmd, which refuses what is not a request
 *   front     an epmd client, or too few      epmd, which hands it back should it be another's
 *             a peer daemon                   the links
 *             an Erlang node                  the front, which leads it to a node
 *             a TLS hello that is not whole   the queue of hellos, and then to one of the two above
 *
 * epmd is asked first: what it can answer at once costs no allocation.
 */
#ifndef PORTOLAN_DAEMON_DEMUX_H
#define PORTOLAN_DAEMON_DEMUX_H

#include "epmd/server.h"
#include "front/front.h"
#include "net/acceptor.h"
#include "net/hello_queue.h"
#include "service/events.h"

/* All borrowed. It is the context of the hooks below, and filled in before the loop runs. */
struct demux {
    struct events *events;
    struct epmd_server *server;
    struct front *front;        /* NULL: there are no front ports */
    struct hello_queue *hellos; /* likewise */

    /* Takes over a connection with what was read from it. False: it cannot, and the descriptor
     * stays the caller's. */
    bool (*accept_link)(void *links, int fd, const struct address *peer, struct bytes first);
    void *links; /* its context */
};

/* See acceptor_hooks. */
void demux_accepted(void *demux, const struct accepted *accepted);
bool demux_shed(void *demux);
void demux_limit_hit(void *demux, const char *limit, const char *outcome);

/* See epmd_server_on_other_protocol. */
const char *demux_other_protocol(void *demux, int fd, const struct address *peer,
                                 struct bytes received);

/* See hello_queue_hooks. */
const char *demux_arrived(void *demux, const struct first_caller *caller, int fd,
                          const struct address *peer, struct bytes received);
void demux_refused(void *demux, const char *reason, const struct address *peer);

#endif
