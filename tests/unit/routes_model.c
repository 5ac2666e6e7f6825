/*
 * The front ports against a model that cannot be wrong for being clever: nodes and look-ups in
 * arrays, each rule of the header spelt out as a walk over them. Random histories play both.
 */
#include "routes_model.h"

#include "names/routes.h"
#include "seeded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 12
#define PORTS 3
#define ADDRESSES 3
#define LOOKUPS (2 * ROUTE_LOOKUPS_MAX)
#define BASE 4370

struct model_node {
    struct registration registration;
    size_t age; /* 0: not behind a port; else grows with every arrival */
    bool connected;
};

struct model_lookup {
    size_t node, address;
    int64_t at_ms;
};

struct play {
    struct seeded random;
    struct routes *ports;
    struct model_node nodes[NODES];
    size_t next_age;
    struct model_lookup lookups[LOOKUPS]; /* the oldest first */
    size_t lookup_count;
    int64_t now_ms;
};

/* Addresses of both families: one is the beginning of another. */
static struct bytes address_of(size_t which) {
    static const uint8_t bytes[] = {192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
    static const uint8_t other[] = {192, 0, 2, 2};
    return which == 0 ? bytes_of(bytes, 4) : which == 1 ? bytes_of(bytes, 16) : bytes_of(other, 4);
}

static uint16_t some_port(struct play *play) {
    return (uint16_t)(BASE + seeded_below(&play->random, PORTS));
}

static size_t model_count(const struct play *play, uint16_t port) {
    size_t count = 0;
    for (size_t i = 0; i < NODES; i++)
        count += play->nodes[i].age > 0 && play->nodes[i].registration.front_port == port;
    return count;
}

static void model_forget(struct play *play, size_t position) {
    play->lookup_count--;
    memmove(&play->lookups[position], &play->lookups[position + 1],
            (play->lookup_count - position) * sizeof play->lookups[0]);
}

static void model_forget_old(struct play *play) {
    while (play->lookup_count > 0 && (play->lookup_count > ROUTE_LOOKUPS_MAX ||
                                      play->lookups[0].at_ms < play->now_ms - ROUTE_LOOKUP_MS))
        model_forget(play, 0);
}

/* --- steps --- */

static void come_or_go(struct play *play) {
    size_t which = seeded_below(&play->random, NODES);
    struct model_node *node = &play->nodes[which];
    struct registration *registration = &node->registration;
    if (node->age == 0) {
        registration->front_port = some_port(play);
        registration->node.type =
            seeded_chance(&play->random, 30) ? EPMD_NODE_HIDDEN : EPMD_NODE_NORMAL;
        node->connected = false;
        node->age = ++play->next_age;
        ck_assert(routes_add(play->ports, registration));
        return;
    }
    node->age = 0;
    for (size_t i = play->lookup_count; i-- > 0;) {
        if (play->lookups[i].node == which)
            model_forget(play, i);
    }
    routes_remove(play->ports, registration, play->now_ms);
    registration->front_port = 0;
    routes_remove(play->ports, registration, play->now_ms);
}

static void look_up(struct play *play) {
    size_t which = seeded_below(&play->random, NODES);
    size_t address = seeded_below(&play->random, ADDRESSES);
    struct registration *registration = &play->nodes[which].registration;
    if (play->nodes[which].age == 0)
        return;
    routes_looked_up(play->ports, registration, address_of(address), play->now_ms);
    if (model_count(play, registration->front_port) < 2)
        return;
    play->lookups[play->lookup_count++] =
        (struct model_lookup){.node = which, .address = address, .at_ms = play->now_ms};
    model_forget_old(play);
}

static bool is_connected(void *context, const struct registration *registration) {
    const struct play *play = context;
    for (size_t i = 0; i < NODES; i++) {
        if (&play->nodes[i].registration == registration)
            return play->nodes[i].connected;
    }
    ck_abort_msg("asked of a node that is none");
}

/* The look-up to go by, or LOOKUPS. */
static size_t model_lookup(const struct play *play, uint16_t port, size_t address, bool connected) {
    size_t newest_stale = LOOKUPS;
    for (size_t i = 0; i < play->lookup_count; i++) {
        const struct model_lookup *lookup = &play->lookups[i];
        const struct model_node *node = &play->nodes[lookup->node];
        if (lookup->address != address || node->registration.front_port != port ||
            (node->connected && !connected))
            continue;
        if (lookup->at_ms >= play->now_ms - ROUTE_FRESH_MS)
            return i;
        newest_stale = i;
    }
    return newest_stale;
}

/* The first registered of those that fit, or NODES. */
static size_t model_owner(const struct play *play, uint16_t port, bool connected, bool hidden) {
    size_t first = NODES;
    for (size_t i = 0; i < NODES; i++) {
        const struct model_node *node = &play->nodes[i];
        if (node->age == 0 || node->registration.front_port != port ||
            (node->connected && !connected) ||
            (node->registration.node.type == EPMD_NODE_HIDDEN && !hidden))
            continue;
        if (first == NODES || node->age < play->nodes[first].age)
            first = i;
    }
    return first;
}

static size_t model_choose(struct play *play, uint16_t port, size_t address) {
    model_forget_old(play);
    size_t lookup = model_lookup(play, port, address, false);
    if (lookup == LOOKUPS)
        lookup = model_lookup(play, port, address, true);
    if (lookup != LOOKUPS) {
        size_t node = play->lookups[lookup].node;
        model_forget(play, lookup);
        return node;
    }
    size_t owner = model_owner(play, port, false, false);
    if (owner == NODES)
        owner = model_owner(play, port, true, false);
    return owner != NODES ? owner : model_owner(play, port, true, true);
}

static void choose(struct play *play) {
    size_t address = seeded_below(&play->random, ADDRESSES);
    const struct route_query caller = {.port = some_port(play),
                                       .address = address_of(address),
                                       .now_ms = play->now_ms,
                                       .is_connected = is_connected,
                                       .context = play};
    bool empty = model_count(play, caller.port) == 0;
    size_t expected = empty ? NODES : model_choose(play, caller.port, address);
    const struct registration *chosen = routes_choose(play->ports, &caller);
    ck_assert_ptr_eq(chosen, empty ? NULL : &play->nodes[expected].registration);
    if (!empty && seeded_chance(&play->random, 20))
        play->nodes[expected].connected = true;
}

static void assert_same_ports(const struct play *play) {
    uint16_t port = 0;
    for (uint16_t wanted = BASE; wanted < BASE + PORTS; wanted++) {
        size_t count = model_count(play, wanted), age = 0;
        ck_assert_uint_eq(routes_count(play->ports, wanted), count);
        ck_assert_ptr_null(routes_at(play->ports, wanted, count));
        for (size_t i = 0; i < count; i++) {
            const struct model_node *node =
                (const struct model_node *)routes_at(play->ports, wanted, i);
            ck_assert_uint_gt(node->age, age);
            age = node->age;
        }
        if (count > 0) {
            port = routes_next_port(play->ports, port);
            ck_assert_uint_eq(port, wanted);
        }
    }
    ck_assert_uint_eq(routes_next_port(play->ports, port), 0);
    const char *broken = routes_check(play->ports);
    ck_assert_msg(broken == NULL, "%s", broken);
}

/* --- the play --- */

static void play_history(int round, int steps, unsigned lookups_percent, size_t pause_ms) {
    struct play *play = calloc(1, sizeof *play);
    ck_assert_ptr_nonnull(play);
    play->random = seeded_stream("front_ports");
    play->random.state += (uint64_t)round;
    play->ports = routes_new();
    for (int step = 0; step < steps; step++) {
        play->now_ms += (int64_t)seeded_below(&play->random, pause_ms);
        if (seeded_chance(&play->random, lookups_percent))
            look_up(play);
        else if (seeded_chance(&play->random, 80))
            choose(play);
        else if (seeded_chance(&play->random, 30))
            play->nodes[seeded_below(&play->random, NODES)].connected = false;
        else
            come_or_go(play);
        assert_same_ports(play);
    }
    routes_free(play->ports);
    free(play);
}

START_TEST(random_histories_choose_as_the_model_does) {
    for (int round = 0; round < 30; round++)
        play_history(round, 2000, 55, 900);
}
END_TEST

START_TEST(random_histories_of_many_lookups_choose_as_the_model_does) {
    for (int round = 30; round < 34; round++)
        play_history(round, 12000, 93, 3);
}
END_TEST

void routes_model_add(TCase *tests) {
    tcase_add_test(tests, random_histories_choose_as_the_model_does);
    tcase_add_test(tests, random_histories_of_many_lookups_choose_as_the_model_does);
}
