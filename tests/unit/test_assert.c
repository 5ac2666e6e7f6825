#include "base/assert.h"

#include "suites.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static int calls;

static int counted(int value) {
    calls++;
    return value;
}

START_TEST(what_holds_goes_on) {
    calls = 0;
    PORTOLAN_ASSERT(counted(1) == 1);
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(what_does_not_hold_ends_the_process) {
    PORTOLAN_ASSERT(counted(1) == 2);
}
END_TEST

/* Ends by _exit(3), which the test expects, only when the text is whole. */
static void expect_text(const char *text) {
    const char *file = strstr(text, "test_assert.c:");
    const char *rest = file != NULL ? strchr(file + strlen("test_assert.c:"), ':') : NULL;
    _exit(rest != NULL && strcmp(rest, ": the_report_says_where_and_what_fn: assertion failed: "
                                       "counted(1) == 2") == 0
              ? 3
              : 4);
}

START_TEST(the_report_says_where_and_what) {
    assert_report_to(expect_text);
    PORTOLAN_ASSERT(counted(1) == 2);
}
END_TEST

static void fails_itself(const char *text) {
    (void)text;
    PORTOLAN_ASSERT(calls < 0);
}

START_TEST(a_report_that_fails_itself_ends_the_process_too) {
    assert_report_to(fails_itself);
    PORTOLAN_ASSERT(counted(1) == 2);
}
END_TEST

Suite *assert_suite(void) {
    Suite *suite = suite_create("assert");
    TCase *tests = tcase_create("assert");
    tcase_add_test(tests, what_holds_goes_on);
    tcase_add_test_raise_signal(tests, what_does_not_hold_ends_the_process, SIGABRT);
    tcase_add_exit_test(tests, the_report_says_where_and_what, 3);
    tcase_add_test_raise_signal(tests, a_report_that_fails_itself_ends_the_process_too, SIGABRT);
    suite_add_tcase(suite, tests);
    return suite;
}
