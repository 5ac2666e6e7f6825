/* What the files names/port_pool*.c share: the tables are in port_pool.c. */
#ifndef PORTOLAN_NAMES_PORT_POOL_INNER_H
#define PORTOLAN_NAMES_PORT_POOL_INNER_H

#include "base/hash_table.h"
#include "base/port_set.h"
#include "names/port_pool.h"

#include <sys/queue.h>

/* A port that a name has: leased, or held by its registration. */
struct allocation {
    UT_hash_handle by_name;
    TAILQ_ENTRY(allocation) entry;
    TAILQ_ENTRY(allocation) by_expiry; /* while it waits */
    struct port_entry *port_entry;
    bool held;
    bool waits;    /* for its node, until expires_ms */
    bool leased;   /* by port_pool_lease: it is saved, as long as it is the port's first */
    uint32_t user; /* whose it is; USER_NOBODY: anybody's */
    int64_t expires_ms;
    uint16_t other_port; /* what was seen while the lease waits: see struct port_lease_ending */
    uint8_t *other_name; /* owned; NULL: nobody */
    size_t other_len;
    size_t len;
    uint8_t name[];
};
TAILQ_HEAD(allocation_list, allocation);

/* A port that somebody has: the names that do, in the order in which they came. There is one only
 * where registrations are enforced, and none on a front port that no node pretends to have. */
struct port_entry {
    UT_hash_handle hh;
    uint16_t port;
    bool front; /* the daemon listens there */
    struct allocation_list allocations;
};

/* The port that a name had last. */
struct sticky_port {
    UT_hash_handle hh;
    TAILQ_ENTRY(sticky_port) entry;
    uint16_t port;
    size_t len;
    uint8_t name[];
};
TAILQ_HEAD(sticky_list, sticky_port);

/* How far the text of what is saved has come: the ports, then the sticky ports. */
struct pool_text {
    bool begun;    /* the header is written */
    uint32_t port; /* the next one; over 65,535: all are written */
    bool at_sticky;
    const struct sticky_port *sticky; /* the next one, once it is at them; NULL: all are written */
    uint64_t sum;                     /* of what is written */
};

struct port_pool {
    struct port_pool_options options;
    struct allocation *allocations_by_name;
    struct port_entry *port_entries;
    struct port_set taken; /* the ports that have an entry */
    LIST_HEAD(port_pool_cursors, port_pool_cursor) cursors;
    struct sticky_port *sticky_by_name;
    struct sticky_list sticky_by_age; /* the longest unused first */
    struct allocation_list waiting;   /* leases that wait for their nodes, the next to end first */
    uint64_t changes, encoded_changes, saved_changes; /* of what is saved */
    struct pool_text text;                            /* that is being written */
    port_lease_ended *ended;                          /* NULL: not reported */
    void *ended_context;
};

/* --- port_pool.c --- */

/* NULL: there is none. */
struct allocation *pool_allocation_of_name(const struct port_pool *pool, struct bytes name);
struct allocation *pool_allocation_on_port(const struct port_pool *pool, uint16_t port);
struct port_entry *pool_port_entry(const struct port_pool *pool, uint16_t port);
struct sticky_port *pool_sticky_of(const struct port_pool *pool, struct bytes name);

/* Whether an allocation is of those that outlive a restart. */
bool pool_is_saved(const struct allocation *allocation);

/* The name must be without an allocation. NULL when out of memory. */
struct allocation *pool_add_allocation(struct port_pool *pool, struct bytes name, uint16_t port);

/* The next in line has the port then. No event reports it. */
void pool_drop_allocation(struct port_pool *pool, struct allocation *allocation);

/* The allocation waits for its node until then; for none any more. */
void pool_wait(struct port_pool *pool, struct allocation *allocation, int64_t expires_ms);
void pool_stop_waiting(struct port_pool *pool, struct allocation *allocation);

struct port_lease pool_lease_view(const struct allocation *allocation);

/* The port that a name gets when it comes again, if it can. For want of memory a name may lose its
 * port; it gets another. */
void pool_remember(struct port_pool *pool, struct bytes name, uint16_t port);

/* --- port_pool_leases.c --- */

bool pool_is_in_range(const struct port_pool *pool, uint16_t port);

/* Whether the port is one of those that are kept for tools. */
bool pool_is_for_tools(const struct port_pool *pool, uint16_t port);

/* Whether the policy of today lets the name have this port, and whether it would give it. */
enum port_verdict pool_fits_policy(const struct port_pool *pool, struct bytes name, uint16_t port);
bool pool_could_give(const struct port_pool *pool, struct bytes name, uint16_t port);

/* Ends a lease whose node has not registered, and reports it. */
void pool_end_lease(struct port_pool *pool, struct allocation *allocation, enum port_lease_end end);

#endif
