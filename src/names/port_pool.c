#include "erlang/ekka_port.h"
#include "names/port_pool_inner.h"

#include <stdlib.h>
#include <string.h>

const char *const port_policy_names[] = {"range", "derived", "any", NULL};

struct port_pool *port_pool_new(const struct port_pool_options *options) {
    struct port_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->options = *options;
    TAILQ_INIT(&pool->waiting);
    TAILQ_INIT(&pool->memories_by_age);
    return pool;
}

void port_pool_configure(struct port_pool *pool, const struct port_pool_options *options) {
    pool->options = *options;
}

const char *port_verdict_reason(enum port_verdict verdict) {
    switch (verdict) {
    case PORT_OK:
        return "nothing is wrong";
    case PORT_POOL_FULL:
        return "every port of the range is taken";
    case PORT_DERIVED_TAKEN:
        return "the port that the rule derives from this name is taken";
    case PORT_DERIVED_NONE:
        return "the rule derives no port from this name";
    case PORT_NOT_IN_RANGE:
        return "the port is outside the range";
    case PORT_NOT_DERIVED:
        return "the port is not the one that the rule derives from this name";
    case PORT_LEASED_TO_OTHER:
        return "the port is leased to another name";
    case PORT_NO_MEMORY:
        return "out of memory";
    }
    return "unknown reason";
}

/* --- claims --- */

struct claim *pool_claim_of_name(const struct port_pool *pool, struct bytes name) {
    struct claim *found;
    HASH_FIND(by_name, pool->claims_by_name, name.data, name.len, found);
    return found;
}

static struct place *place_of(const struct port_pool *pool, uint16_t port) {
    struct place *found;
    HASH_FIND(hh, pool->places, &port, sizeof port, found);
    return found;
}

/* The first that came. */
struct claim *pool_claim_on_port(const struct port_pool *pool, uint16_t port) {
    const struct place *place = place_of(pool, port);
    return place == NULL ? NULL : TAILQ_FIRST(&place->claims);
}

bool pool_is_saved(const struct claim *claim) {
    return claim->leased && claim == TAILQ_FIRST(&claim->place->claims);
}

static struct place *add_place(struct port_pool *pool, uint16_t port) {
    struct place *place = calloc(1, sizeof *place);
    if (place == NULL)
        return NULL;
    place->port = port;
    TAILQ_INIT(&place->claims);
    HASH_ADD(hh, pool->places, port, sizeof place->port, place);
    if (place->hh.tbl == NULL) {
        free(place);
        return NULL;
    }
    port_set_add(&pool->taken, port);
    return place;
}

static void drop_place_if_free(struct port_pool *pool, struct place *place) {
    if (place->front || !TAILQ_EMPTY(&place->claims))
        return;
    HASH_DELETE(hh, pool->places, place);
    port_set_remove(&pool->taken, place->port);
    free(place);
}

/* A lease lasts equally long for everybody, so that its place is most often the last. */
static void wait_for_node(struct port_pool *pool, struct claim *claim, int64_t expires_ms) {
    struct claim *before = TAILQ_LAST(&pool->waiting, claims);
    claim->held = false;
    claim->expires_ms = expires_ms;
    while (before != NULL && before->expires_ms > expires_ms)
        before = TAILQ_PREV(before, claims, waiting);
    if (before == NULL)
        TAILQ_INSERT_HEAD(&pool->waiting, claim, waiting);
    else
        TAILQ_INSERT_AFTER(&pool->waiting, before, claim, waiting);
}

static void hold(struct port_pool *pool, struct claim *claim) {
    if (claim->held)
        return;
    TAILQ_REMOVE(&pool->waiting, claim, waiting);
    claim->held = true;
}

/* Whoever came next has the port now. */
static void drop_claim(struct port_pool *pool, struct claim *claim) {
    struct place *place = claim->place;
    bool was_saved = pool_is_saved(claim);
    struct claim *next = TAILQ_NEXT(claim, link);
    struct port_pool_cursor *cursor;
    LIST_FOREACH(cursor, &pool->cursors, link) {
        if (cursor->next == claim)
            cursor->next = next;
    }
    pool->unsaved = pool->unsaved || was_saved;
    hold(pool, claim); /* it waits no longer */
    HASH_DELETE(by_name, pool->claims_by_name, claim);
    TAILQ_REMOVE(&place->claims, claim, link);
    free(claim);
    if (next != NULL && pool_is_saved(next))
        pool->unsaved = true;
    drop_place_if_free(pool, place);
}

/* Behind those that the port has. */
struct claim *pool_add_claim(struct port_pool *pool, struct bytes name, uint16_t port,
                             int64_t expires_ms) {
    struct place *place = place_of(pool, port);
    struct claim *claim = malloc(sizeof *claim + name.len);
    if (place == NULL)
        place = add_place(pool, port);
    if (place == NULL || claim == NULL)
        goto fail;
    memset(claim, 0, sizeof *claim);
    claim->place = place;
    claim->held = expires_ms == POOL_HELD;
    claim->len = name.len;
    memcpy(claim->name, name.data, name.len);
    HASH_ADD_KEYPTR(by_name, pool->claims_by_name, claim->name, claim->len, claim);
    if (claim->by_name.tbl == NULL)
        goto fail;
    TAILQ_INSERT_TAIL(&place->claims, claim, link);
    if (!claim->held)
        wait_for_node(pool, claim, expires_ms);
    return claim;
fail:
    free(claim);
    if (place != NULL)
        drop_place_if_free(pool, place);
    return NULL;
}

/* --- front ports --- */

void port_pool_front_opened(struct port_pool *pool, uint16_t port) {
    struct place *place = place_of(pool, port);
    if (place == NULL)
        place = add_place(pool, port);
    if (place != NULL)
        place->front = true;
}

void port_pool_front_closed(struct port_pool *pool, uint16_t port) {
    struct place *place = place_of(pool, port);
    if (place == NULL)
        return;
    place->front = false;
    drop_place_if_free(pool, place);
}

/* --- memories --- */

static struct memory *memory_of(const struct port_pool *pool, struct bytes name) {
    struct memory *found;
    HASH_FIND(hh, pool->memories, name.data, name.len, found);
    return found;
}

static void forget(struct port_pool *pool, struct memory *memory) {
    HASH_DELETE(hh, pool->memories, memory);
    TAILQ_REMOVE(&pool->memories_by_age, memory, link);
    free(memory);
}

static struct memory *new_memory(struct port_pool *pool, struct bytes name) {
    struct memory *memory = malloc(sizeof *memory + name.len);
    if (memory == NULL)
        return NULL;
    memset(memory, 0, sizeof *memory);
    memory->len = name.len;
    memcpy(memory->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, pool->memories, memory->name, memory->len, memory);
    if (memory->hh.tbl == NULL) {
        free(memory);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&pool->memories_by_age, memory, link);
    if (HASH_COUNT(pool->memories) > PORT_STICKY_MAX)
        forget(pool, TAILQ_FIRST(&pool->memories_by_age));
    return memory;
}

void pool_remember(struct port_pool *pool, struct bytes name, uint16_t port) {
    struct memory *memory = memory_of(pool, name);
    if (memory == NULL) {
        memory = new_memory(pool, name);
    } else {
        TAILQ_REMOVE(&pool->memories_by_age, memory, link);
        TAILQ_INSERT_TAIL(&pool->memories_by_age, memory, link);
    }
    if (memory != NULL)
        memory->port = port;
}

void port_pool_free(struct port_pool *pool) {
    if (pool == NULL)
        return;
    while (pool->claims_by_name != NULL)
        drop_claim(pool, pool->claims_by_name);
    while (pool->places != NULL) /* the front ports are left */
        port_pool_front_closed(pool, pool->places->port);
    while (pool->memories != NULL)
        forget(pool, TAILQ_FIRST(&pool->memories_by_age));
    free(pool);
}

/* --- leases --- */

static bool is_free(const struct port_pool *pool, const struct port_probe *probe, uint32_t port) {
    return place_of(pool, (uint16_t)port) == NULL && probe->is_free(probe->context, (uint16_t)port);
}

static bool is_in_range(const struct port_pool *pool, uint16_t port) {
    return port >= pool->options.first && port <= pool->options.last;
}

static enum port_verdict choose_from_range(const struct port_pool *pool, struct bytes name,
                                           const struct port_probe *probe, uint16_t *chosen) {
    const struct memory *memory = memory_of(pool, name);
    if (memory != NULL && is_in_range(pool, memory->port) && is_free(pool, probe, memory->port)) {
        *chosen = memory->port;
        return PORT_OK;
    }
    for (uint32_t port = pool->options.first; port <= pool->options.last; port++) {
        if (!is_free(pool, probe, port))
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
    *chosen = (uint16_t)port;
    return is_free(pool, probe, port) ? PORT_OK : PORT_DERIVED_TAKEN;
}

/* Whether the policy of today would give the name this port. */
static enum port_verdict fits_policy(const struct port_pool *pool, struct bytes name,
                                     uint16_t port) {
    uint32_t derived;
    switch (pool->options.policy) {
    case PORT_POLICY_RANGE:
        return is_in_range(pool, port) ? PORT_OK : PORT_NOT_IN_RANGE;
    case PORT_POLICY_DERIVED:
        return ekka_port(name, pool->options.base, &derived) && derived == port ? PORT_OK
                                                                                : PORT_NOT_DERIVED;
    case PORT_POLICY_ANY:
        break;
    }
    return PORT_OK;
}

enum port_verdict port_pool_lease(struct port_pool *pool, struct bytes name, int64_t now_ms,
                                  const struct port_probe *probe, uint16_t *port) {
    struct claim *claim = pool_claim_of_name(pool, name);
    if (claim != NULL && !claim->held && fits_policy(pool, name, claim->place->port) != PORT_OK) {
        drop_claim(pool, claim); /* promised before the policy changed */
        claim = NULL;
    }
    if (claim == NULL) {
        bool derived = pool->options.policy == PORT_POLICY_DERIVED;
        enum port_verdict verdict = derived ? choose_derived(pool, name, probe, port)
                                            : choose_from_range(pool, name, probe, port);
        if (verdict != PORT_OK)
            return verdict;
        claim = pool_add_claim(pool, name, *port, now_ms + PORT_LEASE_MS);
        if (claim == NULL)
            return PORT_NO_MEMORY;
        pool_remember(pool, name, *port);
    } else if (!claim->held) {
        TAILQ_REMOVE(&pool->waiting, claim, waiting);
        wait_for_node(pool, claim, now_ms + PORT_LEASE_MS);
    }
    claim->leased = true;
    pool->unsaved = true;
    *port = claim->place->port;
    return PORT_OK;
}

bool port_pool_release(struct port_pool *pool, struct bytes name) {
    struct claim *claim = pool_claim_of_name(pool, name);
    if (claim == NULL || claim->held)
        return false;
    drop_claim(pool, claim);
    return true;
}

static struct port_lease show(const struct claim *claim) {
    return (struct port_lease){.name = bytes_of(claim->name, claim->len),
                               .port = claim->place->port,
                               .held = claim->held,
                               .expires_ms = claim->expires_ms};
}

int64_t port_pool_expire(struct port_pool *pool, int64_t now_ms, port_lease_visit *ended,
                         void *context) {
    struct claim *first;
    while ((first = TAILQ_FIRST(&pool->waiting)) != NULL && first->expires_ms <= now_ms) {
        const struct port_lease lease = show(first);
        ended(context, &lease);
        drop_claim(pool, first);
    }
    return first == NULL ? INT64_MAX : first->expires_ms;
}

/* --- registrations --- */

enum port_verdict port_pool_admits(const struct port_pool *pool, struct bytes name, uint16_t port) {
    const struct claim *claim = pool_claim_on_port(pool, port);
    if (!pool->options.enforce)
        return PORT_OK;
    if (claim != NULL && !bytes_equal(bytes_of(claim->name, claim->len), name))
        return PORT_LEASED_TO_OTHER;
    return fits_policy(pool, name, port);
}

void port_pool_registered(struct port_pool *pool, struct bytes name, uint16_t port) {
    struct claim *claim = pool_claim_of_name(pool, name);
    if (port == 0)
        return; /* a node that listens nowhere */
    if (claim != NULL && claim->place->port != port) {
        drop_claim(pool, claim);
        claim = NULL;
    }
    if (claim == NULL)
        claim = pool_add_claim(pool, name, port, POOL_HELD);
    else
        hold(pool, claim);
}

void port_pool_unregistered(struct port_pool *pool, struct bytes name) {
    struct claim *claim = pool_claim_of_name(pool, name);
    if (claim != NULL && claim->held)
        drop_claim(pool, claim);
}

static bool could_be_leased(const struct port_pool *pool, uint16_t port) {
    return pool->options.policy == PORT_POLICY_DERIVED || is_in_range(pool, port);
}

static void go_to_port(struct port_pool_cursor *cursor, uint32_t port) {
    const struct port_pool *pool = cursor->pool;
    cursor->port = port_set_next(&pool->taken, port);
    cursor->past_front = false;
    cursor->next = NULL;
    if (cursor->port <= UINT16_MAX)
        cursor->next = pool_claim_on_port(pool, (uint16_t)cursor->port);
}

void port_pool_cursor_begin(struct port_pool_cursor *cursor, struct port_pool *pool) {
    cursor->pool = pool;
    LIST_INSERT_HEAD(&pool->cursors, cursor, link);
    go_to_port(cursor, 0);
}

static bool is_at_front(const struct port_pool_cursor *cursor) {
    const struct place *place = place_of(cursor->pool, (uint16_t)cursor->port);
    return !cursor->past_front && place != NULL && place->front &&
           could_be_leased(cursor->pool, place->port);
}

bool port_pool_cursor_peek(struct port_pool_cursor *cursor, struct port_lease *lease) {
    while (cursor->port <= UINT16_MAX) {
        if (is_at_front(cursor)) {
            *lease = (struct port_lease){.port = (uint16_t)cursor->port, .front = true};
            return true;
        }
        cursor->past_front = true;
        if (cursor->next != NULL) {
            *lease = show(cursor->next);
            return true;
        }
        go_to_port(cursor, cursor->port + 1);
    }
    return false;
}

void port_pool_cursor_advance(struct port_pool_cursor *cursor) {
    struct claim *claim = cursor->next;
    if (cursor->port > UINT16_MAX)
        return;
    if (is_at_front(cursor))
        cursor->past_front = true;
    else if (claim != NULL)
        cursor->next = TAILQ_NEXT(claim, link);
}

void port_pool_cursor_end(struct port_pool_cursor *cursor) {
    if (cursor->pool != NULL)
        LIST_REMOVE(cursor, link);
    *cursor = (struct port_pool_cursor){.pool = NULL};
}

bool port_pool_find(const struct port_pool *pool, struct bytes name, struct port_lease *lease) {
    const struct claim *claim = pool_claim_of_name(pool, name);
    if (claim != NULL)
        *lease = show(claim);
    return claim != NULL;
}

struct bytes port_pool_name_on(const struct port_pool *pool, uint16_t port) {
    const struct claim *claim = pool_claim_on_port(pool, port);
    return claim == NULL ? bytes_of(NULL, 0) : bytes_of(claim->name, claim->len);
}

bool port_pool_has(const struct port_pool *pool, uint16_t port) {
    return pool_claim_on_port(pool, port) != NULL;
}

struct bytes port_pool_holder(const struct port_pool *pool, uint16_t port) {
    const struct claim *claim = pool_claim_on_port(pool, port);
    return claim == NULL ? bytes_of(NULL, 0) : bytes_of(claim->name, claim->len);
}

size_t port_pool_count(const struct port_pool *pool) {
    return HASH_CNT(by_name, pool->claims_by_name);
}
