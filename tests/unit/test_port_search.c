#include "net/port_search.h"

#include "assertions.h"
#include "base/clock.h"
#include "failing_allocation.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <event2/event.h>
#include <unistd.h>

static struct event_base *base;
static int told;
static pid_t pid;
static int before, idle;

static void begin(void) {
    before = sockets_count_descriptors();
    base = event_base_new();
    idle = sockets_count_descriptors();
    told = 0;
    pid = -1;
}

static void end(void) {
    event_base_free(base);
    ck_assert_int_eq(sockets_count_descriptors(), before);
}

static void on_done(void *context, const struct port_owner *owner) {
    ck_assert_ptr_eq(context, &told);
    pid = owner == NULL ? 0 : owner->pid;
    told++;
}

/* The thread closes its end of the pipe when it is done. */
static void settle(void) {
    turn_until(base, sockets_count_descriptors() == idle);
}

START_TEST(the_program_that_listens_is_found_beside_the_loop) {
    uint16_t port = 0;
    int fd = sockets_listen("127.0.0.1", &port);
    struct port_search *search = port_search_start(base, port, on_done, &told);
    ck_assert_ptr_nonnull(search);
    turn_until(base, told == 1);
    ck_assert_int_eq(pid, getpid());
    port_search_free(search);
    close(fd);
    settle();
}
END_TEST

START_TEST(where_nobody_listens_nobody_is_found) {
    uint16_t port = 0;
    close(sockets_listen("127.0.0.1", &port));
    struct port_search *search = port_search_start(base, port, on_done, &told);
    turn_until(base, told == 1);
    ck_assert_int_eq(pid, 0);
    port_search_free(search);
    settle();
}
END_TEST

START_TEST(a_search_that_is_given_up_tells_nothing) {
    port_search_free(port_search_start(base, 1, on_done, &told));
    port_search_free(NULL);
    settle();
    ck_assert_int_eq(told, 0);
}
END_TEST

START_TEST(without_memory_there_is_no_search) {
    for (unsigned n = 1;; n++) {
        fail_nth_allocation(n);
        struct port_search *search = port_search_start(base, 1, on_done, &told);
        bool failed = allocation_failed();
        ck_assert_int_eq(search == NULL, failed);
        if (!failed) {
            turn_until(base, told == 1);
            port_search_free(search);
            settle();
            break;
        }
    }
}
END_TEST

Suite *port_search_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("port_search", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, the_program_that_listens_is_found_beside_the_loop);
    tcase_add_test(tests, where_nobody_listens_nobody_is_found);
    tcase_add_test(tests, a_search_that_is_given_up_tells_nothing);
    tcase_add_test(tests, without_memory_there_is_no_search);
    return suite;
}
