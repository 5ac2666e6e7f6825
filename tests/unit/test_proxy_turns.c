/* What streams do when a turn of the loop has no time for all of them: with a budget of no time
 * each turn serves one or two. */
#include "proxy_fixture.h"
#include "suites.h"
#include "turns_fixture.h"

#define CALLS 8
#define ANSWER_MS 50
#define COARSE_MS 10 /* how far the loop's clock may be behind */

static struct call calls[CALLS];

static void begin_turns(void) {
    begin();
    budget = (struct turn_budget){.limit_us = 0};
    options.budget = &budget;
    options.answer_ms = ANSWER_MS;
    proxy_configure(proxy, &options);
}

static void open_calls(void) {
    for (int i = 0; i < CALLS; i++) {
        calls[i] = make_call();
        ck_assert_ptr_null(open_call(&calls[i]));
    }
}

static void answer_calls(void) {
    for (int i = 0; i < CALLS; i++) {
        char heard[8];
        turns_until((calls[i].node = sockets_accept(node_fd)) >= 0);
        turns_until(sockets_read(calls[i].node, heard, sizeof heard) > 0);
    }
}

static void hang_up_all(void) {
    for (int i = 0; i < CALLS; i++)
        hang_up(&calls[i]);
}

/* Turns until all have ended, and sees that none of them ends many. */
static void assert_end_one_by_one(void) {
    int64_t until_ms = clock_monotonic_ms() + SOCKETS_DEADLINE_MS;
    while (proxy_count(proxy) > 0) {
        size_t before = proxy_count(proxy);
        turn();
        ck_assert_uint_ge(proxy_count(proxy) + 2, before);
        ck_assert_int_lt(clock_monotonic_ms(), until_ms);
    }
}

START_TEST(streams_of_a_node_that_left_end_over_several_turns) {
    open_calls();
    proxy_node_left(proxy, &node);
    ck_assert_uint_eq(proxy_count(proxy), CALLS - 1);
    ck_assert(!proxy_connects(proxy, LITERAL("emqx1@far"), &local_peer, &node));
    assert_end_one_by_one();
    hang_up_all();
}
END_TEST

START_TEST(callers_that_hang_up_together_are_seen_to_over_several_turns) {
    options.answer_ms = 0;
    proxy_configure(proxy, &options);
    open_calls();
    answer_calls();
    for (int i = 0; i < CALLS; i++)
        close(calls[i].caller);
    assert_end_one_by_one();
    for (int i = 0; i < CALLS; i++)
        close(calls[i].node);
}
END_TEST

START_TEST(nodes_that_do_not_answer_are_given_up_over_several_turns) {
    open_calls();
    answer_calls();
    assert_end_one_by_one();
    ck_assert_uint_eq(proxy_counters(proxy).unanswered, CALLS);
    hang_up_all();
}
END_TEST

/* Put off when its time for an answer had come, it is half open when there is time for it. */
START_TEST(a_stream_that_was_put_off_has_its_new_time) {
    open_calls();
    answer_calls();
    int64_t until_ms = clock_monotonic_ms() + ANSWER_MS + COARSE_MS;
    while (clock_monotonic_ms() <= until_ms)
        ;
    turn();
    ck_assert_uint_eq(proxy_count(proxy), CALLS - 1);
    int last = is_over(calls[CALLS - 1].caller) ? 0 : CALLS - 1;
    say(calls[last].node, "hello");
    shutdown(calls[last].node, SHUT_WR);
    turns_until(is_over(calls[last].caller));
    turns_until(proxy_count(proxy) == 1);
    for (int i = 0; i < 2 * CALLS; i++)
        turn();
    ck_assert_uint_eq(proxy_count(proxy), 1);
    hang_up_all();
    assert_end_one_by_one();
}
END_TEST

/* Each is ready all the time, and each has its turns. */
START_TEST(streams_that_never_rest_leave_time_to_each_other) {
    static uint8_t much[65536];
    size_t got[CALLS] = {0};
    options.answer_ms = 0;
    proxy_configure(proxy, &options);
    open_calls();
    answer_calls();
    for (int round = 0; round < 40 * CALLS; round++) {
        for (int i = 0; i < CALLS; i++)
            (void)sockets_send(calls[i].caller, much, sizeof much);
        turn();
        for (int i = 0; i < CALLS; i++) {
            static uint8_t heard[sizeof much];
            ssize_t len = sockets_read(calls[i].node, heard, sizeof heard);
            got[i] += len > 0 ? (size_t)len : 0;
        }
    }
    for (int i = 0; i < CALLS; i++)
        ck_assert_uint_gt(got[i], sizeof much);
    hang_up_all();
    assert_end_one_by_one();
}
END_TEST

Suite *proxy_turns_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("proxy_turns", &tests);
    tcase_add_checked_fixture(tests, begin_turns, end);
    tcase_add_test(tests, streams_of_a_node_that_left_end_over_several_turns);
    tcase_add_test(tests, callers_that_hang_up_together_are_seen_to_over_several_turns);
    tcase_add_test(tests, nodes_that_do_not_answer_are_given_up_over_several_turns);
    tcase_add_test(tests, a_stream_that_was_put_off_has_its_new_time);
    tcase_add_test(tests, streams_that_never_rest_leave_time_to_each_other);
    return suite;
}
