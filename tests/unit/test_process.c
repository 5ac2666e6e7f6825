#include "process/process.h"

#include "suites.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char told[512]; /* on standard error, by the last call of `started` */

/* Starts a process that goes to the background and does `then` there; its exit code. */
static int started(void (*then)(void)) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (process_detach("tested") < 0)
            _exit(99);
        then();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while ((got = read(ends[0], told + len, sizeof told - 1 - len)) > 0)
        len += (size_t)got;
    told[len] = '\0';
    close(ends[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void become_ready(void) {
    process_detached(0);
    fprintf(stderr, "too late");
}

static void fail_to_start(void) {
    fprintf(stderr, "what went wrong");
    process_detached(7);
}

static void end_without_a_word(void) {
}

static void crash(void) {
    abort();
}

START_TEST(who_started_a_daemon_is_told_when_it_is_ready) {
    ck_assert_int_eq(started(become_ready), 0);
    ck_assert_str_eq(told, "");
}
END_TEST

START_TEST(who_started_a_daemon_that_fails_hears_why) {
    ck_assert_int_eq(started(fail_to_start), 7);
    ck_assert_str_eq(told, "what went wrong");
}
END_TEST

START_TEST(a_daemon_that_ends_before_it_is_ready_is_a_failure) {
    void (*ends[])(void) = {end_without_a_word, crash};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(started(ends[i]), 1);
        ck_assert_ptr_nonnull(strstr(told, "tested: the daemon exited before it was ready"));
    }
}
END_TEST

START_TEST(in_the_foreground_there_is_nobody_to_tell) {
    process_detached(1);
    ck_assert_int_ge(fcntl(STDERR_FILENO, F_GETFD), 0);
}
END_TEST

/* In a process of its own, which has nothing open that it needs. */
static int what_is_left(int fd) {
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        process_close_inherited();
        bool streams = fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0;
        _exit(!streams ? 2 : fcntl(fd, F_GETFD) >= 0 ? 1 : 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(what_was_inherited_is_closed_and_the_streams_stay) {
    int fd = open("/dev/null", O_RDONLY);
    int high = fcntl(fd, F_DUPFD, 200);
    ck_assert_int_ge(high, 200);
    unsetenv("LISTEN_PID");
    ck_assert_int_eq(what_is_left(fd), 0);
    ck_assert_int_eq(what_is_left(high), 0);
    close(fd);
    close(high);
}
END_TEST

Suite *process_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("process", &tests);
    tcase_add_test(tests, who_started_a_daemon_is_told_when_it_is_ready);
    tcase_add_test(tests, who_started_a_daemon_that_fails_hears_why);
    tcase_add_test(tests, a_daemon_that_ends_before_it_is_ready_is_a_failure);
    tcase_add_test(tests, in_the_foreground_there_is_nobody_to_tell);
    tcase_add_test(tests, what_was_inherited_is_closed_and_the_streams_stay);
    return suite;
}
