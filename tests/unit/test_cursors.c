/* Walks over names and ports that pause while these come and go. */
#include "base/port_set.h"
#include "names/directory.h"
#include "names/routes.h"
#include "port_pool_fixture.h"
#include "some_registry.h"
#include "suites.h"

#include <stdio.h>
#include <string.h>

static char seen[256];

static void note(struct bytes name) {
    size_t len = strlen(seen);
    snprintf(seen + len, sizeof seen - len, "%s%.*s", len == 0 ? "" : " ", (int)name.len,
             (const char *)name.data);
}

/* --- the directory --- */

static struct directory *directory;
static struct directory_owner *first, *second;
static struct directory_cursor walk;

static void put(struct directory_owner *owner, uint64_t sequence, const char *name) {
    const struct directory_name node = {.name = bytes_of_text(name), .port = 6369, .type = 77};
    const struct directory_version version = {1, sequence};
    ck_assert_int_eq(directory_register(owner, version, &node), DIRECTORY_APPLIED);
}

static void drop(struct directory_owner *owner, uint64_t sequence, const char *name) {
    const struct directory_version version = {1, sequence};
    ck_assert_int_eq(directory_unregister(owner, version, bytes_of_text(name)), DIRECTORY_APPLIED);
}

static void begin_directory(void) {
    directory = directory_new(NULL, NULL);
    first = directory_owner_add(directory, bytes_of_text("emqx@s1"), NULL);
    directory_owner_add(directory, bytes_of_text("empty@s2"), NULL);
    second = directory_owner_add(directory, bytes_of_text("emqx@s3"), NULL);
    put(first, 1, "a");
    put(first, 2, "b");
    put(first, 3, "c");
    put(second, 1, "d");
    put(second, 2, "e");
    directory_cursor_begin(&walk, directory);
    seen[0] = '\0';
}

static void end_directory(void) {
    directory_cursor_end(&walk);
    directory_cursor_end(&walk); /* is harmless */
    directory_free(directory);
}

/* Goes on for so many names. */
static const char *walk_on(unsigned count) {
    const struct directory_entry *entry;
    for (; count > 0 && (entry = directory_cursor_peek(&walk)) != NULL; count--) {
        note(entry->node.name);
        directory_cursor_advance(&walk);
    }
    return seen;
}

START_TEST(a_walk_sees_all_names_of_all_members) {
    ck_assert_str_eq(walk_on(100), "a b c d e");
    ck_assert_ptr_null(directory_cursor_peek(&walk));
}
END_TEST

START_TEST(what_left_before_the_walk_came_is_not_seen) {
    walk_on(1);
    drop(first, 4, "b"); /* where it stands */
    drop(second, 3, "d");
    ck_assert_str_eq(walk_on(100), "a c e");
}
END_TEST

START_TEST(a_member_that_leaves_takes_the_walk_no_further_than_the_next) {
    walk_on(1);
    directory_owner_remove(first);
    ck_assert_str_eq(walk_on(100), "a d e");
}
END_TEST

START_TEST(the_last_member_may_leave_at_the_end_of_its_names) {
    walk_on(5);
    directory_owner_remove(second);
    ck_assert_str_eq(walk_on(100), "a b c d e");
}
END_TEST

START_TEST(a_name_that_changes_goes_to_the_end_and_the_walk_stays) {
    walk_on(1);
    put(first, 4, "b");
    ck_assert_str_eq(walk_on(100), "a c b d e");
}
END_TEST

START_TEST(a_new_life_of_a_member_is_seen_from_where_the_walk_is) {
    walk_on(2);
    directory_begin_generation(first, 2);
    ck_assert_str_eq(walk_on(100), "a b d e");
}
END_TEST

/* --- the port pool --- */

START_TEST(leases_are_walked_in_the_order_of_ports_while_they_change) {
    struct port_pool_cursor cursor;
    struct port_lease lease_seen;
    seen[0] = '\0';
    for (const char *const *name = (const char *const[]){"a", "b", "c", "d", NULL}; *name; name++)
        lease(*name);
    port_pool_cursor_begin(&cursor, pool);
    ck_assert(port_pool_cursor_peek(&cursor, &lease_seen));
    release("a"); /* where it stands */
    release("c");
    ck_assert(port_pool_cursor_peek(&cursor, &lease_seen));
    note(lease_seen.name);
    port_pool_cursor_advance(&cursor);
    lease("e"); /* on the port of a, which is behind */
    while (port_pool_cursor_peek(&cursor, &lease_seen)) {
        note(lease_seen.name);
        port_pool_cursor_advance(&cursor);
    }
    port_pool_cursor_end(&cursor);
    port_pool_cursor_end(&cursor);
    ck_assert_str_eq(seen, "b d");
}
END_TEST

/* --- the nodes behind a front port --- */

START_TEST(nodes_behind_a_port_are_walked_while_they_leave) {
    struct some_registry some = some_registry_new();
    struct routes *ports = routes_new();
    struct routes_cursor cursor;
    struct registration *nodes[4];
    const struct registration *node;
    static const char *const names[] = {"a", "b", "c", "d"};
    seen[0] = '\0';
    for (size_t i = 0; i < 4; i++) {
        nodes[i] = some_registration(some.registry, names[i], 6369);
        nodes[i]->front_port = 4370;
        ck_assert(routes_add(ports, nodes[i]));
    }
    routes_cursor_begin(&cursor, ports, 4370);
    routes_remove(ports, nodes[0], 0);
    routes_remove(ports, nodes[2], 0);
    while ((node = routes_cursor_peek(&cursor)) != NULL) {
        note(node->node.name);
        routes_cursor_advance(&cursor);
    }
    routes_remove(ports, nodes[1], 0); /* and all, so that the port goes too */
    routes_remove(ports, nodes[3], 0);
    ck_assert_ptr_null(routes_cursor_peek(&cursor));
    routes_cursor_end(&cursor);
    routes_cursor_end(&cursor);
    ck_assert_str_eq(seen, "b d");
    routes_free(ports);
    some_registry_free(&some);
}
END_TEST

START_TEST(a_set_of_ports_is_walked_in_order) {
    struct port_set set = {.words = {0}};
    static const uint16_t ports[] = {0, 1, 63, 64, 127, 4370, 65534, 65535};
    ck_assert_uint_gt(port_set_next(&set, 0), UINT16_MAX);
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
        port_set_add(&set, ports[i]);
    port_set_add(&set, 5000);
    port_set_remove(&set, 5000);
    uint32_t at = 0;
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++, at++) {
        at = port_set_next(&set, at);
        ck_assert_uint_eq(at, ports[i]);
    }
    ck_assert_uint_gt(port_set_next(&set, at), UINT16_MAX);
}
END_TEST

Suite *cursors_suite(void) {
    TCase *tests, *leases = tcase_create("leases");
    Suite *suite = suite_begin("cursors", &tests);
    tcase_add_checked_fixture(tests, begin_directory, end_directory);
    tcase_add_test(tests, a_walk_sees_all_names_of_all_members);
    tcase_add_test(tests, what_left_before_the_walk_came_is_not_seen);
    tcase_add_test(tests, a_member_that_leaves_takes_the_walk_no_further_than_the_next);
    tcase_add_test(tests, the_last_member_may_leave_at_the_end_of_its_names);
    tcase_add_test(tests, a_name_that_changes_goes_to_the_end_and_the_walk_stays);
    tcase_add_test(tests, a_new_life_of_a_member_is_seen_from_where_the_walk_is);
    tcase_add_test(tests, nodes_behind_a_port_are_walked_while_they_leave);
    tcase_add_test(tests, a_set_of_ports_is_walked_in_order);
    suite_add_tcase(suite, leases);
    tcase_add_checked_fixture(leases, port_pool_fixture_begin, port_pool_fixture_end);
    tcase_add_test(leases, leases_are_walked_in_the_order_of_ports_while_they_change);
    return suite;
}
