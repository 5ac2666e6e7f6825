#include "base/thread.h"

#include "failing_call.h"
#include "suites.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>

#define STACK_BYTES (256 * 1024)

static struct {
    sem_t done;
    sigset_t mask;
    int detached;
    size_t stack_bytes;
} seen;

/* What a thread finds of itself. */
static void *look(void *argument) {
    pthread_attr_t own;
    *(int *)argument = 1;
    pthread_sigmask(SIG_BLOCK, NULL, &seen.mask);
    pthread_getattr_np(pthread_self(), &own);
    pthread_attr_getdetachstate(&own, &seen.detached);
    pthread_attr_getstacksize(&own, &seen.stack_bytes);
    pthread_attr_destroy(&own);
    sem_post(&seen.done);
    return argument;
}

static void begin(void) {
    sem_init(&seen.done, 0, 0);
}

START_TEST(a_thread_takes_no_signals_and_its_starter_goes_on_taking_them) {
    pthread_t thread;
    sigset_t own;
    int ran = 0;
    void *result = NULL;
    ck_assert_int_eq(thread_start(&thread, STACK_BYTES, look, &ran), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, &ran);
    ck_assert_int_eq(ran, 1);
    ck_assert_int_eq(sigismember(&seen.mask, SIGTERM), 1);
    ck_assert_int_eq(sigismember(&seen.mask, SIGUSR1), 1);
    ck_assert_int_eq(seen.detached, PTHREAD_CREATE_JOINABLE);
    ck_assert_uint_le(seen.stack_bytes, (size_t)2 * STACK_BYTES);
    pthread_sigmask(SIG_BLOCK, NULL, &own);
    ck_assert_int_eq(sigismember(&own, SIGTERM), 0);
}
END_TEST

START_TEST(a_thread_that_nobody_joins_is_detached) {
    int ran = 0;
    ck_assert_int_eq(thread_start(NULL, STACK_BYTES, look, &ran), 0);
    while (sem_wait(&seen.done) < 0)
        ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(seen.detached, PTHREAD_CREATE_DETACHED);
}
END_TEST

START_TEST(a_thread_that_cannot_start_is_an_error) {
    pthread_t thread;
    sigset_t own;
    int ran = 0;
    fail_nth_call(CALL_PTHREAD_CREATE, 1, EAGAIN);
    ck_assert_int_eq(thread_start(&thread, STACK_BYTES, look, &ran), EAGAIN);
    ck_assert(call_failed());
    ck_assert_int_eq(ran, 0);
    pthread_sigmask(SIG_BLOCK, NULL, &own);
    ck_assert_int_eq(sigismember(&own, SIGTERM), 0);
    ck_assert_int_eq(thread_start(&thread, 1, look, &ran), EINVAL); /* no such stack */
    ck_assert_int_eq(ran, 0);
}
END_TEST

Suite *thread_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("thread", &tests);
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, a_thread_takes_no_signals_and_its_starter_goes_on_taking_them);
    tcase_add_test(tests, a_thread_that_nobody_joins_is_detached);
    tcase_add_test(tests, a_thread_that_cannot_start_is_an_error);
    return suite;
}
