#include "names/routes.h"

#include "base/assert.h"
#include "base/hash_table.h"
#include "base/port_set.h"
#include "erlang/ekka_port.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* A look-up that was answered, and that no connection has followed yet. */
struct route_lookup {
    struct route *route; /* of the node that was asked for */
    int64_t at_ms;
    size_t address_len;
    uint8_t address[LOOKUP_ADDRESS_MAX];
    TAILQ_ENTRY(route_lookup) entry;
    TAILQ_ENTRY(route_lookup) by_route;
};
TAILQ_HEAD(lookups, route_lookup);

/* A node behind a port. */
struct route {
    UT_hash_handle hh;                 /* by registration */
    struct registration *registration; /* borrowed */
    struct route_group *group;         /* where it is */
    struct lookups lookups;            /* of it */
    TAILQ_ENTRY(route) entry;
    bool hidden;
    TAILQ_ENTRY(route) visible; /* unless it is hidden */
};
TAILQ_HEAD(route_list, route);

/* The nodes of one port. */
struct route_group {
    UT_hash_handle hh;
    uint16_t port;
    size_t count;
    struct route_list routes;  /* the first registered first */
    struct route_list visible; /* those of them that are not hidden, in the same order */
};

struct routes {
    struct route_group *by_port;
    struct port_set in_use; /* the ports of the groups */
    struct route *by_registration;
    struct lookup_queue *queue;
    struct lookups lookups; /* the oldest first */
    size_t lookup_count;
    LIST_HEAD(routes_cursors, routes_cursor) cursors;
};

struct routes *routes_new(void) {
    struct routes *routes = calloc(1, sizeof *routes);
    if (routes == NULL)
        return NULL;
    TAILQ_INIT(&routes->lookups);
    routes->queue = lookup_queue_new();
    if (routes->queue != NULL)
        return routes;
    free(routes);
    return NULL;
}

static struct route_group *group_of(const struct routes *routes, uint16_t port) {
    struct route_group *found;
    HASH_FIND(hh, routes->by_port, &port, sizeof port, found);
    return found;
}

static void drop_lookup(struct routes *routes, struct route_lookup *lookup) {
    TAILQ_REMOVE(&routes->lookups, lookup, entry);
    TAILQ_REMOVE(&lookup->route->lookups, lookup, by_route);
    PORTOLAN_ASSERT(routes->lookup_count > 0);
    routes->lookup_count--;
    free(lookup);
}

static void remove_route(struct routes *routes, struct route *route) {
    struct route_group *group = route->group;
    struct routes_cursor *cursor;
    LIST_FOREACH(cursor, &routes->cursors, entry) {
        if (cursor->next == route)
            routes_cursor_advance(cursor);
    }
    while (!TAILQ_EMPTY(&route->lookups))
        drop_lookup(routes, TAILQ_FIRST(&route->lookups));
    HASH_DEL(routes->by_registration, route);
    TAILQ_REMOVE(&group->routes, route, entry);
    if (!route->hidden)
        TAILQ_REMOVE(&group->visible, route, visible);
    free(route);
    PORTOLAN_ASSERT(group->count > 0);
    group->count--;
    PORTOLAN_ASSERT((group->count == 0) == TAILQ_EMPTY(&group->routes));
    if (group->count > 0)
        return;
    HASH_DEL(routes->by_port, group);
    port_set_remove(&routes->in_use, group->port);
    free(group);
}

void routes_free(struct routes *routes) {
    if (routes == NULL)
        return;
    while (routes->by_port != NULL)
        remove_route(routes, TAILQ_FIRST(&routes->by_port->routes));
    lookup_queue_free(routes->queue);
    free(routes);
}

uint16_t front_port_derive(const struct registration *registration,
                           const struct front_port_rule *rule) {
    const struct epmd_node *node = &registration->node;
    uint32_t port;
    bool exists = ekka_port(node->name, rule->base, &port);
    if (node->port == 0 || port == 0 || port == node->port)
        return 0;
    bool may_open = exists && ekka_offset(node->name) <= rule->offset_max &&
                    port >= FRONT_PORT_MIN && port != rule->epmd_port;
    return may_open ? (uint16_t)port : rule->own;
}

static struct route_group *new_group(struct routes *routes, uint16_t port) {
    struct route_group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return NULL;
    group->port = port;
    TAILQ_INIT(&group->routes);
    TAILQ_INIT(&group->visible);
    HASH_ADD(hh, routes->by_port, port, sizeof group->port, group);
    if (group->hh.tbl == NULL) {
        free(group);
        return NULL;
    }
    port_set_add(&routes->in_use, port);
    return group;
}

static bool is_hidden(const struct registration *registration) {
    uint8_t type = registration->node.type;
    return type == EPMD_NODE_HIDDEN || type == EPMD_NODE_HIDDEN_C;
}

static bool is_older(const struct route *route, const struct route *other) {
    return route->registration->since_ms < other->registration->since_ms;
}

/* Most come in the order of their registration; where the proxy is turned on, the newest first. */
static void insert_in_order(struct route_list *routes, struct route *route) {
    struct route *before = TAILQ_LAST(routes, route_list);
    if (before != NULL && is_older(route, TAILQ_FIRST(routes)))
        before = NULL;
    while (before != NULL && is_older(route, before))
        before = TAILQ_PREV(before, route_list, entry);
    if (before == NULL)
        TAILQ_INSERT_HEAD(routes, route, entry);
    else
        TAILQ_INSERT_AFTER(routes, before, route, entry);
}

/* The same among those that are not hidden. */
static void insert_visible(struct route_list *routes, struct route *route) {
    struct route *before = TAILQ_LAST(routes, route_list);
    if (before != NULL && is_older(route, TAILQ_FIRST(routes)))
        before = NULL;
    while (before != NULL && is_older(route, before))
        before = TAILQ_PREV(before, route_list, visible);
    if (before == NULL)
        TAILQ_INSERT_HEAD(routes, route, visible);
    else
        TAILQ_INSERT_AFTER(routes, before, route, visible);
}

static void insert_route(struct route_group *group, struct route *route) {
    route->group = group;
    route->hidden = is_hidden(route->registration);
    insert_in_order(&group->routes, route);
    if (!route->hidden)
        insert_visible(&group->visible, route);
    group->count++;
}

static struct route *route_of(const struct routes *routes,
                              const struct registration *registration) {
    struct route *found;
    HASH_FIND_PTR(routes->by_registration, &registration, found);
    return found;
}

static struct route *new_route(struct routes *routes, struct registration *registration) {
    struct route *route = calloc(1, sizeof *route);
    if (route == NULL)
        return NULL;
    route->registration = registration;
    TAILQ_INIT(&route->lookups);
    HASH_ADD_PTR(routes->by_registration, registration, route);
    if (route->hh.tbl != NULL)
        return route;
    free(route);
    return NULL;
}

bool routes_add(struct routes *routes, struct registration *registration) {
    PORTOLAN_ASSERT(registration->front_port != 0 && route_of(routes, registration) == NULL);
    struct route *route = new_route(routes, registration);
    if (route == NULL)
        return false;
    struct route_group *group = group_of(routes, registration->front_port);
    if (group == NULL)
        group = new_group(routes, registration->front_port);
    if (group == NULL) {
        HASH_DEL(routes->by_registration, route);
        free(route);
        return false;
    }
    insert_route(group, route);
    return true;
}

void routes_remove(struct routes *routes, struct registration *registration, int64_t now_ms) {
    struct route *route = route_of(routes, registration);
    if (route == NULL)
        return;
    lookup_queue_forget(routes->queue, registration, now_ms);
    remove_route(routes, route);
}

size_t routes_count(const struct routes *routes, uint16_t port) {
    const struct route_group *group = group_of(routes, port);
    return group == NULL ? 0 : group->count;
}

struct registration *routes_at(const struct routes *routes, uint16_t port, size_t index) {
    const struct route_group *group = group_of(routes, port);
    const struct route *route = group == NULL ? NULL : TAILQ_FIRST(&group->routes);
    while (route != NULL && index-- > 0)
        route = TAILQ_NEXT(route, entry);
    return route == NULL ? NULL : route->registration;
}

uint16_t routes_next_port(const struct routes *routes, uint16_t after) {
    uint32_t next = port_set_next(&routes->in_use, (uint32_t)after + 1);
    return next > UINT16_MAX ? 0 : (uint16_t)next;
}

void routes_cursor_begin(struct routes_cursor *cursor, struct routes *routes, uint16_t port) {
    const struct route_group *group = group_of(routes, port);
    cursor->routes = routes;
    cursor->next = group == NULL ? NULL : TAILQ_FIRST(&group->routes);
    LIST_INSERT_HEAD(&routes->cursors, cursor, entry);
}

const struct registration *routes_cursor_peek(const struct routes_cursor *cursor) {
    const struct route *route = cursor->next;
    return route == NULL ? NULL : route->registration;
}

void routes_cursor_advance(struct routes_cursor *cursor) {
    struct route *route = cursor->next;
    if (route != NULL)
        cursor->next = TAILQ_NEXT(route, entry);
}

void routes_cursor_end(struct routes_cursor *cursor) {
    if (cursor->routes != NULL)
        LIST_REMOVE(cursor, entry);
    *cursor = (struct routes_cursor){.routes = NULL};
}

/* --- look-ups --- */

struct lookup_queue *routes_queue(const struct routes *routes) {
    return routes->queue;
}

static void expire_lookups(struct routes *routes, int64_t now_ms) {
    struct route_lookup *first;
    while ((first = TAILQ_FIRST(&routes->lookups)) != NULL &&
           (routes->lookup_count > ROUTE_LOOKUPS_MAX || now_ms - first->at_ms > ROUTE_LOOKUP_MS))
        drop_lookup(routes, first);
}

void routes_looked_up(struct routes *routes, struct registration *registration,
                      struct bytes address, int64_t now_ms) {
    struct route *route = route_of(routes, registration);
    if (route == NULL || routes_count(routes, registration->front_port) < 2 ||
        address.len > LOOKUP_ADDRESS_MAX)
        return;
    struct route_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return; /* then it is a guess without this hint */
    lookup->route = route;
    lookup->at_ms = now_ms;
    lookup->address_len = address.len;
    memcpy(lookup->address, address.data, address.len);
    TAILQ_INSERT_TAIL(&routes->lookups, lookup, entry);
    TAILQ_INSERT_TAIL(&route->lookups, lookup, by_route);
    routes->lookup_count++;
    expire_lookups(routes, now_ms);
    PORTOLAN_ASSERT(routes->lookup_count <= ROUTE_LOOKUPS_MAX);
}

/* --- choosing --- */

static bool is_connected(const struct route_query *caller,
                         const struct registration *registration) {
    return caller->is_connected != NULL && caller->is_connected(caller->context, registration);
}

static bool matches_query(const struct route_lookup *lookup, const struct route_query *caller) {
    return lookup->route->registration->front_port == caller->port &&
           bytes_equal(bytes_of(lookup->address, lookup->address_len), caller->address);
}

/* The look-up that was counted has its connection now. */
static void consume_counted(struct routes *routes, const struct registration *current,
                            const struct route_query *caller) {
    const struct route *route = route_of(routes, current);
    struct route_lookup *lookup;
    TAILQ_FOREACH(lookup, &route->lookups, by_route) {
        if (matches_query(lookup, caller)) {
            drop_lookup(routes, lookup);
            return;
        }
    }
}

/* Of the look-ups of this caller's address at this port the one to go by, see the header. */
static struct route_lookup *find_lookup(const struct routes *routes,
                                        const struct route_query *caller, bool even_if_connected) {
    struct route_lookup *lookup, *newest = NULL;
    TAILQ_FOREACH(lookup, &routes->lookups, entry) {
        if (!matches_query(lookup, caller) ||
            (!even_if_connected && is_connected(caller, lookup->route->registration)))
            continue;
        if (caller->now_ms - lookup->at_ms <= ROUTE_FRESH_MS)
            return lookup;
        newest = lookup;
    }
    return newest;
}

/* Hidden nodes, however many are registered, are not walked over. */
static struct registration *find_owner(const struct route_group *group,
                                       const struct route_query *caller, bool even_if_connected) {
    const struct route *route;
    TAILQ_FOREACH(route, &group->visible, visible) {
        if (even_if_connected || !is_connected(caller, route->registration))
            return route->registration;
    }
    return NULL;
}

struct registration *routes_choose(struct routes *routes, const struct route_query *caller) {
    const struct route_group *group = group_of(routes, caller->port);
    if (group == NULL)
        return NULL;
    expire_lookups(routes, caller->now_ms);
    struct registration *current =
        lookup_queue_connected(routes->queue, caller->port, caller->address, caller->now_ms);
    if (current != NULL) {
        PORTOLAN_ASSERT(current->front_port == caller->port);
        consume_counted(routes, current, caller);
        return current;
    }
    struct route_lookup *lookup = find_lookup(routes, caller, false);
    if (lookup == NULL)
        lookup = find_lookup(routes, caller, true);
    if (lookup != NULL) {
        struct registration *wanted = lookup->route->registration;
        drop_lookup(routes, lookup);
        return wanted;
    }
    struct registration *owner = find_owner(group, caller, false);
    if (owner == NULL)
        owner = find_owner(group, caller, true);
    return owner != NULL ? owner : TAILQ_FIRST(&group->routes)->registration;
}

/* --- what must hold --- */

static const char *check_group(const struct routes *routes, const struct route_group *group) {
    const struct route *route;
    size_t count = 0, visible = 0, hidden = 0;
    TAILQ_FOREACH(route, &group->routes, entry) {
        if (route->group != group || route_of(routes, route->registration) != route)
            return "a route is listed and not found";
        if (route->registration->front_port != group->port)
            return "a route is behind another port than its node";
        hidden += route->hidden ? 1 : 0;
        count++;
    }
    TAILQ_FOREACH(route, &group->visible, visible) {
        visible += route->hidden ? 0 : 1;
    }
    if (count == 0 || count != group->count || visible != count - hidden)
        return "the routes of a port are miscounted";
    return port_set_next(&routes->in_use, group->port) == group->port
               ? NULL
               : "a port with routes is not in the set";
}

const char *routes_check(const struct routes *routes) {
    const struct route_group *group, *following;
    const struct route_lookup *lookup;
    size_t count = 0, lookups = 0;
    HASH_ITER(hh, routes->by_port, group, following) {
        const char *wrong = check_group(routes, group);
        if (wrong != NULL)
            return wrong;
        count += group->count;
    }
    if (count != HASH_COUNT(routes->by_registration))
        return "a route is in no group";
    TAILQ_FOREACH(lookup, &routes->lookups, entry) {
        lookups++;
    }
    if (lookups != routes->lookup_count || lookups > ROUTE_LOOKUPS_MAX)
        return "look-ups are miscounted";
    return lookup_queue_check(routes->queue);
}
