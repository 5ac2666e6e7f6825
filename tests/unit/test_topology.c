/* Who links to whom, and how little a newcomer changes. */
#include "cluster/topology.h"
#include "suites.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct membership table;

static void members(int count) {
    char name[32];
    membership_init(&table);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "p%d@example.org", i);
        ck_assert_ptr_nonnull(membership_add(&table, bytes_of_text(name), CLUSTER_ALIVE));
    }
}

static bool has(struct member *const *list, size_t count, const struct member *member) {
    for (size_t i = 0; i < count; i++) {
        if (list[i] == member)
            return true;
    }
    return false;
}

START_TEST(up_to_sixteen_link_to_all) {
    struct member *list[TOPOLOGY_MAX];
    members(TOPOLOGY_MESH);
    for (size_t i = 0; i < table.count; i++)
        ck_assert_uint_eq(topology_neighbours(&table, table.ring[i], list), TOPOLOGY_MESH - 1);
    membership_clear(&table);
}
END_TEST

START_TEST(on_the_ring_the_next_three_are_linked_and_log_n_more) {
    struct member *list[TOPOLOGY_MAX];
    members(1000);
    for (size_t i = 0; i < table.count; i++) {
        size_t count = topology_neighbours(&table, table.ring[i], list);
        for (size_t k = 1; k <= TOPOLOGY_SUCCESSORS; k++)
            ck_assert(has(list, count, table.ring[(i + k) % table.count]));
        ck_assert(!has(list, count, table.ring[i]));
        ck_assert_uint_le(count, 20);
    }
    membership_clear(&table);
}
END_TEST

START_TEST(who_does_not_run_is_passed_over) {
    struct member *list[TOPOLOGY_MAX];
    members(40);
    struct member *down = table.ring[11];
    membership_set_state(&table, down, CLUSTER_DOWN);
    for (size_t i = 0; i < table.count; i++) {
        size_t count = topology_neighbours(&table, table.ring[i], list);
        ck_assert(!has(list, count, down));
    }
    size_t count = topology_neighbours(&table, table.ring[10], list);
    ck_assert(has(list, count, table.ring[14]));
    membership_clear(&table);
}
END_TEST

static size_t links_of_all(uint64_t (*links)[2]) {
    size_t total = 0;
    struct member *list[TOPOLOGY_MAX];
    for (size_t i = 0; i < table.count; i++) {
        size_t count = topology_neighbours(&table, table.ring[i], list);
        for (size_t k = 0; k < count; k++, total++) {
            links[total][0] = table.ring[i]->hash;
            links[total][1] = list[k]->hash;
        }
    }
    return total;
}

static int by_value(const void *a, const void *b) {
    return memcmp(a, b, sizeof(uint64_t[2]));
}

/* Invariant 7: one join changes O(log n) links. */
START_TEST(a_newcomer_changes_few_links) {
    static uint64_t before[1 << 16][2], after[1 << 16][2];
    members(1000);
    size_t count_before = links_of_all(before);
    membership_add(&table, bytes_of_text("new@example.org"), CLUSTER_ALIVE);
    size_t count_after = links_of_all(after);
    qsort(before, count_before, sizeof before[0], by_value);
    qsort(after, count_after, sizeof after[0], by_value);
    size_t i = 0, k = 0, changed = 0;
    while (i < count_before || k < count_after) {
        int order = i == count_before ? 1 : k == count_after ? -1 : by_value(before[i], after[k]);
        changed += order != 0;
        i += order <= 0;
        k += order >= 0;
    }
    ck_assert_uint_le(changed, 80); /* about 2 x its links, in and out */
    membership_clear(&table);
}
END_TEST

START_TEST(a_message_finds_its_way_in_log_n_steps) {
    struct member *list[TOPOLOGY_MAX];
    members(1000);
    for (size_t from = 0; from < table.count; from += 37) {
        for (size_t to = 0; to < table.count; to += 41) {
            struct member *at = table.ring[from];
            int steps = 0;
            while (at != table.ring[to] && steps < 40) {
                size_t count = topology_neighbours(&table, at, list);
                struct member *next = at;
                for (size_t i = 0; i < count; i++) {
                    if (topology_distance(list[i]->hash, table.ring[to]->hash) <
                        topology_distance(next->hash, table.ring[to]->hash))
                        next = list[i];
                }
                ck_assert_ptr_ne(next, at);
                at = next;
                steps++;
            }
            ck_assert_int_le(steps, 12);
        }
    }
    membership_clear(&table);
}
END_TEST

START_TEST(witnesses_stand_next_to_whom_they_are_asked_about) {
    struct member *list[TOPOLOGY_MAX];
    members(100);
    size_t count = topology_probers(&table, table.ring[50], table.ring[49], list);
    ck_assert_uint_eq(count, 6);
    ck_assert(!has(list, count, table.ring[49]) && !has(list, count, table.ring[50]));
    ck_assert(has(list, count, table.ring[48]) && has(list, count, table.ring[51]));
    membership_clear(&table);
    members(5);
    ck_assert_uint_eq(topology_probers(&table, table.ring[0], table.ring[1], list), 3);
    membership_clear(&table);
}
END_TEST

Suite *topology_suite(void) {
    Suite *suite = suite_create("topology");
    TCase *tests = tcase_create("topology");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, up_to_sixteen_link_to_all);
    tcase_add_test(tests, on_the_ring_the_next_three_are_linked_and_log_n_more);
    tcase_add_test(tests, who_does_not_run_is_passed_over);
    tcase_add_test(tests, a_newcomer_changes_few_links);
    tcase_add_test(tests, a_message_finds_its_way_in_log_n_steps);
    tcase_add_test(tests, witnesses_stand_next_to_whom_they_are_asked_about);
    suite_add_tcase(suite, tests);
    return suite;
}
