#include "host/port_search.h"

#include "assertions.h"
#include "base/clock.h"
#include "failing_allocation.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct event_base *base;
static int told;
static pid_t pid;
static char program[64];
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
    snprintf(program, sizeof program, "%s", owner == NULL ? "" : owner->program);
    told++;
}

/* The thread closes its end of the pipe when it is done. */
static void settle(void) {
    turn_until(base, sockets_count_descriptors() == idle);
}

static void assert_found_at(const char *host) {
    uint16_t port = 0;
    char own[64] = "";
    int fd = sockets_listen(host, &port);
    if (fd < 0)
        return; /* a host without IPv6 */
    FILE *comm = fopen("/proc/self/comm", "re");
    ck_assert_ptr_nonnull(fgets(own, sizeof own, comm));
    fclose(comm);
    own[strcspn(own, "\n")] = '\0';
    told = 0;
    struct port_search *search = port_search_start(base, port, on_done, &told);
    ck_assert_ptr_nonnull(search);
    turn_until(base, told == 1);
    ck_assert_int_eq(pid, getpid());
    ck_assert_str_eq(program, own);
    port_search_free(search);
    close(fd);
    settle();
}

START_TEST(the_program_that_listens_is_found_beside_the_loop) {
    assert_found_at("127.0.0.1");
    assert_found_at("::1");
}
END_TEST

/* Only listening counts: this port is a caller's. */
START_TEST(a_port_that_is_merely_used_is_free) {
    int ends[2];
    sockets_tcp_pair(ends);
    struct address one = sockets_own_address(ends[0]), other = sockets_own_address(ends[1]);
    const uint16_t ports[] = {address_port(&one), address_port(&other)};
    for (size_t i = 0; i < 2; i++) {
        told = 0;
        struct port_search *search = port_search_start(base, ports[i], on_done, &told);
        turn_until(base, told == 1);
        ck_assert_int_eq(pid, 0);
        port_search_free(search);
    }
    close(ends[0]);
    close(ends[1]);
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
    tcase_add_test(tests, a_port_that_is_merely_used_is_free);
    tcase_add_test(tests, where_nobody_listens_nobody_is_found);
    tcase_add_test(tests, a_search_that_is_given_up_tells_nothing);
    tcase_add_test(tests, without_memory_there_is_no_search);
    return suite;
}
