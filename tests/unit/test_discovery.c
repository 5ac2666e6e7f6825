#include "discovery/discovery.h"

#include "failing_allocation.h"
#include "suites.h"

#include <stdio.h>
#include <string.h>

static struct {
    int calls;
    size_t count;
    char names[DISCOVERY_NAMES_MAX][DISCOVERY_NAME_SIZE];
} found;

static void done(void *context, const struct discovery_result *result) {
    ck_assert_ptr_eq(context, &found);
    ck_assert_ptr_null(result->error);
    found.calls++;
    found.count = result->count;
    for (size_t i = 0; i < result->count; i++)
        strcpy(found.names[i], result->names[i]);
}

static void discover(enum discovery_kind kind, const char *seeds) {
    const struct discovery_strategy *strategy = discovery_strategy(kind);
    const struct discovery_options options = {.seeds = seeds, .done = done, .done_context = &found};
    found.calls = 0;
    void *state = strategy->open(&options);
    ck_assert_ptr_nonnull(state);
    strategy->discover(state);
    ck_assert_int_eq(found.calls, 1);
    strategy->discover(state);
    ck_assert_int_eq(found.calls, 2);
    strategy->close(state);
}

START_TEST(each_strategy_is_found_by_its_kind) {
    ck_assert_str_eq(discovery_strategy(DISCOVERY_STATIC)->name, "static");
    ck_assert_ptr_null(discovery_strategy(DISCOVERY_MANUAL));
    ck_assert_str_eq(discovery_names[DISCOVERY_MANUAL], "manual");
    ck_assert_str_eq(discovery_names[DISCOVERY_STATIC], "static");
    ck_assert_ptr_null(discovery_names[2]);
}
END_TEST

START_TEST(static_discovery_finds_the_list) {
    discover(DISCOVERY_STATIC, " a@h,b@h\t ,, c@h ");
    ck_assert_uint_eq(found.count, 3);
    ck_assert_str_eq(found.names[0], "a@h");
    ck_assert_str_eq(found.names[1], "b@h");
    ck_assert_str_eq(found.names[2], "c@h");
    discover(DISCOVERY_STATIC, "");
    ck_assert_uint_eq(found.count, 0);
    discover(DISCOVERY_STATIC, " ,\t");
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

START_TEST(a_list_may_be_full) {
    static char list[(DISCOVERY_NAMES_MAX + 1) * 16];
    for (int i = 0; i <= DISCOVERY_NAMES_MAX; i++)
        sprintf(list + strlen(list), "n%d@h,", i);
    discover(DISCOVERY_STATIC, list);
    ck_assert_uint_eq(found.count, DISCOVERY_NAMES_MAX);
    ck_assert_str_eq(found.names[0], "n0@h");
    sprintf(list, "n%d@h", DISCOVERY_NAMES_MAX - 1);
    ck_assert_str_eq(found.names[DISCOVERY_NAMES_MAX - 1], list);
}
END_TEST

START_TEST(static_discovery_does_not_open_without_memory) {
    const struct discovery_options options = {.seeds = "a@h", .done = done};
    fail_nth_allocation(1);
    void *state = discovery_strategy(DISCOVERY_STATIC)->open(&options);
    ck_assert(allocation_failed());
    ck_assert_ptr_null(state);
}
END_TEST

Suite *discovery_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("discovery", &tests);
    tcase_add_test(tests, each_strategy_is_found_by_its_kind);
    tcase_add_test(tests, static_discovery_finds_the_list);
    tcase_add_test(tests, a_list_may_be_full);
    tcase_add_test(tests, static_discovery_does_not_open_without_memory);
    return suite;
}
