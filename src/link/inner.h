/* What link/link.c and link/dial.c share. */
#ifndef PORTOLAN_LINK_INNER_H
#define PORTOLAN_LINK_INNER_H

#include "link/dial.h"
#include "link/handshake_limit.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

enum peer_link_state { PEER_LINK_HANDSHAKING, PEER_LINK_OPEN, PEER_LINK_CLOSING };

struct bufferevent;
struct evbuffer;

struct peer_link {
    struct peer_links *links; /* borrowed */
    struct tls_stream *stream;
    struct bufferevent *wire;
    struct evbuffer *plain; /* what came and is not used up yet: less than a frame */
    struct event timer;     /* of the handshake we were called for, and of the end */
    struct peer_dial *dial; /* of a handshake that we began; borrowed */
    struct address address;
    enum peer_link_state state;
    bool received_any;      /* anything at all */
    bool handshake_counted; /* counted in links->handshakes; the peer called */
    bool from_member;       /* as one of a member's host */
    void *owner;
    char name[CLUSTER_NAME_MAX + 1]; /* "": not known yet */
    TAILQ_ENTRY(peer_link) entry;
};
TAILQ_HEAD(peer_link_list, peer_link);
TAILQ_HEAD(peer_dial_list, peer_dial);

struct peer_links {
    struct event_base *base;
    struct tls *tls;
    struct peer_hooks hooks;
    struct peer_link_list all;
    struct peer_dial_list dials;
    struct handshake_limit *handshakes; /* under way, for which we were called */
    bool sending_paused;                /* nothing is sent */
    struct peer_counters counters;
    uint8_t scratch[16384]; /* what one TLS record holds */
};

/* A link on a connected socket, which it owns from here on, in its handshake. NULL: no memory; the
 * socket is closed. `dial`: whoever called, with the host that the peer's certificate must name. */
struct peer_link *peer_link_new(struct peer_links *links, int fd, const struct address *address,
                                struct peer_dial *dial, const char *host);

/* Frees it at once, without a word to anybody. */
void peer_link_destroy(struct peer_link *link);

/* What a dial hears of the link that it made: it is open, or came to nothing and is gone. Either
 * way the link forgets the dial. */
void peer_dial_opened(struct peer_dial *dial, struct peer_link *link);
void peer_dial_lost(struct peer_dial *dial, const struct peer_failure *failure);

void peer_dial_free(struct peer_dial *dial);

#endif
