/* The table of members: its order, its bounds, and which of two records wins. */
#include "cluster/membership.h"
#include "suites.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct membership table;

static void setup(void) {
    membership_init(&table);
}

static void teardown(void) {
    membership_clear(&table);
}

static struct member *add(const char *name, enum cluster_state state) {
    struct member *member = membership_add(&table, bytes_of_text(name), state);
    ck_assert_ptr_nonnull(member);
    return member;
}

static struct wire_record record(enum cluster_state state, uint64_t joined, uint64_t incarnation) {
    return (struct wire_record){.state = (uint8_t)state,
                                .joined = joined,
                                .generation = joined,
                                .incarnation = incarnation};
}

static int compare(struct wire_record known, struct wire_record heard) {
    struct member member = {
        .state = known.state, .joined = known.joined, .incarnation = known.incarnation};
    return membership_compare(&member, &heard);
}

START_TEST(members_are_found_by_name_and_kept_on_the_ring) {
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "p%d@example.org", i);
        add(name, CLUSTER_ALIVE);
    }
    for (size_t i = 1; i < table.count; i++)
        ck_assert_uint_lt(table.ring[i - 1]->hash, table.ring[i]->hash);
    for (int i = 0; i < 1000; i += 3) {
        snprintf(name, sizeof name, "p%d@example.org", i);
        membership_remove(&table, membership_find(&table, bytes_of_text(name)));
        ck_assert_ptr_null(membership_find(&table, bytes_of_text(name)));
    }
    ck_assert_uint_eq(table.count, 666);
    ck_assert_uint_eq(membership_running(&table), 666);
}
END_TEST

START_TEST(the_higher_incarnation_wins_and_a_state_within_one) {
    ck_assert_int_gt(compare(record(CLUSTER_ALIVE, 1, 5), record(CLUSTER_SUSPECT, 1, 5)), 0);
    ck_assert_int_gt(compare(record(CLUSTER_SUSPECT, 1, 5), record(CLUSTER_DOWN, 1, 5)), 0);
    ck_assert_int_gt(compare(record(CLUSTER_DOWN, 1, 5), record(CLUSTER_ALIVE, 1, 6)), 0);
    ck_assert_int_lt(compare(record(CLUSTER_ALIVE, 1, 6), record(CLUSTER_DOWN, 1, 5)), 0);
    ck_assert_int_eq(compare(record(CLUSTER_CLEANED, 1, 5), record(CLUSTER_DOWN, 1, 5)), 0);
}
END_TEST

START_TEST(a_tombstone_ends_all_incarnations_of_its_membership) {
    ck_assert_int_gt(compare(record(CLUSTER_ALIVE, 1, 5), record(CLUSTER_LEFT, 0, 5)), 0);
    ck_assert_int_lt(compare(record(CLUSTER_LEFT, 0, 5), record(CLUSTER_ALIVE, 1, 99)), 0);
    ck_assert_int_lt(compare(record(CLUSTER_LEFT, 0, 5), record(CLUSTER_ALIVE, 5, 99)), 0);
    ck_assert_int_gt(compare(record(CLUSTER_LEFT, 0, 5), record(CLUSTER_ALIVE, 6, 6)), 0);
    ck_assert_int_gt(compare(record(CLUSTER_LEFT, 0, 5), record(CLUSTER_FORCED_OUT, 0, 5)), 0);
}
END_TEST

/* Merging in any order comes to the same only if the order is one: checked for all triples. */
START_TEST(the_order_of_records_is_an_order) {
    struct wire_record all[96];
    size_t count = 0;
    for (uint64_t joined = 0; joined < 4; joined++) {
        for (uint64_t more = 0; more < 4; more++) {
            for (int state = CLUSTER_ALIVE; state <= CLUSTER_FORCED_OUT; state++)
                all[count++] = record((enum cluster_state)state, joined, joined + more);
        }
    }
    for (size_t a = 0; a < count; a++) {
        for (size_t b = 0; b < count; b++) {
            int order = compare(all[a], all[b]);
            ck_assert_int_eq(order, -compare(all[b], all[a]));
            for (size_t c = 0; order > 0 && c < count; c++) {
                if (compare(all[b], all[c]) > 0)
                    ck_assert_int_gt(compare(all[a], all[c]), 0);
            }
        }
    }
}
END_TEST

START_TEST(summaries_depend_on_what_is_known_and_not_on_the_way_there) {
    struct member *a = add("a@x.org", CLUSTER_ALIVE);
    uint64_t before = table.root;
    struct member *b = add("b@x.org", CLUSTER_ALIVE);
    b->incarnation = 7;
    membership_refresh(&table, b);
    uint64_t with_b = table.root;
    ck_assert_uint_ne(before, with_b);
    membership_set_state(&table, b, CLUSTER_DOWN);
    ck_assert_uint_ne(table.root, with_b);
    membership_set_state(&table, b, CLUSTER_SUSPECT);
    ck_assert_uint_eq(table.root, with_b); /* suspicions come and go */
    membership_set_state(&table, b, CLUSTER_CLEANED);
    ck_assert_uint_eq(table.root, before); /* of no concern to others */
    membership_remove(&table, b);
    ck_assert_uint_eq(table.root, before);
    membership_remove(&table, a);
    ck_assert_uint_eq(table.root, 0);
}
END_TEST

START_TEST(tombstones_are_bounded_and_the_oldest_goes) {
    char name[32];
    for (int i = 0; i <= CLUSTER_TOMBSTONES_MAX; i++) {
        ck_assert_ptr_null(membership_crowded_out(&table, CLUSTER_LEFT));
        snprintf(name, sizeof name, "p%d@example.org", i);
        add(name, CLUSTER_LEFT)->stamp_ms = (uint64_t)(i == 77 ? 1 : 1000 + i);
    }
    struct member *oldest = membership_crowded_out(&table, CLUSTER_LEFT);
    ck_assert_ptr_nonnull(oldest);
    ck_assert_str_eq(oldest->name, "p77@example.org");
    ck_assert_ptr_null(membership_crowded_out(&table, CLUSTER_FORCED_OUT));
    ck_assert_ptr_null(membership_add(&table, bytes_of_text("new@x.org"), CLUSTER_LEFT));
}
END_TEST

START_TEST(members_are_bounded_and_the_longest_cleaned_make_room) {
    char name[32];
    for (int i = 0; i < CLUSTER_MEMBERS_MAX; i++) {
        snprintf(name, sizeof name, "p%d@example.org", i);
        add(name, i == 5 ? CLUSTER_CLEANED : CLUSTER_ALIVE);
    }
    ck_assert_ptr_null(membership_add(&table, bytes_of_text("new@x.org"), CLUSTER_ALIVE));
    struct member *cleaned = membership_crowded_out(&table, CLUSTER_ALIVE);
    ck_assert_str_eq(cleaned->name, "p5@example.org");
    membership_remove(&table, cleaned);
    add("new@x.org", CLUSTER_ALIVE);
    ck_assert_ptr_null(membership_crowded_out(&table, CLUSTER_ALIVE));
}
END_TEST

Suite *membership_suite(void) {
    Suite *suite = suite_create("membership");
    TCase *tests = tcase_create("membership");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, members_are_found_by_name_and_kept_on_the_ring);
    tcase_add_test(tests, the_higher_incarnation_wins_and_a_state_within_one);
    tcase_add_test(tests, a_tombstone_ends_all_incarnations_of_its_membership);
    tcase_add_test(tests, the_order_of_records_is_an_order);
    tcase_add_test(tests, summaries_depend_on_what_is_known_and_not_on_the_way_there);
    tcase_add_test(tests, tombstones_are_bounded_and_the_oldest_goes);
    tcase_add_test(tests, members_are_bounded_and_the_longest_cleaned_make_room);
    suite_add_tcase(suite, tests);
    return suite;
}
