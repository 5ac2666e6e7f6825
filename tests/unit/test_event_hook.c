/* The program of cluster.on_event: what it is started with, and what the log has of its runs. */
#include "base/log.h"
#include "scratch.h"
#include "service/event_hook.h"
#include "suites.h"

#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LIMIT_MS 200
#define LONG_MS 20000

static struct scratch scratch;
static struct event_base *base;
static struct event_hook *hook;
static char program[256], log_path[256];

static void setup(void) {
    scratch_make(&scratch);
    strcpy(program, scratch_path(&scratch, "program"));
    strcpy(log_path, scratch_path(&scratch, "log"));
    setenv("HERE", scratch.directory, 1);
    ck_assert_int_eq(log_open("unit", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, LOG_TO_FILE, log_path), 0);
    base = event_base_new();
    hook = event_hook_new(base, program, LONG_MS);
}

static void teardown(void) {
    event_hook_free(hook);
    event_base_free(base);
    log_open("unit", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TO_CONSOLE, NULL);
    scratch_remove(&scratch);
}

/* What the program does; HERE is the directory of the test. */
static void write_program(const char *script) {
    char text[1024];
    int len = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    scratch_write(&scratch, "program", bytes_of(text, (size_t)len));
    ck_assert_int_eq(chmod(program, 0700), 0);
}

static void report(const char *event, const char *name) {
    const struct event_hook_run run = {
        .event = event,
        .name = name,
        .variables = {"PORTOLAN_EVENT=word", "PORTOLAN_NAME=what"},
        .count = 2,
    };
    event_hook_start(hook, &run);
}

static const char *content_of(const char *file) {
    static char text[65536];
    struct bytes read = scratch_read(&scratch, file, text, sizeof text - 1);
    text[read.len] = '\0';
    return text;
}

/* How many lines of the log have all of this behind their time. */
static size_t logged(const char *format, const char *value) {
    char line[512];
    size_t count = 0;
    snprintf(line, sizeof line, format, value);
    const char *text = content_of("log");
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        count += at - text > 1 && at[-1] == ' ' && at[-2] == 'Z' && at[strlen(line)] == '\n';
    return count;
}

static void wait_for_lines(size_t count, const char *format, const char *value) {
    while (logged(format, value) < count)
        ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
    ck_assert_uint_eq(logged(format, value), count);
}

#define RAN "debug event_program_ran event=%s"

START_TEST(it_gets_the_event_and_nothing_of_the_daemons_settings) {
    setenv("PORTOLAN_NODE__COOKIE", "secret", 1);
    setenv("EMQX_NODE__COOKIE", "secret", 1);
    setenv("PORTOLANISH", "stays", 1);
    write_program("one=$(readlink /proc/$$/fd/1); two=$(readlink /proc/$$/fd/2); cat >$HERE/read; "
                  "ps -o pgid= $$ | tr -d ' ' >$HERE/group; echo $$ >$HERE/process; "
                  "echo \"$#|$1|$2|$PORTOLAN_EVENT|$PORTOLAN_NAME|$PORTOLAN_NODE__COOKIE|"
                  "$EMQX_NODE__COOKIE|$PORTOLANISH|$one|$two\" >$HERE/told");

    report("member_joined", "emqx@s1");
    wait_for_lines(1, RAN, "member_joined");

    ck_assert_str_eq(content_of("told"),
                     "2|member_joined|emqx@s1|word|what|||stays|/dev/null|/dev/null\n");
    ck_assert_str_eq(content_of("read"), "");
    int group = atoi(content_of("group"));
    ck_assert_int_eq(atoi(content_of("process")), group); /* it leads a group of its own */
    unsetenv("PORTOLAN_NODE__COOKIE");
    unsetenv("EMQX_NODE__COOKIE");
    unsetenv("PORTOLANISH");
}
END_TEST

START_TEST(runs_follow_one_another_in_order) {
    write_program("test ! -e $HERE/running || exit 9; touch $HERE/running; echo $2 >>$HERE/told; "
                  "rm $HERE/running");
    report("member_up", "a");
    report("member_down", "b");
    report("member_up", "c");
    wait_for_lines(2, RAN, "member_up");
    ck_assert_uint_eq(logged(RAN, "member_down"), 1);
    ck_assert_str_eq(content_of("told"), "a\nb\nc\n");
}
END_TEST

START_TEST(a_failure_is_logged_with_its_exit_code_or_signal) {
    write_program("test $2 = a && exit 3; kill -TERM $$");
    report("member_up", "a");
    report("member_down", "b");
    wait_for_lines(1, "warn event_program_failed program=%s event=member_up exit_code=3", program);
    wait_for_lines(1, "warn event_program_failed program=%s event=member_down signal=15", program);
}
END_TEST

START_TEST(one_that_takes_too_long_is_killed_with_all_that_it_started) {
    event_hook_free(hook);
    hook = event_hook_new(base, program, LIMIT_MS);
    write_program("test $2 = b && exit 0; sleep 1000 & echo $! >$HERE/child; wait");
    report("member_up", "a");
    report("member_down", "b");
    wait_for_lines(1, "warn event_program_killed program=%s event=member_up after_ms=200", program);
    wait_for_lines(1, "warn event_program_failed program=%s event=member_up signal=9", program);
    wait_for_lines(1, RAN, "member_down");
    pid_t child = (pid_t)atoi(content_of("child"));
    ck_assert_int_gt(child, 1);
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
    do { /* it is dead, though perhaps nobody has reaped it */
        FILE *stat = fopen(path, "r");
        if (stat == NULL)
            break;
        ck_assert_int_eq(fscanf(stat, "%*d (%*[^)]) %c", &state), 1);
        fclose(stat);
    } while (state != 'Z' && state != 'X');
}
END_TEST

START_TEST(one_that_cannot_be_run_is_logged_with_the_cure) {
    report("member_up", "a"); /* there is no such file */
    wait_for_lines(1,
                   "error event_program_not_run program=%s event=member_up reason=\"No such file "
                   "or directory\" cure=\"make the file of cluster.on_event executable for the "
                   "daemon's user\"",
                   program);
    write_program("exit 0");
    report("member_down", "b");
    wait_for_lines(1, RAN, "member_down");
}
END_TEST

START_TEST(what_the_queue_cannot_take_is_counted) {
    write_program("exit 0");
    for (size_t i = 0; i < EVENT_HOOK_QUEUE; i++)
        report("member_up", "a");
    ck_assert_uint_eq(logged("warn event_program_behind program=%s outcome=\"events are dropped "
                             "until it catches up\"",
                             program),
                      0);
    for (size_t i = 0; i < 3; i++)
        report("member_down", "lost");
    wait_for_lines(EVENT_HOOK_QUEUE, RAN, "member_up");
    ck_assert_uint_eq(logged("warn event_program_behind program=%s outcome=\"events are dropped "
                             "until it catches up\"",
                             program),
                      1);
    ck_assert_uint_eq(logged("warn event_program_missed program=%s events=3", program), 1);
    ck_assert_uint_eq(logged(RAN, "member_down"), 0);
    report("member_down", "heard"); /* and the count begins anew */
    wait_for_lines(1, RAN, "member_down");
    ck_assert_uint_eq(logged("warn event_program_missed program=%s events=0", program), 0);
}
END_TEST

START_TEST(somebody_else_may_have_waited_for_it) {
    write_program("exit 0");
    event_hook_ended(NULL, 1, 0);
    event_hook_ended(hook, 0, 0);
    event_hook_ended(hook, 1, 0);
    ck_assert_str_eq(content_of("log"), "");
}
END_TEST

START_TEST(the_end_kills_the_run_that_is_under_way) {
    write_program("echo $$ >$HERE/process; exec sleep 1000");
    report("member_up", "a");
    report("member_up", "b"); /* which never runs */
    while (content_of("process")[0] == '\0')
        ck_assert_int_ge(event_base_loop(base, EVLOOP_NONBLOCK), 0);
    pid_t process = (pid_t)atoi(content_of("process"));
    event_hook_free(hook);
    hook = NULL;
    siginfo_t ended;
    ck_assert_int_eq(waitid(P_PID, (id_t)process, &ended, WEXITED), 0);
    ck_assert_int_eq(ended.si_code, CLD_KILLED);
    ck_assert_int_eq(ended.si_status, SIGKILL);
}
END_TEST

Suite *event_hook_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("event_hook", &tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_gets_the_event_and_nothing_of_the_daemons_settings);
    tcase_add_test(tests, runs_follow_one_another_in_order);
    tcase_add_test(tests, a_failure_is_logged_with_its_exit_code_or_signal);
    tcase_add_test(tests, one_that_takes_too_long_is_killed_with_all_that_it_started);
    tcase_add_test(tests, one_that_cannot_be_run_is_logged_with_the_cure);
    tcase_add_test(tests, what_the_queue_cannot_take_is_counted);
    tcase_add_test(tests, somebody_else_may_have_waited_for_it);
    tcase_add_test(tests, the_end_kills_the_run_that_is_under_way);
    return suite;
}
