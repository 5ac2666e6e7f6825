#include "relay/busy_poll.h"

#include "assertions.h"
#include "suites.h"

#include <event2/event.h>
#include <unistd.h>

static struct event_base *base;
static struct busy_poll busy_poll;

static void begin(void) {
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    busy_poll_init(&busy_poll, base);
    busy_poll.possible = true; /* whatever this machine has */
}

static void end(void) {
    busy_poll_end(&busy_poll);
    event_base_free(base);
}

static void pass(unsigned count) {
    while (count-- > 0)
        busy_poll_passed(&busy_poll);
}

/* A run, however often this process loses the CPU in the middle of one. */
static void pass_a_run(void) {
    while (!busy_poll.polling)
        busy_poll_passed(&busy_poll);
}

START_TEST(a_run_of_messages_begins_busy_polling_for_a_while) {
    pass_a_run();
    ck_assert_int_eq(busy_poll.run, BUSY_POLL_RUN);
    ck_assert(event_pending(&busy_poll.event, EV_TIMEOUT, NULL));
    /* returns, for in the end nothing is left to wait for */
    ck_assert_int_eq(event_base_dispatch(base), 1);
    ck_assert(!busy_poll.polling);
}
END_TEST

START_TEST(a_few_messages_do_not) {
    pass(BUSY_POLL_RUN);
    ck_assert(!busy_poll.polling);
}
END_TEST

START_TEST(slow_messages_never_do) {
    for (int i = 0; i < 2 * BUSY_POLL_RUN; i++) {
        pass(1);
        usleep(2 * BUSY_POLL_US);
    }
    ck_assert(!busy_poll.polling);
}
END_TEST

START_TEST(a_pause_begins_a_new_run) {
    pass_a_run();
    ck_assert_int_eq(event_base_dispatch(base), 1);
    usleep(2 * BUSY_POLL_US);
    pass(BUSY_POLL_RUN);
    ck_assert(!busy_poll.polling);
}
END_TEST

START_TEST(one_cpu_is_left_to_others) {
    busy_poll.possible = false;
    pass(2 * BUSY_POLL_RUN);
    ck_assert(!busy_poll.polling);
}
END_TEST

START_TEST(it_can_be_ended_while_it_lasts) {
    pass_a_run();
    busy_poll_end(&busy_poll);
    ck_assert(!event_pending(&busy_poll.event, EV_TIMEOUT, NULL));
}
END_TEST

Suite *busy_poll_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("busy_poll", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_run_of_messages_begins_busy_polling_for_a_while);
    tcase_add_test(tests, a_few_messages_do_not);
    tcase_add_test(tests, slow_messages_never_do);
    tcase_add_test(tests, a_pause_begins_a_new_run);
    tcase_add_test(tests, one_cpu_is_left_to_others);
    tcase_add_test(tests, it_can_be_ended_while_it_lasts);
    return suite;
}
