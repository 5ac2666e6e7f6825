#include "erlang/ekka_port.h"
#include "names/port_pool_inner.h"

/* --- which ports --- */

static bool is_free(const struct port_pool *pool, const struct port_probe *probe, uint32_t port) {
    return pool_place_of(pool, (uint16_t)port) == NULL &&
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
    const struct memory *memory = pool_memory_of(pool, name);
    if (memory != NULL && is_for_leases(pool, memory->port) && is_free(pool, probe, memory->port)) {
        *chosen = memory->port;
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

void pool_end_lease(struct port_pool *pool, struct claim *claim, enum port_lease_end end) {
    const struct port_lease_ending ending = {
        .lease = pool_show(claim),
        .end = end,
        .other_port = claim->other_port,
        .other_name = bytes_of(claim->other_name, claim->other_len),
    };
    if (pool->ended != NULL)
        pool->ended(pool->ended_context, &ending);
    pool_drop_claim(pool, claim);
}

/* The claim with which the name goes on; NULL: it needs a new one. */
static struct claim *renewable(struct port_pool *pool, struct bytes name) {
    struct claim *claim = pool_claim_of_name(pool, name);
    if (claim == NULL || claim->held || pool_could_give(pool, name, claim->place->port))
        return claim;
    pool_end_lease(pool, claim, PORT_LEASE_WITHDRAWN); /* promised before the policy changed */
    return NULL;
}

enum port_verdict port_pool_lease(struct port_pool *pool, struct bytes name, uint32_t user,
                                  int64_t now_ms, const struct port_probe *probe, uint16_t *port) {
    struct claim *claim = renewable(pool, name);
    if (claim == NULL) {
        bool derived = pool->options.policy == PORT_POLICY_DERIVED;
        enum port_verdict verdict = derived ? choose_derived(pool, name, probe, port)
                                            : choose_from_range(pool, name, probe, port);
        if (verdict != PORT_OK)
            return verdict;
        claim = pool_add_claim(pool, name, *port);
        if (claim == NULL)
            return PORT_NO_MEMORY;
        pool_remember(pool, name, *port);
    }
    if (!claim->held) {
        claim->user = user;
        pool_wait(pool, claim, now_ms + PORT_LEASE_MS);
    }
    claim->leased = true;
    pool->changes++;
    *port = claim->place->port;
    return PORT_OK;
}

bool port_pool_release(struct port_pool *pool, struct bytes name) {
    struct claim *claim = pool_claim_of_name(pool, name);
    if (claim == NULL || claim->held)
        return false;
    pool_end_lease(pool, claim, PORT_LEASE_RELEASED);
    return true;
}

int64_t port_pool_expire(struct port_pool *pool, int64_t now_ms) {
    struct claim *claim;
    while ((claim = TAILQ_FIRST(&pool->waiting)) != NULL && claim->expires_ms <= now_ms)
        pool_end_lease(pool, claim, PORT_LEASE_EXPIRED);
    return claim == NULL ? INT64_MAX : claim->expires_ms;
}
