#include "base/assert.h"
#include "erlang/ekka_port.h"
#include "names/port_pool_inner.h"

/* --- which ports --- */

static bool is_free(const struct port_pool *pool, const struct port_probe *probe, uint32_t port) {
    return pool_port_entry(pool, (uint16_t)port) == NULL &&
           probe->is_free(probe->context, (uint16_t)port);
}

bool pool_is_in_range(const struct port_pool *pool, uint16_t port) {
    return port >= pool->options.first && port <= pool->options.last;
}

bool pool_is_for_tools(const struct port_pool *pool, uint16_t port) {
    return pool_is_in_range(pool, port) && pool->options.last - port < pool->options.tools;
}

static bool is_for_leases(const struct port_pool *pool, uint16_t port) {
    return pool_is_in_range(pool, port) && !pool_is_for_tools(pool, port);
}

static enum port_verdict choose_from_range(const struct port_pool *pool, struct bytes name,
                                           const struct port_probe *probe, uint16_t *chosen) {
    const struct sticky_port *sticky = pool_sticky_of(pool, name);
    if (sticky != NULL && is_for_leases(pool, sticky->port) && is_free(pool, probe, sticky->port)) {
        *chosen = sticky->port;
        return PORT_OK;
    }
    for (uint32_t port = pool->options.first; port <= pool->options.last; port++) {
        if (!is_for_leases(pool, (uint16_t)port) || !is_free(pool, probe, port))
            continue;
        *chosen = (uint16_t)port;
        return PORT_OK;
    }
    return PORT_POOL_FULL;
}

static enum port_verdict choose_derived(const struct port_pool *pool, struct bytes name,
                                        const struct port_probe *probe, uint16_t *chosen) {
    uint32_t port;
    if (!ekka_port(name, pool->options.base, &port) || port == 0)
        return PORT_DERIVED_NONE;
    if (pool_is_for_tools(pool, (uint16_t)port))
        return PORT_DERIVED_TOOLS;
    *chosen = (uint16_t)port;
    return is_free(pool, probe, port) ? PORT_OK : PORT_DERIVED_TAKEN;
}

static bool is_derived(const struct port_pool *pool, struct bytes name, uint16_t port) {
    uint32_t derived;
    return ekka_port(name, pool->options.base, &derived) && derived == port;
}

enum port_verdict pool_fits_policy(const struct port_pool *pool, struct bytes name, uint16_t port) {
    switch (pool->options.policy) {
    case PORT_POLICY_RANGE:
        return pool_is_in_range(pool, port) ? PORT_OK : PORT_NOT_IN_RANGE;
    case PORT_POLICY_DERIVED:
        return is_derived(pool, name, port) || pool_is_for_tools(pool, port) ? PORT_OK
                                                                             : PORT_NOT_DERIVED;
    case PORT_POLICY_ANY:
        break;
    }
    return PORT_OK;
}

bool pool_could_give(const struct port_pool *pool, struct bytes name, uint16_t port) {
    if (pool->options.policy == PORT_POLICY_DERIVED)
        return is_derived(pool, name, port) && !pool_is_for_tools(pool, port);
    return is_for_leases(pool, port);
}

uint16_t port_pool_last_from(const struct port_pool *pool, uint16_t port) {
    return pool_is_in_range(pool, port) ? pool->options.last : 0;
}

/* --- leases --- */

void pool_end_lease(struct port_pool *pool, struct allocation *allocation,
                    enum port_lease_end end) {
    const struct port_lease_ending ending = {
        .lease = pool_lease_view(allocation),
        .end = end,
        .other_port = allocation->other_port,
        .other_name = bytes_of(allocation->other_name, allocation->other_len),
    };
    if (pool->ended != NULL)
        pool->ended(pool->ended_context, &ending);
    pool_drop_allocation(pool, allocation);
}

/* The allocation with which the name goes on; NULL: it needs a new one. */
static struct allocation *renewable(struct port_pool *pool, struct bytes name) {
    struct allocation *allocation = pool_allocation_of_name(pool, name);
    if (allocation == NULL || allocation->held ||
        pool_could_give(pool, name, allocation->port_entry->port))
        return allocation;
    pool_end_lease(pool, allocation, PORT_LEASE_WITHDRAWN); /* promised before the policy changed */
    return NULL;
}

enum port_verdict port_pool_lease(struct port_pool *pool, struct bytes name, uint32_t user,
                                  int64_t now_ms, const struct port_probe *probe, uint16_t *port) {
    struct allocation *allocation = renewable(pool, name);
    if (allocation == NULL) {
        bool derived = pool->options.policy == PORT_POLICY_DERIVED;
        enum port_verdict verdict = derived ? choose_derived(pool, name, probe, port)
                                            : choose_from_range(pool, name, probe, port);
        if (verdict != PORT_OK)
            return verdict;
        allocation = pool_add_allocation(pool, name, *port);
        if (allocation == NULL)
            return PORT_NO_MEMORY;
        pool_remember(pool, name, *port);
    }
    if (!allocation->held) {
        allocation->user = user;
        pool_wait(pool, allocation, now_ms + PORT_LEASE_MS);
    }
    allocation->leased = true;
    pool->changes++;
    *port = allocation->port_entry->port;
    PORTOLAN_ASSERT(allocation->held != allocation->waits && *port != 0);
    return PORT_OK;
}

bool port_pool_release(struct port_pool *pool, struct bytes name) {
    struct allocation *allocation = pool_allocation_of_name(pool, name);
    if (allocation == NULL || allocation->held)
        return false;
    pool_end_lease(pool, allocation, PORT_LEASE_RELEASED);
    return true;
}

int64_t port_pool_expire(struct port_pool *pool, int64_t now_ms) {
    struct allocation *allocation;
    while ((allocation = TAILQ_FIRST(&pool->waiting)) != NULL && allocation->expires_ms <= now_ms)
        pool_end_lease(pool, allocation, PORT_LEASE_EXPIRED);
    return allocation == NULL ? INT64_MAX : allocation->expires_ms;
}
