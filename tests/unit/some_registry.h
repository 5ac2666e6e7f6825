/* A registry with the creations it needs, and short ways to fill it. */
#ifndef PORTOLAN_TESTS_UNIT_SOME_REGISTRY_H
#define PORTOLAN_TESTS_UNIT_SOME_REGISTRY_H

#include "names/registry.h"

#include <check.h>
#include <stdio.h>

struct some_registry {
    struct creations *creations;
    struct registry *registry;
};

static inline struct some_registry some_registry_new(void) {
    struct some_registry some = {.creations =
                                     creations_new(INT64_C(1772360430) * CREATIONS_TICK_US)};
    ck_assert_ptr_nonnull(some.creations);
    some.registry = registry_new(some.creations);
    ck_assert_ptr_nonnull(some.registry);
    return some;
}

static inline void some_registry_free(struct some_registry *some) {
    registry_free(some->registry);
    creations_free(some->creations);
}

/* A node of OTP 25 or later. */
static inline struct epmd_node some_node(const char *name, uint16_t port) {
    return (struct epmd_node){.port = port,
                              .type = EPMD_NODE_NORMAL,
                              .highest_version = 6,
                              .lowest_version = 5,
                              .name = bytes_of_text(name)};
}

static inline struct registration *some_registration(struct registry *registry, const char *name,
                                                     uint16_t port) {
    const struct epmd_node node = some_node(name, port);
    struct registration *made = NULL;
    ck_assert_int_eq(registry_register(registry, &node, NULL, port, &made), REGISTRY_OK);
    return made;
}

/* Registers and removes prefix0, prefix1, ... */
static inline void some_departures(struct registry *registry, const char *prefix, int count) {
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%.16s%d", prefix, i);
        registry_remove(registry, some_registration(registry, name, 1));
    }
}

#endif
