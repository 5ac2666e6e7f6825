/*
 * The front ports: who is calling there (erlang/first_bytes), and whom they are handed to.
 *
 *   caller                  handed to
 *   ----------------------  ---------------------------------------------------------------
 *   an epmd client          nobody: net/epmd_conn answers it, and never comes here
 *   a peer daemon           the hook `link`
 *   an Erlang node          the proxy, to the node that it is for (names/routes)
 *   TLS, hello not whole    nobody yet: it waits, FRONT_HELLO_MS at most, hellos_max of them, of
 *                           which the oldest gives way, FRONT_HELLOS_OF_ONE_HOST of an address
 *
 * Which of these ports are open, and which nodes are behind them: net/front_assignment.
 */
#ifndef PORTOLAN_NET_FRONT_H
#define PORTOLAN_NET_FRONT_H

#include "names/port_pool.h"
#include "names/routes.h"
#include "net/allow_list.h"
#include "net/epmd_server.h"
#include "net/proxy.h"

#define FRONT_HELLO_MS 5000
#define FRONT_HELLOS_MAX 256
#define FRONT_HELLOS_OF_ONE_HOST 32

struct front;

struct front_options {
    bool proxy; /* else nodes are reached on their own ports only */
    struct front_port_rule rule;
    const char *addresses; /* to open front ports on, a comma list; borrowed */
    size_t ports_max;      /* that are opened besides the daemon's own */
    size_t hellos_max;     /* that are waited for, FRONT_HELLOS_MAX at most */
    struct proxy_options streams;
    struct allow_list allow; /* who may come in from other hosts; all zeros: nobody */
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
    /* A peer daemon, whose descriptor goes to who takes it. False: nobody does. */
    bool (*link)(void *context, int fd, const struct address *peer, struct bytes first);

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

    /* A caller whose hello had to be waited for was not taken. */
    void (*refused)(void *context, const char *reason, const struct address *peer);
    void *context;
};

struct front_counters {
    uint64_t refused;     /* callers whose hello had to be waited for, and was not liked */
    uint64_t timed_out;   /* callers whose hello was not whole in time */
    uint64_t not_allowed; /* callers that options.allow does not let in */
    uint64_t loops;       /* callers that were proxies of this host (net/hop_mark) */
};

/* What the front works with. All borrowed; `pool` may be NULL. */
struct front_deps {
    struct event_base *base;
    struct epmd_server *server; /* which listens on front ports too */
    struct registry *registry;
    struct port_pool *pool; /* is told which ports are opened for nodes */
};

/* NULL when out of memory. */
struct front *front_new(const struct front_deps *deps, const struct front_options *options,
                        const struct front_hooks *hooks);

/* Closes all streams. To be called before the server is freed. NULL is fine. */
void front_free(struct front *front);

/*
 * Puts `proxy`, `rule.offset_max`, `streams` and `allow` in force for what is registered and what
 * comes; the rest of the options cannot change. What streams there are stay.
 */
void front_configure(struct front *front, const struct front_options *options);

/* See epmd_server_hooks. Where members are allowed, only distribution is kept from others: a daemon
 * that joins asks epmd's questions and makes a link before it is a member. */
const char *front_admits(struct front *front, int fd, const struct address *peer);

/* See epmd_server_hooks. */
const char *front_accept(struct front *front, const struct first_caller *caller, int fd,
                         const struct address *peer, struct bytes received);

/* A node has registered; its registration is about to end. */
void front_registered(struct front *front, struct registration *registration);
void front_unregistered(struct front *front, struct registration *registration);

/* For questions, and for names/epmd_service. */
struct routes *front_ports_of(struct front *front);
struct proxy *front_proxy(const struct front *front);
struct front_counters front_counters(const struct front *front);

#endif
