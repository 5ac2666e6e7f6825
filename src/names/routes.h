/*
 * Which local node a distribution connection at a front port is for.
 *
 * A node is reached from other hosts on base + the offset of its name (erlang/ekka_port), or, where
 * that is not a port to be opened because of a name (front_port_derive), on the daemon's own front
 * port. Nodes of one port share it, and a handshake does not name whom it is meant for. But a node
 * asks for the port just before it connects, from the same address. So a connection is for
 *
 *   1. the current name of names/lookup_queue, which lets one name after the other be asked for:
 *      nothing is guessed;
 *   2. the name that its address looked up and has not connected to since, in vain or without its
 *      turn: of the look-ups of the last ROUTE_FRESH_MS the oldest, for connections come in the
 *      order of their look-ups; of those that are older the newest, for most of them will never be
 *      followed by a connection;
 *   3. the port's owner: the first registered of those that are not hidden.
 *
 * In 2 and 3 a node that the caller is connected to already is passed over, as long as there is
 * another one. A wrong guess is a failed connection: the handshake shows the caller whom it has
 * met, and Erlang does not call again by itself.
 *
 * Look-ups are kept where they can matter, on ports that nodes share: ROUTE_LOOKUP_MS long,
 * ROUTE_LOOKUPS_MAX of them, the oldest forgotten first.
 */
#ifndef PORTOLAN_NAMES_ROUTES_H
#define PORTOLAN_NAMES_ROUTES_H

#include "names/lookup_queue.h"

#include <sys/queue.h>

#define ROUTE_FRESH_MS 1000
#define ROUTE_LOOKUP_MS 10000
#define ROUTE_LOOKUPS_MAX 1024

struct routes;

/* NULL when out of memory. It borrows registrations between _add and _remove. */
struct routes *routes_new(void);
void routes_free(struct routes *routes);

/* Which ports names may open. */
struct front_port_rule {
    uint16_t base;       /* of ekka's rule */
    uint16_t offset_max; /* larger offsets are process ids, dates and hashes of pods, not numbers */
    uint16_t own;        /* the daemon's own front port */
    uint16_t epmd_port;  /* epmd's, whether it is open or not; 0: none */
};

#define FRONT_PORT_MIN 1024 /* lower ones belong to the services of the system */

/*
 * The front port of a registered node: base + offset; or the daemon's own where the offset is over
 * offset_max, or where the sum is over 65,535, below FRONT_PORT_MIN, or epmd's port: a name is not
 * to open ports that nobody allowed. 0 for none: a remote shell, a node that listens nowhere, a
 * node that listens on base + offset itself.
 */
uint16_t front_port_derive(const struct registration *registration,
                           const struct front_port_rule *rule);

/* Puts a node behind registration->front_port, which is not 0. False when out of memory. */
bool routes_add(struct routes *routes, struct registration *registration);

/* Takes a node away, with its look-ups, those that wait too; one that is not there is fine. */
void routes_remove(struct routes *routes, struct registration *registration, int64_t now_ms);

/* How many nodes are behind a port. */
size_t routes_count(const struct routes *routes, uint16_t port);

/* The nodes of a port, the first registered first; `index` counts from 0. NULL: no more. */
struct registration *routes_at(const struct routes *routes, uint16_t port, size_t index);

/* The ports with nodes behind them, in order; 0: no more. `after`: the one before, 0 at first. */
uint16_t routes_next_port(const struct routes *routes, uint16_t after);

/*
 * A walk over the nodes of a port, the first registered first, that may pause while nodes come and
 * go, also the last of them. The front ports must outlive it; it must be ended, and may be ended
 * twice.
 */
struct routes_cursor {
    struct routes *routes; /* NULL once ended */
    void *next;
    LIST_ENTRY(routes_cursor) entry;
};

void routes_cursor_begin(struct routes_cursor *cursor, struct routes *routes, uint16_t port);
const struct registration *routes_cursor_peek(const struct routes_cursor *cursor);
void routes_cursor_advance(struct routes_cursor *cursor);
void routes_cursor_end(struct routes_cursor *cursor);

/* Whose turn it is to be looked up. */
struct lookup_queue *routes_queue(const struct routes *routes);

/* A caller of another host was told the front port of this node. */
void routes_looked_up(struct routes *routes, struct registration *registration,
                      struct bytes address, int64_t now_ms);

/* A caller. `is_connected` may be NULL: nothing is known of its connections. */
struct route_query {
    uint16_t port;
    struct bytes address;
    int64_t now_ms;
    bool (*is_connected)(void *context, const struct registration *registration);
    void *context;
};

/* The node that a connection is for, its look-up used up with it; NULL: none is behind the port. */
struct registration *routes_choose(struct routes *routes, const struct route_query *caller);

/* NULL, or what does not hold inside that must: for tests, for it walks over everything. */
const char *routes_check(const struct routes *routes);

#endif
