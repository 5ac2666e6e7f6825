#include "base/assert.h"
#include "names/port_pool_inner.h"

#include <stdlib.h>
#include <string.h>

const char *const port_policy_names[] = {"range", "derived", "any", NULL};

const char *const port_lease_end_names[] = {"expired", "released", "moved", "withdrawn"};

struct port_pool *port_pool_new(const struct port_pool_options *options) {
    struct port_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->options = *options;
    TAILQ_INIT(&pool->sticky_by_age);
    TAILQ_INIT(&pool->waiting);
    return pool;
}

void port_pool_configure(struct port_pool *pool, const struct port_pool_options *options) {
    pool->options = *options;
}

void port_pool_on_ended(struct port_pool *pool, port_lease_ended *ended, void *context) {
    pool->ended = ended;
    pool->ended_context = context;
}

const char *port_verdict_reason(enum port_verdict verdict) {
    switch (verdict) {
    case PORT_OK:
        return "no error";
    case PORT_POOL_FULL:
        return "all ports of the range are in use";
    case PORT_DERIVED_TAKEN:
        return "the port derived from this name is in use";
    case PORT_DERIVED_NONE:
        return "no port can be derived from this name";
    case PORT_DERIVED_TOOLS:
        return "the port derived from this name is reserved for tools";
    case PORT_NOT_IN_RANGE:
        return "the port is outside the range";
    case PORT_NOT_DERIVED:
        return "the port is not the one derived from this name";
    case PORT_LEASED_TO_OTHER:
        return "the port is leased to another name";
    case PORT_LEASED_TO_USER:
        return "the lease of this name belongs to another user";
    case PORT_LEASED_TO_UNKNOWN:
        return "the name is leased, and the owner of this registration is unknown: see "
               "front.check_owner";
    case PORT_NO_MEMORY:
        return "out of memory";
    }
    return "unknown reason";
}

/* --- allocations --- */

struct allocation *pool_allocation_of_name(const struct port_pool *pool, struct bytes name) {
    struct allocation *found;
    HASH_FIND(by_name, pool->allocations_by_name, name.data, name.len, found);
    return found;
}

struct port_entry *pool_port_entry(const struct port_pool *pool, uint16_t port) {
    struct port_entry *found;
    HASH_FIND(hh, pool->port_entries, &port, sizeof port, found);
    return found;
}

/* The first that came. */
struct allocation *pool_allocation_on_port(const struct port_pool *pool, uint16_t port) {
    const struct port_entry *port_entry = pool_port_entry(pool, port);
    return port_entry == NULL ? NULL : TAILQ_FIRST(&port_entry->allocations);
}

bool pool_is_saved(const struct allocation *allocation) {
    return allocation->leased && allocation == TAILQ_FIRST(&allocation->port_entry->allocations);
}

static struct port_entry *add_port_entry(struct port_pool *pool, uint16_t port) {
    struct port_entry *port_entry = calloc(1, sizeof *port_entry);
    if (port_entry == NULL)
        return NULL;
    port_entry->port = port;
    TAILQ_INIT(&port_entry->allocations);
    HASH_ADD(hh, pool->port_entries, port, sizeof port_entry->port, port_entry);
    if (port_entry->hh.tbl == NULL) {
        free(port_entry);
        return NULL;
    }
    port_set_add(&pool->taken, port);
    return port_entry;
}

static void drop_port_entry_if_free(struct port_pool *pool, struct port_entry *port_entry) {
    if (port_entry->front || !TAILQ_EMPTY(&port_entry->allocations))
        return;
    PORTOLAN_ASSERT(port_set_next(&pool->taken, port_entry->port) == port_entry->port);
    HASH_DELETE(hh, pool->port_entries, port_entry);
    port_set_remove(&pool->taken, port_entry->port);
    free(port_entry);
}

void pool_stop_waiting(struct port_pool *pool, struct allocation *allocation) {
    if (allocation->waits)
        TAILQ_REMOVE(&pool->waiting, allocation, by_expiry);
    allocation->waits = false;
}

/* All leases are for the same time: the clock goes on, so the new one is mostly the last. */
void pool_wait(struct port_pool *pool, struct allocation *allocation, int64_t expires_ms) {
    PORTOLAN_ASSERT(!allocation->held);
    pool_stop_waiting(pool, allocation);
    allocation->waits = true;
    allocation->expires_ms = expires_ms;
    struct allocation *before = TAILQ_LAST(&pool->waiting, allocation_list);
    while (before != NULL && before->expires_ms > expires_ms)
        before = TAILQ_PREV(before, allocation_list, by_expiry);
    if (before == NULL)
        TAILQ_INSERT_HEAD(&pool->waiting, allocation, by_expiry);
    else
        TAILQ_INSERT_AFTER(&pool->waiting, before, allocation, by_expiry);
}

/* The next in line has the port now. */
void pool_drop_allocation(struct port_pool *pool, struct allocation *allocation) {
    struct port_entry *port_entry = allocation->port_entry;
    bool was_saved = pool_is_saved(allocation);
    PORTOLAN_ASSERT(pool_port_entry(pool, port_entry->port) == port_entry);
    struct allocation *next = TAILQ_NEXT(allocation, entry);
    struct port_pool_cursor *cursor;
    LIST_FOREACH(cursor, &pool->cursors, entry) {
        if (cursor->next == allocation)
            cursor->next = next;
    }
    pool->changes += was_saved ? 1 : 0;
    pool_stop_waiting(pool, allocation);
    HASH_DELETE(by_name, pool->allocations_by_name, allocation);
    TAILQ_REMOVE(&port_entry->allocations, allocation, entry);
    free(allocation->other_name);
    free(allocation);
    if (next != NULL && pool_is_saved(next))
        pool->changes++;
    drop_port_entry_if_free(pool, port_entry);
}

/* The name must be without an allocation. It goes behind the others. NULL when out of memory. */
struct allocation *pool_add_allocation(struct port_pool *pool, struct bytes name, uint16_t port) {
    struct port_entry *port_entry = pool_port_entry(pool, port);
    struct allocation *allocation = malloc(sizeof *allocation + name.len);
    if (port_entry == NULL)
        port_entry = add_port_entry(pool, port);
    if (port_entry == NULL || allocation == NULL)
        goto fail;
    memset(allocation, 0, sizeof *allocation);
    allocation->port_entry = port_entry;
    allocation->user = USER_NOBODY;
    allocation->len = name.len;
    memcpy(allocation->name, name.data, name.len);
    HASH_ADD_KEYPTR(by_name, pool->allocations_by_name, allocation->name, allocation->len,
                    allocation);
    if (allocation->by_name.tbl == NULL)
        goto fail;
    TAILQ_INSERT_TAIL(&port_entry->allocations, allocation, entry);
    PORTOLAN_ASSERT(pool_allocation_of_name(pool, name) == allocation);
    return allocation;
fail:
    free(allocation);
    if (port_entry != NULL)
        drop_port_entry_if_free(pool, port_entry);
    return NULL;
}

/* --- front ports --- */

void port_pool_front_opened(struct port_pool *pool, uint16_t port) {
    struct port_entry *port_entry = pool_port_entry(pool, port);
    if (port_entry == NULL)
        port_entry = add_port_entry(pool, port);
    if (port_entry != NULL)
        port_entry->front = true;
}

void port_pool_front_closed(struct port_pool *pool, uint16_t port) {
    struct port_entry *port_entry = pool_port_entry(pool, port);
    if (port_entry == NULL)
        return;
    port_entry->front = false;
    drop_port_entry_if_free(pool, port_entry);
}

/* --- sticky ports --- */

struct sticky_port *pool_sticky_of(const struct port_pool *pool, struct bytes name) {
    struct sticky_port *found;
    HASH_FIND(hh, pool->sticky_by_name, name.data, name.len, found);
    return found;
}

/* Out of the list by age; a text that was to go on with it goes on behind it. */
static void unlist_sticky(struct port_pool *pool, struct sticky_port *sticky) {
    if (pool->text.sticky == sticky)
        pool->text.sticky = TAILQ_NEXT(sticky, entry);
    TAILQ_REMOVE(&pool->sticky_by_age, sticky, entry);
}

static void forget(struct port_pool *pool, struct sticky_port *sticky) {
    HASH_DELETE(hh, pool->sticky_by_name, sticky);
    unlist_sticky(pool, sticky);
    free(sticky);
}

static struct sticky_port *new_sticky(struct port_pool *pool, struct bytes name) {
    struct sticky_port *sticky = malloc(sizeof *sticky + name.len);
    if (sticky == NULL)
        return NULL;
    memset(sticky, 0, sizeof *sticky);
    sticky->len = name.len;
    memcpy(sticky->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, pool->sticky_by_name, sticky->name, sticky->len, sticky);
    if (sticky->hh.tbl == NULL) {
        free(sticky);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&pool->sticky_by_age, sticky, entry);
    if (HASH_COUNT(pool->sticky_by_name) > PORT_STICKY_MAX)
        forget(pool, TAILQ_FIRST(&pool->sticky_by_age));
    return sticky;
}

void pool_remember(struct port_pool *pool, struct bytes name, uint16_t port) {
    struct sticky_port *sticky = pool_sticky_of(pool, name);
    if (sticky == NULL) {
        sticky = new_sticky(pool, name);
    } else {
        unlist_sticky(pool, sticky);
        TAILQ_INSERT_TAIL(&pool->sticky_by_age, sticky, entry);
    }
    if (sticky != NULL)
        sticky->port = port;
}

void port_pool_free(struct port_pool *pool) {
    if (pool == NULL)
        return;
    while (pool->allocations_by_name != NULL)
        pool_drop_allocation(pool, pool->allocations_by_name);
    while (pool->port_entries != NULL) /* the front ports are left */
        port_pool_front_closed(pool, pool->port_entries->port);
    while (pool->sticky_by_name != NULL)
        forget(pool, TAILQ_FIRST(&pool->sticky_by_age));
    free(pool);
}

/* --- views --- */

struct port_lease pool_lease_view(const struct allocation *allocation) {
    const struct port_entry *port_entry = allocation->port_entry;
    const struct allocation *first = TAILQ_FIRST(&port_entry->allocations);
    return (struct port_lease){
        .name = bytes_of(allocation->name, allocation->len),
        .port = port_entry->port,
        .held = allocation->held,
        .user = allocation->user,
        .expires_ms = allocation->expires_ms,
        .conflict = first == allocation ? bytes_of(NULL, 0) : bytes_of(first->name, first->len),
        .conflict_is_front = port_entry->front,
    };
}

static bool could_be_leased(const struct port_pool *pool, uint16_t port) {
    return pool->options.policy == PORT_POLICY_DERIVED || pool_is_in_range(pool, port);
}

static void go_to_port(struct port_pool_cursor *cursor, uint32_t port) {
    const struct port_pool *pool = cursor->pool;
    cursor->port = port_set_next(&pool->taken, port);
    cursor->past_front = false;
    cursor->next = NULL;
    if (cursor->port <= UINT16_MAX)
        cursor->next = pool_allocation_on_port(pool, (uint16_t)cursor->port);
}

void port_pool_cursor_begin(struct port_pool_cursor *cursor, struct port_pool *pool) {
    cursor->pool = pool;
    LIST_INSERT_HEAD(&pool->cursors, cursor, entry);
    go_to_port(cursor, 0);
}

static bool is_at_front(const struct port_pool_cursor *cursor) {
    const struct port_entry *port_entry = pool_port_entry(cursor->pool, (uint16_t)cursor->port);
    return !cursor->past_front && port_entry != NULL && port_entry->front &&
           could_be_leased(cursor->pool, port_entry->port);
}

bool port_pool_cursor_peek(struct port_pool_cursor *cursor, struct port_lease *lease) {
    while (cursor->port <= UINT16_MAX) {
        if (is_at_front(cursor)) {
            *lease = (struct port_lease){.port = (uint16_t)cursor->port, .front = true};
            return true;
        }
        cursor->past_front = true;
        if (cursor->next != NULL) {
            *lease = pool_lease_view(cursor->next);
            return true;
        }
        go_to_port(cursor, cursor->port + 1);
    }
    return false;
}

void port_pool_cursor_advance(struct port_pool_cursor *cursor) {
    struct allocation *allocation = cursor->next;
    if (cursor->port > UINT16_MAX)
        return;
    if (is_at_front(cursor))
        cursor->past_front = true;
    else if (allocation != NULL)
        cursor->next = TAILQ_NEXT(allocation, entry);
}

void port_pool_cursor_end(struct port_pool_cursor *cursor) {
    if (cursor->pool != NULL)
        LIST_REMOVE(cursor, entry);
    *cursor = (struct port_pool_cursor){.pool = NULL};
}

bool port_pool_find(const struct port_pool *pool, struct bytes name, struct port_lease *lease) {
    const struct allocation *allocation = pool_allocation_of_name(pool, name);
    if (allocation != NULL)
        *lease = pool_lease_view(allocation);
    return allocation != NULL;
}

bool port_pool_has(const struct port_pool *pool, uint16_t port) {
    return pool_allocation_on_port(pool, port) != NULL;
}

struct bytes port_pool_holder(const struct port_pool *pool, uint16_t port) {
    const struct allocation *allocation = pool_allocation_on_port(pool, port);
    return allocation == NULL ? bytes_of(NULL, 0) : bytes_of(allocation->name, allocation->len);
}

size_t port_pool_count(const struct port_pool *pool) {
    return HASH_CNT(by_name, pool->allocations_by_name);
}
