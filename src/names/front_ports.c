#include "names/front_ports.h"

#include "base/hash_table.h"
#include "base/port_set.h"
#include "erlang/ekka_port.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* A look-up that was answered, and that no connection has followed yet. */
struct answered {
    struct place *place; /* of the node that was asked for */
    int64_t at_ms;
    size_t address_len;
    uint8_t address[LOOKUP_ADDRESS_MAX];
    TAILQ_ENTRY(answered) link;
    TAILQ_ENTRY(answered) of_place;
};
TAILQ_HEAD(lookups, answered);

/* A node behind a port. */
struct place {
    UT_hash_handle hh;                 /* by registration */
    struct registration *registration; /* borrowed */
    struct shelf *shelf;               /* where it is */
    struct lookups lookups;            /* of it */
    TAILQ_ENTRY(place) link;
    bool hidden;
    TAILQ_ENTRY(place) visible; /* unless it is hidden */
};
TAILQ_HEAD(places, place);

/* The nodes of one port. */
struct shelf {
    UT_hash_handle hh;
    uint16_t port;
    size_t count;
    struct places places;  /* the first registered first */
    struct places visible; /* those of them that are not hidden, in the same order */
};

struct front_ports {
    struct shelf *shelves;
    struct port_set in_use; /* the ports of the shelves */
    struct place *places;
    struct lookup_queue *queue;
    struct lookups lookups; /* the oldest first */
    size_t lookup_count;
    LIST_HEAD(front_ports_cursors, front_ports_cursor) cursors;
};

struct front_ports *front_ports_new(void) {
    struct front_ports *ports = calloc(1, sizeof *ports);
    if (ports == NULL)
        return NULL;
    TAILQ_INIT(&ports->lookups);
    ports->queue = lookup_queue_new();
    if (ports->queue != NULL)
        return ports;
    free(ports);
    return NULL;
}

static struct shelf *shelf_of(const struct front_ports *ports, uint16_t port) {
    struct shelf *found;
    HASH_FIND(hh, ports->shelves, &port, sizeof port, found);
    return found;
}

static void forget(struct front_ports *ports, struct answered *lookup) {
    TAILQ_REMOVE(&ports->lookups, lookup, link);
    TAILQ_REMOVE(&lookup->place->lookups, lookup, of_place);
    ports->lookup_count--;
    free(lookup);
}

static void remove_place(struct front_ports *ports, struct place *place) {
    struct shelf *shelf = place->shelf;
    struct front_ports_cursor *cursor;
    LIST_FOREACH(cursor, &ports->cursors, link) {
        if (cursor->next == place)
            front_ports_cursor_advance(cursor);
    }
    while (!TAILQ_EMPTY(&place->lookups))
        forget(ports, TAILQ_FIRST(&place->lookups));
    HASH_DEL(ports->places, place);
    TAILQ_REMOVE(&shelf->places, place, link);
    if (!place->hidden)
        TAILQ_REMOVE(&shelf->visible, place, visible);
    free(place);
    shelf->count--;
    if (shelf->count > 0)
        return;
    HASH_DEL(ports->shelves, shelf);
    port_set_remove(&ports->in_use, shelf->port);
    free(shelf);
}

void front_ports_free(struct front_ports *ports) {
    if (ports == NULL)
        return;
    while (ports->shelves != NULL)
        remove_place(ports, TAILQ_FIRST(&ports->shelves->places));
    lookup_queue_free(ports->queue);
    free(ports);
}

uint16_t front_ports_derive(const struct registration *registration,
                            const struct front_rule *rule) {
    const struct epmd_node *node = &registration->node;
    uint32_t port;
    bool exists = ekka_port(node->name, rule->base, &port);
    if (node->port == 0 || port == 0 || port == node->port)
        return 0;
    bool may_open = exists && ekka_offset(node->name) <= rule->offset_max &&
                    port >= FRONT_PORT_MIN && port != rule->epmd_port;
    return may_open ? (uint16_t)port : rule->own;
}

static struct shelf *new_shelf(struct front_ports *ports, uint16_t port) {
    struct shelf *shelf = calloc(1, sizeof *shelf);
    if (shelf == NULL)
        return NULL;
    shelf->port = port;
    TAILQ_INIT(&shelf->places);
    TAILQ_INIT(&shelf->visible);
    HASH_ADD(hh, ports->shelves, port, sizeof shelf->port, shelf);
    if (shelf->hh.tbl == NULL) {
        free(shelf);
        return NULL;
    }
    port_set_add(&ports->in_use, port);
    return shelf;
}

static bool is_hidden(const struct registration *registration) {
    uint8_t type = registration->node.type;
    return type == EPMD_NODE_HIDDEN || type == EPMD_NODE_HIDDEN_C;
}

static bool is_older(const struct place *place, const struct place *other) {
    return place->registration->since_ms < other->registration->since_ms;
}

/* Most come in the order of their registration; where the proxy is turned on, the newest first. */
static void insert_in_order(struct places *places, struct place *place) {
    struct place *before = TAILQ_LAST(places, places);
    if (before != NULL && is_older(place, TAILQ_FIRST(places)))
        before = NULL;
    while (before != NULL && is_older(place, before))
        before = TAILQ_PREV(before, places, link);
    if (before == NULL)
        TAILQ_INSERT_HEAD(places, place, link);
    else
        TAILQ_INSERT_AFTER(places, before, place, link);
}

/* The same among those that are not hidden. */
static void insert_visible(struct places *places, struct place *place) {
    struct place *before = TAILQ_LAST(places, places);
    if (before != NULL && is_older(place, TAILQ_FIRST(places)))
        before = NULL;
    while (before != NULL && is_older(place, before))
        before = TAILQ_PREV(before, places, visible);
    if (before == NULL)
        TAILQ_INSERT_HEAD(places, place, visible);
    else
        TAILQ_INSERT_AFTER(places, before, place, visible);
}

static void insert_place(struct shelf *shelf, struct place *place) {
    place->shelf = shelf;
    place->hidden = is_hidden(place->registration);
    insert_in_order(&shelf->places, place);
    if (!place->hidden)
        insert_visible(&shelf->visible, place);
    shelf->count++;
}

static struct place *place_of(const struct front_ports *ports,
                              const struct registration *registration) {
    struct place *found;
    HASH_FIND_PTR(ports->places, &registration, found);
    return found;
}

static struct place *new_place(struct front_ports *ports, struct registration *registration) {
    struct place *place = calloc(1, sizeof *place);
    if (place == NULL)
        return NULL;
    place->registration = registration;
    TAILQ_INIT(&place->lookups);
    HASH_ADD_PTR(ports->places, registration, place);
    if (place->hh.tbl != NULL)
        return place;
    free(place);
    return NULL;
}

bool front_ports_add(struct front_ports *ports, struct registration *registration) {
    struct place *place = new_place(ports, registration);
    if (place == NULL)
        return false;
    struct shelf *shelf = shelf_of(ports, registration->front_port);
    if (shelf == NULL)
        shelf = new_shelf(ports, registration->front_port);
    if (shelf == NULL) {
        HASH_DEL(ports->places, place);
        free(place);
        return false;
    }
    insert_place(shelf, place);
    return true;
}

void front_ports_remove(struct front_ports *ports, struct registration *registration,
                        int64_t now_ms) {
    struct place *place = place_of(ports, registration);
    if (place == NULL)
        return;
    lookup_queue_forget(ports->queue, registration, now_ms);
    remove_place(ports, place);
}

size_t front_ports_count(const struct front_ports *ports, uint16_t port) {
    const struct shelf *shelf = shelf_of(ports, port);
    return shelf == NULL ? 0 : shelf->count;
}

struct registration *front_ports_at(const struct front_ports *ports, uint16_t port, size_t index) {
    const struct shelf *shelf = shelf_of(ports, port);
    const struct place *place = shelf == NULL ? NULL : TAILQ_FIRST(&shelf->places);
    while (place != NULL && index-- > 0)
        place = TAILQ_NEXT(place, link);
    return place == NULL ? NULL : place->registration;
}

uint16_t front_ports_next(const struct front_ports *ports, uint16_t after) {
    uint32_t next = port_set_next(&ports->in_use, (uint32_t)after + 1);
    return next > UINT16_MAX ? 0 : (uint16_t)next;
}

void front_ports_cursor_begin(struct front_ports_cursor *cursor, struct front_ports *ports,
                              uint16_t port) {
    const struct shelf *shelf = shelf_of(ports, port);
    cursor->ports = ports;
    cursor->next = shelf == NULL ? NULL : TAILQ_FIRST(&shelf->places);
    LIST_INSERT_HEAD(&ports->cursors, cursor, link);
}

const struct registration *front_ports_cursor_peek(const struct front_ports_cursor *cursor) {
    const struct place *place = cursor->next;
    return place == NULL ? NULL : place->registration;
}

void front_ports_cursor_advance(struct front_ports_cursor *cursor) {
    struct place *place = cursor->next;
    if (place != NULL)
        cursor->next = TAILQ_NEXT(place, link);
}

void front_ports_cursor_end(struct front_ports_cursor *cursor) {
    if (cursor->ports != NULL)
        LIST_REMOVE(cursor, link);
    *cursor = (struct front_ports_cursor){.ports = NULL};
}

/* --- look-ups --- */

struct lookup_queue *front_ports_queue(const struct front_ports *ports) {
    return ports->queue;
}

static void forget_old(struct front_ports *ports, int64_t now_ms) {
    struct answered *first;
    while ((first = TAILQ_FIRST(&ports->lookups)) != NULL &&
           (ports->lookup_count > FRONT_LOOKUPS_MAX || now_ms - first->at_ms > FRONT_LOOKUP_MS))
        forget(ports, first);
}

void front_ports_looked_up(struct front_ports *ports, struct registration *registration,
                           struct bytes address, int64_t now_ms) {
    struct place *place = place_of(ports, registration);
    if (place == NULL || front_ports_count(ports, registration->front_port) < 2 ||
        address.len > LOOKUP_ADDRESS_MAX)
        return;
    struct answered *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return; /* then it is a guess without this hint */
    lookup->place = place;
    lookup->at_ms = now_ms;
    lookup->address_len = address.len;
    memcpy(lookup->address, address.data, address.len);
    TAILQ_INSERT_TAIL(&ports->lookups, lookup, link);
    TAILQ_INSERT_TAIL(&place->lookups, lookup, of_place);
    ports->lookup_count++;
    forget_old(ports, now_ms);
}

/* --- choosing --- */

static bool is_connected(const struct front_caller *caller,
                         const struct registration *registration) {
    return caller->is_connected != NULL && caller->is_connected(caller->context, registration);
}

static bool is_of_caller(const struct answered *lookup, const struct front_caller *caller) {
    return lookup->place->registration->front_port == caller->port &&
           bytes_equal(bytes_of(lookup->address, lookup->address_len), caller->address);
}

/* The look-up that was counted has its connection now. */
static void use_counted(struct front_ports *ports, const struct registration *current,
                        const struct front_caller *caller) {
    const struct place *place = place_of(ports, current);
    struct answered *lookup;
    TAILQ_FOREACH(lookup, &place->lookups, of_place) {
        if (is_of_caller(lookup, caller)) {
            forget(ports, lookup);
            return;
        }
    }
}

/* Of the look-ups of this caller's address at this port the one to go by, see the header. */
static struct answered *find_lookup(const struct front_ports *ports,
                                    const struct front_caller *caller, bool even_if_connected) {
    struct answered *lookup, *newest = NULL;
    TAILQ_FOREACH(lookup, &ports->lookups, link) {
        if (!is_of_caller(lookup, caller) ||
            (!even_if_connected && is_connected(caller, lookup->place->registration)))
            continue;
        if (caller->now_ms - lookup->at_ms <= FRONT_FRESH_MS)
            return lookup;
        newest = lookup;
    }
    return newest;
}

/* Whoever registers hidden nodes, however many, makes nobody walk over them. */
static struct registration *find_owner(const struct shelf *shelf, const struct front_caller *caller,
                                       bool even_if_connected) {
    const struct place *place;
    TAILQ_FOREACH(place, &shelf->visible, visible) {
        if (even_if_connected || !is_connected(caller, place->registration))
            return place->registration;
    }
    return NULL;
}

struct registration *front_ports_choose(struct front_ports *ports,
                                        const struct front_caller *caller) {
    const struct shelf *shelf = shelf_of(ports, caller->port);
    if (shelf == NULL)
        return NULL;
    forget_old(ports, caller->now_ms);
    struct registration *current =
        lookup_queue_connected(ports->queue, caller->port, caller->address, caller->now_ms);
    if (current != NULL) {
        use_counted(ports, current, caller);
        return current;
    }
    struct answered *lookup = find_lookup(ports, caller, false);
    if (lookup == NULL)
        lookup = find_lookup(ports, caller, true);
    if (lookup != NULL) {
        struct registration *wanted = lookup->place->registration;
        forget(ports, lookup);
        return wanted;
    }
    struct registration *owner = find_owner(shelf, caller, false);
    if (owner == NULL)
        owner = find_owner(shelf, caller, true);
    return owner != NULL ? owner : TAILQ_FIRST(&shelf->places)->registration;
}
