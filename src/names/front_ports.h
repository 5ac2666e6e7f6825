/*
 * Which local node a distribution connection at a front port is for.
 *
 * A node is reached from other hosts on base + the offset of its name (erlang/ekka_port), or, where
 * that is not a port to be opened because of a name (front_ports_derive), on the daemon's own front
 * port. Nodes of one port share it, and a handshake does not name whom it is meant for. But a node
 * asks for the port just before it connects, from the same address. So a connection is for
 *
 *   1. the current name of names/lookup_queue, which lets one name after the other be asked for:
 *      nothing is guessed;
 *   2. the name that its address looked up and has not connected to since, in vain or without its
 *      turn: of the look-ups of the last FRONT_FRESH_MS the oldest, for connections come in the
 *      order of their look-ups; of those that are older the newest, for most of them will never be
 *      followed by a connection;
 *   3. the port's owner: the first registered of those that are not hidden.
 *
 * In 2 and 3 a node that the caller is connected to already is passed over, as long as there is
 * another one. A wrong guess is a failed connection: the handshake tells the caller whom it has
 * met, and Erlang does not call again by itself.
 *
 * Look-ups are kept where they can matter, on ports that nodes share: FRONT_LOOKUP_MS long,
 * FRONT_LOOKUPS_MAX of them, the oldest forgotten first.
 */
#ifndef PORTOLAN_NAMES_FRONT_PORTS_H
#define PORTOLAN_NAMES_FRONT_PORTS_H

#include "names/lookup_queue.h"

#include <sys/queue.h>

#define FRONT_FRESH_MS 1000
#define FRONT_LOOKUP_MS 10000
#define FRONT_LOOKUPS_MAX 1024

struct front_ports;

/* NULL when out of memory. It borrows registrations between _add and _remove. */
struct front_ports *front_ports_new(void);
void front_ports_free(struct front_ports *ports);

/* Which ports names may open. */
struct front_rule {
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
uint16_t front_ports_derive(const struct registration *registration, const struct front_rule *rule);

/* Puts a node behind registration->front_port, which is not 0. False when out of memory. */
bool front_ports_add(struct front_ports *ports, struct registration *registration);

/* Takes a node away, with its look-ups, those that wait too; one that is not there is fine. */
void front_ports_remove(struct front_ports *ports, struct registration *registration,
                        int64_t now_ms);

/* How many nodes are behind a port. */
size_t front_ports_count(const struct front_ports *ports, uint16_t port);

/* The nodes of a port, the first registered first; `index` counts from 0. NULL: no more. */
struct registration *front_ports_at(const struct front_ports *ports, uint16_t port, size_t index);

/* The ports with nodes behind them, in order; 0: no more. `after`: the one before, 0 at first. */
uint16_t front_ports_next(const struct front_ports *ports, uint16_t after);

/*
 * A walk over the nodes of a port, the first registered first, that may pause while nodes come and
 * go, also the last of them. The front ports must outlive it; it must be ended, and may be ended
 * twice.
 */
struct front_ports_cursor {
    struct front_ports *ports; /* NULL once ended */
    void *next;
    LIST_ENTRY(front_ports_cursor) link;
};

void front_ports_cursor_begin(struct front_ports_cursor *cursor, struct front_ports *ports,
                              uint16_t port);
const struct registration *front_ports_cursor_peek(const struct front_ports_cursor *cursor);
void front_ports_cursor_advance(struct front_ports_cursor *cursor);
void front_ports_cursor_end(struct front_ports_cursor *cursor);

/* Whose turn it is to be looked up. */
struct lookup_queue *front_ports_queue(const struct front_ports *ports);

/* A caller of another host was told the front port of this node. */
void front_ports_looked_up(struct front_ports *ports, struct registration *registration,
                           struct bytes address, int64_t now_ms);

/* A caller. `is_connected` may be NULL: nothing is known of its connections. */
struct front_caller {
    uint16_t port;
    struct bytes address;
    int64_t now_ms;
    bool (*is_connected)(void *context, const struct registration *registration);
    void *context;
};

/* The node that a connection is for, its look-up used up with it; NULL: none is behind the port. */
struct registration *front_ports_choose(struct front_ports *ports,
                                        const struct front_caller *caller);

#endif
