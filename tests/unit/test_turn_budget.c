#include "base/turn_budget.h"

#include "assertions.h"
#include "base/clock.h"
#include "suites.h"

/* With no time at all only the first of a turn is served. */
static struct turn_budget budget;
static uint32_t served[3];

static void begin(void) {
    budget = (struct turn_budget){.limit_us = 0};
    for (int i = 0; i < 3; i++)
        served[i] = 0;
}

static void assert_served(bool first, bool second, bool third) {
    ck_assert_int_eq(turn_budget_allows(&budget, &served[0]), first);
    ck_assert_int_eq(turn_budget_allows(&budget, &served[1]), second);
    ck_assert_int_eq(turn_budget_allows(&budget, &served[2]), third);
}

START_TEST(the_first_of_a_turn_has_its_time_always) {
    ck_assert(turn_budget_is_left(&budget));
    ck_assert(!turn_budget_is_left(&budget));
    turn_budget_renew(&budget);
    ck_assert(turn_budget_is_left(&budget));
}
END_TEST

START_TEST(whoever_was_put_off_goes_before_those_who_were_served) {
    assert_served(true, false, false);
    turn_budget_renew(&budget);
    assert_served(false, true, false);
    turn_budget_renew(&budget);
    assert_served(false, false, true);
    turn_budget_renew(&budget);
    assert_served(true, false, false);
}
END_TEST

START_TEST(one_that_was_put_off_and_asks_no_more_holds_nobody_up) {
    assert_served(true, false, false);
    turn_budget_renew(&budget);
    ck_assert(!turn_budget_allows(&budget, &served[0]));
    turn_budget_renew(&budget);
    ck_assert(turn_budget_allows(&budget, &served[0]));
}
END_TEST

START_TEST(with_time_all_are_served_in_each_turn) {
    budget.limit_us = INT64_C(3600) * 1000000;
    for (int turn = 0; turn < 3; turn++) {
        assert_served(true, true, true);
        turn_budget_renew(&budget);
    }
}
END_TEST

START_TEST(time_passes) {
    budget.limit_us = 1000;
    int64_t begun_us = clock_monotonic_us();
    while (turn_budget_is_left(&budget))
        ck_assert_int_lt(clock_monotonic_us(), begun_us + 10000000);
    ck_assert_int_ge(clock_monotonic_us(), begun_us + 1000);
}
END_TEST

START_TEST(without_a_budget_there_is_always_time) {
    for (int i = 0; i < 3; i++) {
        ck_assert(turn_budget_is_left(NULL));
        ck_assert(turn_budget_allows(NULL, &served[0]));
    }
}
END_TEST

Suite *turn_budget_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("turn_budget", &tests);
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, the_first_of_a_turn_has_its_time_always);
    tcase_add_test(tests, whoever_was_put_off_goes_before_those_who_were_served);
    tcase_add_test(tests, one_that_was_put_off_and_asks_no_more_holds_nobody_up);
    tcase_add_test(tests, with_time_all_are_served_in_each_turn);
    tcase_add_test(tests, time_passes);
    tcase_add_test(tests, without_a_budget_there_is_always_time);
    return suite;
}
