/*
 * Links to other daemons: sockets with TLS on them (net/tls), begun by us (link/dial) or taken
 * over from the front port.
 *
 *   state        waits for                     ends with
 *   HANDSHAKING  the TLS handshake             the hook `up`, its failure, its time
 *   OPEN         bytes                         peer_link_end; the hook `down`
 *   CLOSING      its last bytes to be taken    the peer's close, LINGER_MS
 *
 * The set owns its links. A link is handed out with the hook `up` and is good until peer_link_end
 * is called for it, or until the hook `down` has returned. Hooks are called from the event loop,
 * and from peer_links_accept, where `rejected`, `up`, `received` and `down` may come before it
 * returns; from no other function of this module.
 *
 * What a stranger costs: as many handshakes as link/handshake_limit lets in, each
 * CLUSTER_CONNECT_MS at most, of a few records and a few KiB (net/tls). He learns nothing but that
 * TLS is spoken here; with certificates, also what ours says, which TLS shows before his is seen.
 */
#ifndef PORTOLAN_LINK_LINK_H
#define PORTOLAN_LINK_LINK_H

#include "epmd/query.h"
#include "net/address.h"
#include "net/tls.h"

#define PEER_LINGER_MS 2000

struct event_base;
struct peer_link;
struct peer_links;

/* What the epmd of an address was asked before it was called. */
struct peer_query {
    uint16_t epmd_port; /* 0: it was not asked */
    enum epmd_query_result result;
    uint16_t advertised; /* the port that it replied; 0: none */
    uint16_t derived;    /* the port that was there without asking, such as the rule's */
};

/* How an attempt to connect, or a handshake, came to nothing. */
struct peer_failure {
    enum cluster_cause cause;
    struct address address; /* the last that was tried; family 0: none was */
    uint16_t port;
    struct peer_query query;      /* of that address */
    int error;                    /* an errno, or 0 */
    char reason[TLS_REASON_SIZE]; /* in OpenSSL's or the resolver's words, or "" */
};

struct peer_hooks {
    /* Authenticated. `name`: whom peer_dial was asked for; NULL: the peer called. False: close. */
    bool (*up)(void *context, struct peer_link *link, const char *name);

    /* Bytes in order. How many of them were used up: the rest comes again, with what follows. */
    size_t (*received)(void *context, struct peer_link *link, struct bytes bytes);

    void (*down)(void *context, struct peer_link *link, const struct peer_failure *failure);

    /* An attempt to connect has failed. */
    void (*failed)(void *context, const char *name, const struct peer_failure *failure);

    /* A caller was not let in: `failure` holds who and why; `limited`: for there were too many. */
    void (*rejected)(void *context, const struct peer_failure *failure, bool limited);

    /* Whether a member's host has the address: such callers have places of their own. May be NULL:
     * nobody is known. */
    bool (*is_from_member)(void *context, const struct address *peer);
    void *context;
};

/* Since the start. */
struct peer_counters {
    uint64_t accepted; /* handshakes begun by others */
    uint64_t refused;  /* of these: failed, or given up for others */
    uint64_t limited;  /* not even begun: too many */
};

/* `base` and `tls` are borrowed. NULL when out of memory. */
struct peer_links *peer_links_new(struct event_base *base, struct tls *tls,
                                  const struct peer_hooks *hooks);

/* Sends what can be sent at once, and closes all; no hook is called. */
void peer_links_free(struct peer_links *links);

/* While sending is paused, what is sent waits; what comes is read. */
void peer_links_pause_sending(struct peer_links *links, bool pause);

struct peer_counters peer_links_counters(const struct peer_links *links);

/* Takes over a connection that was accepted, with what was read from it. False: there are too many,
 * or no descriptor or memory is left, and the descriptor stays the caller's. */
bool peer_links_accept(struct peer_links *links, int fd, const struct address *peer,
                       struct bytes first);

/* Queues bytes. False: more than CLUSTER_QUEUE_MAX would wait, or memory is out. */
bool peer_link_send(struct peer_link *link, struct bytes bytes);

/* Sends what is queued, then closes. */
void peer_link_end(struct peer_link *link);

const struct address *peer_link_address(const struct peer_link *link);

/* What the peer is called, once that is known; cut to CLUSTER_NAME_MAX. */
void peer_link_set_name(struct peer_link *link, const char *name);

/* The same; "" while it is not. */
const char *peer_link_name(const struct peer_link *link);

/* The open link to the peer of that name; NULL: there is none. */
const struct peer_link *peer_links_find(const struct peer_links *links, const char *name);

/* Whether there is an open link to or from the host with that address (address_host's bytes). */
bool peer_links_has_host(const struct peer_links *links, struct bytes host);

/* Whether its certificate names the host of this node name. Without certificates: yes. */
bool peer_link_name_allowed(const struct peer_link *link, const char *name);

/* The owner's pointer: what the link is to it. NULL at first. */
void peer_link_set_owner(struct peer_link *link, void *owner);
void *peer_link_owner(const struct peer_link *link);

#endif
