/* What names/port_pool.c and names/port_pool_saved.c share. */
#ifndef PORTOLAN_NAMES_PORT_POOL_INNER_H
#define PORTOLAN_NAMES_PORT_POOL_INNER_H

#include "base/port_set.h"
#include "names/port_pool.h"

#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* A port that a name has: leased, or held by its registration. */
struct claim {
    UT_hash_handle by_name;
    TAILQ_ENTRY(claim) link;
    TAILQ_ENTRY(claim) waiting; /* while it is not held */
    struct place *place;
    bool held;
    bool leased; /* by port_pool_lease: such a claim is saved, as long as it is the port's first */
    int64_t expires_ms;
    size_t len;
    uint8_t name[];
};
TAILQ_HEAD(claims, claim);

/* A port that somebody has: the names that do, in the order in which they came. There is one only
 * where registrations are enforced, and none on a front port that no node pretends to have. */
struct place {
    UT_hash_handle hh;
    uint16_t port;
    bool front; /* the daemon listens there */
    struct claims claims;
};

/* The port that a name had last. */
struct memory {
    UT_hash_handle hh;
    TAILQ_ENTRY(memory) link;
    uint16_t port;
    size_t len;
    uint8_t name[];
};
TAILQ_HEAD(memories, memory);

struct port_pool {
    struct port_pool_options options;
    struct claim *claims_by_name;
    struct claims waiting; /* those that are not held, by when they expire */
    struct place *places;
    struct port_set taken; /* the ports of the places */
    LIST_HEAD(, port_pool_cursor) cursors;
    struct memory *memories;
    struct memories memories_by_age; /* the longest unused first */
    bool unsaved;
};

/* NULL: there is none. */
struct claim *pool_claim_of_name(const struct port_pool *pool, struct bytes name);
struct claim *pool_claim_on_port(const struct port_pool *pool, uint16_t port);

/* Whether a claim is of those that outlive a restart. */
bool pool_is_saved(const struct claim *claim);

/* A new claim waits for its node until then, or with POOL_HELD is held at once. The name must be
 * without one. NULL when out of memory. */
#define POOL_HELD INT64_MAX
struct claim *pool_add_claim(struct port_pool *pool, struct bytes name, uint16_t port,
                             int64_t expires_ms);

/* The port that a name gets when it comes again, if it can. For want of memory a name may lose its
 * port; it gets another. */
void pool_remember(struct port_pool *pool, struct bytes name, uint16_t port);

#endif
