/*
 * Accepts TCP connections on any number of listeners, and hands each to whom it was made for.
 *
 * The acceptor owns its listeners. Those that it began with are permanent; others come and go with
 * the ports of nodes. Nothing that callers do ends it:
 *
 *   out of descriptors   the hook `shed` may close a connection that can be spared; else one
 *                        descriptor in reserve takes a caller at a time, with `on_reserve` set
 *   out of memory        accepting rests for a tenth of a second
 */
#ifndef PORTOLAN_NET_ACCEPTOR_H
#define PORTOLAN_NET_ACCEPTOR_H

#include "net/listener.h"

struct acceptor;
struct event_base;
struct turn_budget;

struct accepted {
    int fd; /* non-blocking, close-on-exec; whoever is handed it owns it */
    enum listener_role role;
    bool on_reserve; /* the last descriptor: it must be closed before the hook returns */
    struct address peer;
};

struct acceptor_options {
    struct turn_budget *budget; /* borrowed; NULL: a turn of the loop takes what it takes */
    unsigned delay_s;           /* to play a busy server: sleeps before each, holding all up */
};

/* Called from the event loop. */
struct acceptor_hooks {
    void (*accepted)(void *context, const struct accepted *accepted);

    /* Closes a connection because descriptors ran out. False: there is none to spare. */
    bool (*shed)(void *context);
    void (*limit_hit)(void *context, const char *limit, const char *outcome);
    void *context;
};

/* `base` is borrowed, the listeners become the acceptor's. NULL when out of memory: they are
 * closed. */
struct acceptor *acceptor_new(struct event_base *base, const struct acceptor_options *options,
                              const struct acceptor_hooks *hooks,
                              const struct listeners *listeners);

/* Closes the listeners. NULL is fine. */
void acceptor_free(struct acceptor *acceptor);

/* Listens there too, until acceptor_unlisten; the listeners become the acceptor's. False: out of
 * memory; what is left to do is acceptor_unlisten. */
bool acceptor_listen(struct acceptor *acceptor, struct listeners *listeners);

/* Whether one of its listeners has this port; whether that is a front port. */
bool acceptor_listens(const struct acceptor *acceptor, uint16_t port);
bool acceptor_has_front(const struct acceptor *acceptor, uint16_t port);

/* Closes the listeners on that port which acceptor_listen has opened; permanent ones stay, and so
 * do connections that were accepted. False: there was nothing to close. */
bool acceptor_unlisten(struct acceptor *acceptor, uint16_t port);

/* Whether a listener of this role has connections that are not accepted yet. */
bool acceptor_has_backlog(const struct acceptor *acceptor, enum listener_role role);

#endif
