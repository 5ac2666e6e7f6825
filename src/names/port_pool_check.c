/* Whether a port pool is whole inside: what its tables say of each other. */
#include "names/port_pool_inner.h"

static const char *check_allocation(const struct port_pool *pool,
                                    const struct port_entry *port_entry,
                                    const struct allocation *allocation) {
    const struct bytes name = bytes_of(allocation->name, allocation->len);
    if (allocation->port_entry != port_entry || pool_allocation_of_name(pool, name) != allocation)
        return "an allocation is listed and not found";
    if (allocation->held == allocation->waits)
        return "an allocation is both held and waited for, or neither";
    if (allocation->waits && !allocation->leased)
        return "a lease waits that nobody asked for";
    return NULL;
}

static const char *check_port_entry(const struct port_pool *pool,
                                    const struct port_entry *port_entry, size_t *count) {
    const struct allocation *allocation;
    if (!port_entry->front && TAILQ_EMPTY(&port_entry->allocations))
        return "a port has an entry that nobody needs";
    if (port_set_next(&pool->taken, port_entry->port) != port_entry->port)
        return "a taken port is not in the set";
    TAILQ_FOREACH(allocation, &port_entry->allocations, entry) {
        const char *wrong = check_allocation(pool, port_entry, allocation);
        if (wrong != NULL)
            return wrong;
        (*count)++;
    }
    return NULL;
}

static const char *check_waiting(const struct port_pool *pool) {
    const struct allocation *allocation, *before = NULL, *following;
    size_t waiting = 0, listed = 0;
    HASH_ITER(by_name, pool->allocations_by_name, allocation, following) {
        waiting += allocation->waits ? 1 : 0;
    }
    TAILQ_FOREACH(allocation, &pool->waiting, by_expiry) {
        if (!allocation->waits || (before != NULL && before->expires_ms > allocation->expires_ms))
            return "leases do not wait in the order in which they end";
        before = allocation;
        listed++;
    }
    return waiting == listed ? NULL : "waiting leases are miscounted";
}

static const char *check_sticky(const struct port_pool *pool) {
    const struct sticky_port *sticky;
    size_t count = 0;
    TAILQ_FOREACH(sticky, &pool->sticky_by_age, entry) {
        if (pool_sticky_of(pool, bytes_of(sticky->name, sticky->len)) != sticky)
            return "a sticky port is listed and not found";
        count++;
    }
    if (count != HASH_COUNT(pool->sticky_by_name) || count > PORT_STICKY_MAX)
        return "sticky ports are miscounted";
    return NULL;
}

const char *port_pool_check(const struct port_pool *pool) {
    const struct port_entry *port_entry, *following;
    size_t count = 0;
    HASH_ITER(hh, pool->port_entries, port_entry, following) {
        const char *wrong = check_port_entry(pool, port_entry, &count);
        if (wrong != NULL)
            return wrong;
    }
    if (count != port_pool_count(pool))
        return "an allocation is at no port";
    const char *wrong = check_waiting(pool);
    return wrong != NULL ? wrong : check_sticky(pool);
}
