#include "names/registry.h"

#include "base/assert.h"
#include "base/hash_table.h"
#include "erlang/node_name.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct entry {
    struct registration registration; /* first: a registration is its entry */
    UT_hash_handle hh;
    TAILQ_ENTRY(entry) entry;
    struct registry_cursor *cursors; /* that see it next */
    uint8_t storage[];               /* name, then extra data */
};
TAILQ_HEAD(entries, entry);

/* An entry is in one of two tables, by name and in the order in which DUMP lists it. */
struct table {
    struct entry *by_name;
    struct entries in_order;
};

struct registry {
    struct table live;
    struct table departed;
    struct creations *creations;
};

static struct entry *entry_of(struct registration *registration) {
    return (struct entry *)registration;
}

struct registry *registry_new(struct creations *creations) {
    struct registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL)
        return NULL;
    TAILQ_INIT(&registry->live.in_order);
    TAILQ_INIT(&registry->departed.in_order);
    registry->creations = creations;
    return registry;
}

static struct entry *table_find(const struct table *table, struct bytes name) {
    struct entry *found;
    HASH_FIND(hh, table->by_name, name.data, name.len, found);
    return found;
}

static bool table_index(struct table *table, struct entry *entry) {
    const struct bytes name = entry->registration.node.name;
    entry->hh.tbl = NULL;
    HASH_ADD_KEYPTR(hh, table->by_name, name.data, name.len, entry);
    return entry->hh.tbl != NULL;
}

/*
 * Takes the entry out of its table, and sends on the cursors that were about to see it: a step that
 * each of them would have taken anyway.
 */
static void table_remove(struct table *table, struct entry *entry) {
    while (entry->cursors != NULL)
        registry_cursor_advance(entry->cursors);
    PORTOLAN_ASSERT(entry->cursors == NULL && HASH_COUNT(table->by_name) > 0);
    HASH_DELETE(hh, table->by_name, entry);
    TAILQ_REMOVE(&table->in_order, entry, entry);
}

static void forget_departed(struct registry *registry, struct entry *entry) {
    table_remove(&registry->departed, entry);
    free(entry);
}

void registry_free(struct registry *registry) {
    if (registry == NULL)
        return;
    while (!TAILQ_EMPTY(&registry->live.in_order))
        registry_remove(registry, &TAILQ_FIRST(&registry->live.in_order)->registration);
    while (!TAILQ_EMPTY(&registry->departed.in_order))
        forget_departed(registry, TAILQ_FIRST(&registry->departed.in_order));
    free(registry);
}

const char *registry_reason(enum registry_verdict verdict) {
    switch (verdict) {
    case REGISTRY_OK:
        return "no error";
    case REGISTRY_NAME_TAKEN:
        return "name is registered by another node";
    case REGISTRY_NAME_INVALID:
        return "name is not UTF-8";
    case REGISTRY_NAME_TOO_LONG:
        return "name is longer than 255 characters";
    case REGISTRY_EXTRA_TOO_LONG:
        return "extra data is longer than 1020 bytes";
    case REGISTRY_NO_MEMORY:
        return "out of memory";
    }
    return "unknown reason";
}

static enum registry_verdict check(const struct registry *registry, const struct epmd_node *node) {
    enum alive_name_verdict name = alive_name_check(node->name);
    if (name == ALIVE_NAME_TOO_LONG)
        return REGISTRY_NAME_TOO_LONG;
    if (name != ALIVE_NAME_OK)
        return REGISTRY_NAME_INVALID;
    if (node->extra.len > EPMD_EXTRA_MAX)
        return REGISTRY_EXTRA_TOO_LONG;
    return table_find(&registry->live, node->name) == NULL ? REGISTRY_OK : REGISTRY_NAME_TAKEN;
}

static struct entry *entry_new(const struct epmd_node *node) {
    struct entry *entry = malloc(sizeof *entry + node->name.len + node->extra.len);
    if (entry == NULL)
        return NULL;
    struct writer storage = writer_of(entry->storage, node->name.len + node->extra.len);
    memset(entry, 0, sizeof *entry);
    write_bytes(&storage, node->name);
    write_bytes(&storage, node->extra);
    entry->registration.node = *node;
    entry->registration.user = USER_NOBODY;
    entry->registration.node.name.data = entry->storage;
    entry->registration.node.extra.data = entry->storage + node->name.len;
    return entry;
}

enum registry_verdict registry_register(struct registry *registry, const struct epmd_node *node,
                                        void *holder, uint32_t holder_number,
                                        struct registration **made) {
    enum registry_verdict verdict = check(registry, node);
    if (verdict != REGISTRY_OK)
        return verdict;
    struct entry *entry = entry_new(node);
    if (entry == NULL)
        return REGISTRY_NO_MEMORY;
    if (!table_index(&registry->live, entry)) {
        free(entry);
        return REGISTRY_NO_MEMORY;
    }
    TAILQ_INSERT_HEAD(&registry->live.in_order, entry, entry);
    struct entry *earlier = table_find(&registry->departed, node->name);
    if (earlier != NULL)
        forget_departed(registry, earlier);
    entry->registration.holder = holder;
    entry->registration.holder_number = holder_number;
    entry->registration.creation =
        creations_next(registry->creations, node->name, node->highest_version);
    *made = &entry->registration;
    PORTOLAN_ASSERT(table_find(&registry->live, node->name) == entry);
    PORTOLAN_ASSERT(table_find(&registry->departed, node->name) == NULL);
    return REGISTRY_OK;
}

void registry_remove(struct registry *registry, struct registration *registration) {
    struct entry *entry = entry_of(registration);
    PORTOLAN_ASSERT(table_find(&registry->live, registration->node.name) == entry);
    table_remove(&registry->live, entry);
    registration->holder = NULL;
    if (!table_index(&registry->departed, entry)) {
        free(entry); /* no memory to remember it by */
        return;
    }
    TAILQ_INSERT_TAIL(&registry->departed.in_order, entry, entry);
    if (HASH_COUNT(registry->departed.by_name) > REGISTRY_DEPARTED_MAX)
        forget_departed(registry, TAILQ_FIRST(&registry->departed.in_order));
    PORTOLAN_ASSERT(HASH_COUNT(registry->departed.by_name) <= REGISTRY_DEPARTED_MAX);
}

struct registration *registry_find(const struct registry *registry, struct bytes name) {
    struct entry *entry = table_find(&registry->live, name);
    return entry == NULL ? NULL : &entry->registration;
}

struct registration *registry_newest(const struct registry *registry) {
    struct entry *entry = TAILQ_FIRST(&registry->live.in_order);
    return entry == NULL ? NULL : &entry->registration;
}

size_t registry_count(const struct registry *registry) {
    return HASH_COUNT(registry->live.by_name);
}

/* Lets the cursor see this entry next; NULL: it is at its end. */
static void cursor_enter(struct registry_cursor *cursor, struct entry *entry) {
    cursor->next = entry;
    cursor->previous_cursor = NULL;
    cursor->next_cursor = NULL;
    if (entry == NULL)
        return;
    cursor->next_cursor = entry->cursors;
    if (entry->cursors != NULL)
        entry->cursors->previous_cursor = cursor;
    entry->cursors = cursor;
}

static void cursor_leave(struct registry_cursor *cursor) {
    struct entry *entry = cursor->next;
    if (entry == NULL)
        return;
    PORTOLAN_ASSERT((cursor->previous_cursor == NULL) == (entry->cursors == cursor));
    if (cursor->previous_cursor != NULL)
        cursor->previous_cursor->next_cursor = cursor->next_cursor;
    else
        entry->cursors = cursor->next_cursor;
    if (cursor->next_cursor != NULL)
        cursor->next_cursor->previous_cursor = cursor->previous_cursor;
    cursor->next = NULL;
}

void registry_cursor_begin(struct registry_cursor *cursor, struct registry *registry,
                           enum registry_part part) {
    struct table *table = part == REGISTRY_LIVE ? &registry->live : &registry->departed;
    cursor->registry = registry;
    cursor_enter(cursor, TAILQ_FIRST(&table->in_order));
}

const struct registration *registry_cursor_peek(const struct registry_cursor *cursor) {
    const struct entry *entry = cursor->next;
    return entry == NULL ? NULL : &entry->registration;
}

void registry_cursor_advance(struct registry_cursor *cursor) {
    const struct entry *entry = cursor->next;
    if (entry == NULL)
        return;
    cursor_leave(cursor);
    cursor_enter(cursor, TAILQ_NEXT(entry, entry));
}

void registry_cursor_end(struct registry_cursor *cursor) {
    if (cursor->registry == NULL)
        return;
    cursor_leave(cursor);
    cursor->registry = NULL;
}

/* --- what must hold --- */

static const char *check_entry(const struct table *table, const struct entry *entry) {
    const struct registry_cursor *previous = NULL;
    if (table_find(table, entry->registration.node.name) != entry)
        return "a listed name is not found";
    for (const struct registry_cursor *at = entry->cursors; at != NULL; at = at->next_cursor) {
        if (at->next != entry || at->previous_cursor != previous)
            return "a cursor is listed at an entry that it will not see next";
        previous = at;
    }
    return NULL;
}

static const char *check_table(const struct table *table) {
    const struct entry *entry;
    size_t count = 0;
    TAILQ_FOREACH(entry, &table->in_order, entry) {
        const char *wrong = check_entry(table, entry);
        if (wrong != NULL)
            return wrong;
        count++;
    }
    return count == HASH_COUNT(table->by_name) ? NULL : "a table and its list differ in length";
}

const char *registry_check(const struct registry *registry) {
    const char *wrong = check_table(&registry->live);
    if (wrong == NULL)
        wrong = check_table(&registry->departed);
    if (wrong != NULL)
        return wrong;
    const struct entry *entry;
    TAILQ_FOREACH(entry, &registry->departed.in_order, entry) {
        if (entry->registration.holder != NULL)
            return "a departed name has a holder";
        if (table_find(&registry->live, entry->registration.node.name) != NULL)
            return "a name is registered and departed";
    }
    return HASH_COUNT(registry->departed.by_name) <= REGISTRY_DEPARTED_MAX
               ? NULL
               : "too many departed names are kept";
}
