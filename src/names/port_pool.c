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
    TAILQ_INIT(&pool->memories_by_age);
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
        return "nothing is wrong";
    case PORT_POOL_FULL:
        return "every port of the range is taken";
    case PORT_DERIVED_TAKEN:
        return "the port that the rule derives from this name is taken";
    case PORT_DERIVED_NONE:
        return "the rule derives no port from this name";
    case PORT_DERIVED_TOOLS:
        return "the port that the rule derives from this name is kept for tools";
    case PORT_NOT_IN_RANGE:
        return "the port is outside the range";
    case PORT_NOT_DERIVED:
        return "the port is not the one that the rule derives from this name";
    case PORT_LEASED_TO_OTHER:
        return "the port is leased to another name";
    case PORT_LEASED_TO_USER:
        return "the lease of this name is another user's";
    case PORT_LEASED_TO_UNKNOWN:
        return "the name is leased, and whose this registration is cannot be told: see "
               "front.check_owner";
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

struct place *pool_place_of(const struct port_pool *pool, uint16_t port) {
    struct place *found;
    HASH_FIND(hh, pool->places, &port, sizeof port, found);
    return found;
}

/* The first that came. */
struct claim *pool_claim_on_port(const struct port_pool *pool, uint16_t port) {
    const struct place *place = pool_place_of(pool, port);
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

void pool_stop_waiting(struct port_pool *pool, struct claim *claim) {
    if (claim->waits)
        TAILQ_REMOVE(&pool->waiting, claim, by_expiry);
    claim->waits = false;
}

/* All leases are for the same time: where a clock goes on, the place is the last one. */
void pool_wait(struct port_pool *pool, struct claim *claim, int64_t expires_ms) {
    pool_stop_waiting(pool, claim);
    claim->waits = true;
    claim->expires_ms = expires_ms;
    struct claim *before = TAILQ_LAST(&pool->waiting, claims);
    while (before != NULL && before->expires_ms > expires_ms)
        before = TAILQ_PREV(before, claims, by_expiry);
    if (before == NULL)
        TAILQ_INSERT_HEAD(&pool->waiting, claim, by_expiry);
    else
        TAILQ_INSERT_AFTER(&pool->waiting, before, claim, by_expiry);
}

/* Whoever came next has the port now. */
void pool_drop_claim(struct port_pool *pool, struct claim *claim) {
    struct place *place = claim->place;
    bool was_saved = pool_is_saved(claim);
    struct claim *next = TAILQ_NEXT(claim, link);
    struct port_pool_cursor *cursor;
    LIST_FOREACH(cursor, &pool->cursors, link) {
        if (cursor->next == claim)
            cursor->next = next;
    }
    pool->changes += was_saved ? 1 : 0;
    pool_stop_waiting(pool, claim);
    HASH_DELETE(by_name, pool->claims_by_name, claim);
    TAILQ_REMOVE(&place->claims, claim, link);
    free(claim->other_name);
    free(claim);
    if (next != NULL && pool_is_saved(next))
        pool->changes++;
    drop_place_if_free(pool, place);
}

/* The name must be without a claim. Behind those that the port has. NULL when out of memory. */
struct claim *pool_add_claim(struct port_pool *pool, struct bytes name, uint16_t port) {
    struct place *place = pool_place_of(pool, port);
    struct claim *claim = malloc(sizeof *claim + name.len);
    if (place == NULL)
        place = add_place(pool, port);
    if (place == NULL || claim == NULL)
        goto fail;
    memset(claim, 0, sizeof *claim);
    claim->place = place;
    claim->user = USER_NOBODY;
    claim->len = name.len;
    memcpy(claim->name, name.data, name.len);
    HASH_ADD_KEYPTR(by_name, pool->claims_by_name, claim->name, claim->len, claim);
    if (claim->by_name.tbl == NULL)
        goto fail;
    TAILQ_INSERT_TAIL(&place->claims, claim, link);
    return claim;
fail:
    free(claim);
    if (place != NULL)
        drop_place_if_free(pool, place);
    return NULL;
}

/* --- front ports --- */

void port_pool_front_opened(struct port_pool *pool, uint16_t port) {
    struct place *place = pool_place_of(pool, port);
    if (place == NULL)
        place = add_place(pool, port);
    if (place != NULL)
        place->front = true;
}

void port_pool_front_closed(struct port_pool *pool, uint16_t port) {
    struct place *place = pool_place_of(pool, port);
    if (place == NULL)
        return;
    place->front = false;
    drop_place_if_free(pool, place);
}

/* --- memories --- */

struct memory *pool_memory_of(const struct port_pool *pool, struct bytes name) {
    struct memory *found;
    HASH_FIND(hh, pool->memories, name.data, name.len, found);
    return found;
}

/* Out of the list by age; a text that was to go on with it goes on behind it. */
static void unlist_memory(struct port_pool *pool, struct memory *memory) {
    if (pool->text.memory == memory)
        pool->text.memory = TAILQ_NEXT(memory, link);
    TAILQ_REMOVE(&pool->memories_by_age, memory, link);
}

static void forget(struct port_pool *pool, struct memory *memory) {
    HASH_DELETE(hh, pool->memories, memory);
    unlist_memory(pool, memory);
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
    struct memory *memory = pool_memory_of(pool, name);
    if (memory == NULL) {
        memory = new_memory(pool, name);
    } else {
        unlist_memory(pool, memory);
        TAILQ_INSERT_TAIL(&pool->memories_by_age, memory, link);
    }
    if (memory != NULL)
        memory->port = port;
}

void port_pool_free(struct port_pool *pool) {
    if (pool == NULL)
        return;
    while (pool->claims_by_name != NULL)
        pool_drop_claim(pool, pool->claims_by_name);
    while (pool->places != NULL) /* the front ports are left */
        port_pool_front_closed(pool, pool->places->port);
    while (pool->memories != NULL)
        forget(pool, TAILQ_FIRST(&pool->memories_by_age));
    free(pool);
}

/* --- views --- */

struct port_lease pool_show(const struct claim *claim) {
    const struct place *place = claim->place;
    const struct claim *first = TAILQ_FIRST(&place->claims);
    return (struct port_lease){
        .name = bytes_of(claim->name, claim->len),
        .port = place->port,
        .held = claim->held,
        .user = claim->user,
        .expires_ms = claim->expires_ms,
        .behind = first == claim ? bytes_of(NULL, 0) : bytes_of(first->name, first->len),
        .behind_front = place->front,
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
        cursor->next = pool_claim_on_port(pool, (uint16_t)cursor->port);
}

void port_pool_cursor_begin(struct port_pool_cursor *cursor, struct port_pool *pool) {
    cursor->pool = pool;
    LIST_INSERT_HEAD(&pool->cursors, cursor, link);
    go_to_port(cursor, 0);
}

static bool is_at_front(const struct port_pool_cursor *cursor) {
    const struct place *place = pool_place_of(cursor->pool, (uint16_t)cursor->port);
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
            *lease = pool_show(cursor->next);
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
        *lease = pool_show(claim);
    return claim != NULL;
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
