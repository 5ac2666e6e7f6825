#include "relay/vigil.h"

#include "assertions.h"
#include "suites.h"

#include <event2/event.h>
#include <unistd.h>

static struct event_base *base;
static struct proxy_vigil vigil;

static void begin(void) {
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    proxy_vigil_init(&vigil, base);
    vigil.possible = true; /* whatever this machine has */
}

static void end(void) {
    proxy_vigil_end(&vigil);
    event_base_free(base);
}

static void pass(unsigned count) {
    while (count-- > 0)
        proxy_vigil_passed(&vigil);
}

/* A run, however often this process loses the CPU in the middle of one. */
static void pass_a_run(void) {
    while (!vigil.awake)
        proxy_vigil_passed(&vigil);
}

START_TEST(a_run_of_messages_keeps_the_loop_awake_for_a_while) {
    pass_a_run();
    ck_assert_int_eq(vigil.run, VIGIL_RUN);
    ck_assert(event_pending(&vigil.event, EV_TIMEOUT, NULL));
    /* returns, for in the end nothing is left to wait for */
    ck_assert_int_eq(event_base_dispatch(base), 1);
    ck_assert(!vigil.awake);
}
END_TEST

START_TEST(a_few_messages_do_not) {
    pass(VIGIL_RUN);
    ck_assert(!vigil.awake);
}
END_TEST

START_TEST(slow_messages_never_do) {
    for (int i = 0; i < 2 * VIGIL_RUN; i++) {
        pass(1);
        usleep(2 * VIGIL_US);
    }
    ck_assert(!vigil.awake);
}
END_TEST

START_TEST(a_pause_begins_a_new_run) {
    pass_a_run();
    ck_assert_int_eq(event_base_dispatch(base), 1);
    usleep(2 * VIGIL_US);
    pass(VIGIL_RUN);
    ck_assert(!vigil.awake);
}
END_TEST

START_TEST(one_cpu_is_left_to_others) {
    vigil.possible = false;
    pass(2 * VIGIL_RUN);
    ck_assert(!vigil.awake);
}
END_TEST

START_TEST(it_can_be_ended_while_it_lasts) {
    pass_a_run();
    proxy_vigil_end(&vigil);
    ck_assert(!event_pending(&vigil.event, EV_TIMEOUT, NULL));
}
END_TEST

Suite *proxy_vigil_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("proxy_vigil", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_run_of_messages_keeps_the_loop_awake_for_a_while);
    tcase_add_test(tests, a_few_messages_do_not);
    tcase_add_test(tests, slow_messages_never_do);
    tcase_add_test(tests, a_pause_begins_a_new_run);
    tcase_add_test(tests, one_cpu_is_left_to_others);
    tcase_add_test(tests, it_can_be_ended_while_it_lasts);
    return suite;
}
