/*
 * The front ports: which callers that want to reach a node may come in, and to which node each is
 * led. The stream between the two is front/proxy's; which ports are open, and which nodes are
 * behind them, is front/assignment's. Whom a caller wants to reach was found out before
 * (daemon/demux).
 */
#ifndef PORTOLAN_FRONT_FRONT_H
#define PORTOLAN_FRONT_FRONT_H

#include "erlang/first_bytes.h"
#include "front/proxy.h"
#include "names/port_pool.h"
#include "names/routes.h"
#include "net/acceptor.h"
#include "net/allow_list.h"

struct front;

struct front_options {
    bool proxy; /* else nodes are reached on their own ports only */
    struct front_port_rule rule;
    const char *addresses; /* to open front ports on, a comma list; borrowed */
    size_t ports_max;      /* that are opened besides the daemon's own */
    struct proxy_options streams;
    struct allow_list allow; /* which other hosts are admitted; all zeros: none */
};

/* Why a node has no front port yet; it is tried again. */
struct front_port_error {
    const struct registration *registration;
    uint16_t port;
    const char *reason;
    bool in_use;       /* a program of this host listens there */
    struct bytes name; /* the name that the port is leased to, or registered on; empty: none */
};

/* What is told to the owner, from the event loop. All is borrowed for the call. */
struct front_hooks {
    /* A front port was opened for this node, or closed after it, the last one behind it. */
    void (*opened)(void *context, uint16_t port, const struct registration *registration);
    void (*closed)(void *context, uint16_t port, const struct registration *registration);

    /* This node is behind a port of which another one is the first. */
    void (*shared)(void *context, uint16_t port, const struct registration *registration);

    void (*port_failed)(void *context, const struct front_port_error *error);

    /* A node that had been reported without one has its front port now; `route_changed` follows. */
    void (*recovered)(void *context, const struct registration *registration);

    /* The front port of a registered node has changed: it was tried again, or front_configure. */
    void (*route_changed)(void *context, const struct registration *registration);

    /* Whether a member of the cluster is at this address; NULL: there is no cluster. */
    bool (*is_member)(void *context, const struct address *peer);

    /* Look-ups that were held (names/lookup_queue) may go on: at once, for a connection has come to
     * a node; or when the callback under way is done, for a node leaves its front port. */
    void (*lookups_ready)(void *context, bool at_once);
    void *context;
};

struct front_counters {
    uint64_t not_allowed; /* callers that options.allow does not let in */
    uint64_t loops;       /* callers that were proxies of this host (net/hop_mark) */
};

/* What the front works with. All borrowed; `pool` may be NULL. */
struct front_deps {
    struct event_base *base;
    struct acceptor *acceptor; /* that listens on front ports */
    struct registry *registry;
    struct port_pool *pool; /* is told which ports are opened for nodes */
};

/* NULL when out of memory. */
struct front *front_new(const struct front_deps *deps, const struct front_options *options,
                        const struct front_hooks *hooks);

/* Closes all streams. To be called before the acceptor is freed. NULL is fine. */
void front_free(struct front *front);

/*
 * Puts `proxy`, `rule.offset_max`, `streams` and `allow` into effect for registered names and what
 * comes; the rest of the options cannot change. What streams there are stay.
 */
void front_configure(struct front *front, const struct front_options *options);

/* Whether a caller that was just accepted may come in: NULL, or why not. Where members are allowed,
 * only distribution is kept from others: a daemon that joins asks epmd's questions and makes a link
 * before it is a member. */
const char *front_admits(struct front *front, int fd, const struct address *peer);

/* Takes over an Erlang node's connection (FIRST_BYTES_DIST, _DIST_TLS), of which `received` was
 * read. NULL: taken. Else why not: the descriptor stays the caller's. */
const char *front_accept(struct front *front, const struct first_caller *caller, int fd,
                         const struct address *peer, struct bytes received);

/* A node has registered; its registration is about to end. */
void front_registered(struct front *front, struct registration *registration);
void front_unregistered(struct front *front, struct registration *registration);

/* For questions, and for names/epmd_service. */
struct routes *front_routes(struct front *front);
struct proxy *front_proxy(const struct front *front);
struct front_counters front_counters(const struct front *front);

#endif
