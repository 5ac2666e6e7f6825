/*
 * The control socket: JSON objects, one a line, on a Unix socket (docs/control.md). This module
 * moves lines and knows who calls; what a command means is its owner's.
 *
 * A peer costs at most CONTROL_LINE_MAX bytes of input and CONTROL_BACKLOG_MAX of output, and there
 * are at most CONTROL_PEERS_MAX of them: then the longest idle is closed for one more; with none
 * idle (all watch, or have a request under way), one that may not change things for one that may;
 * else the newcomer is closed. One that closes its writing side still gets the replies to
 * what it has asked, and is closed then; a watch of it ends.
 */
#ifndef PORTOLAN_NET_CONTROL_SERVER_H
#define PORTOLAN_NET_CONTROL_SERVER_H

#include <jansson.h>
#include <stdbool.h>

#define CONTROL_LINE_MAX 65536
#define CONTROL_BACKLOG_MAX (1 << 20)
#define CONTROL_PEERS_MAX 64
#define CONTROL_WRITE_TIMEOUT_S 30
#define CONTROL_GROUP "portolan"

struct event_base;
struct control_server;
struct control_peer;

/*
 * Makes the socket at `path`, and the directory it is in. A socket that nobody answers on is a
 * leftover and is replaced. A listening descriptor, or -errno: EADDRINUSE when a daemon answers
 * there.
 */
int control_listen(const char *path);

/* Closes and removes it again, where no server came of it. */
void control_unlisten(int listener, const char *path);

/*
 * Called for each request. What it is handed is borrowed. It returns the reply, which becomes the
 * server's; NULL when out of memory, which closes the connection.
 */
typedef json_t *control_handler(void *context, struct control_peer *peer, const json_t *request);

/* The listening descriptor becomes the server's, and `path` (copied) is removed at the end. */
struct control_server *control_server_new(struct event_base *base, int listener, const char *path,
                                          control_handler *handler, void *context);
void control_server_free(struct control_server *server);

/* Whether the peer may change things: root, the daemon's user, or of the group CONTROL_GROUP. */
bool control_peer_may_change(const struct control_peer *peer);

/*
 * For a handler whose reply takes time: it calls control_peer_hold and returns NULL. Until
 * control_peer_reply is called with `last`, requests of that peer wait. `gone` is called when the
 * peer goes away before that; borrowed like `context`. (One that first closed its writing side, and
 * then went, is noticed only when something is written to it: hold for a limited time.)
 */
void control_peer_hold(struct control_peer *peer, void (*gone)(void *context), void *context);
void control_peer_reply(struct control_peer *peer, json_t *reply, bool last);

/* Takes a hold back: the handler replies at once after all. */
void control_peer_release(struct control_peer *peer);

/* From now on the peer gets what is published. */
void control_peer_watch(struct control_peer *peer);

/* Sends an event to all who watch; takes the reference over. */
void control_server_publish(struct control_server *server, json_t *event);

/* Whether anybody watches: so that no event is made in vain. */
bool control_server_is_watched(const struct control_server *server);

#endif
