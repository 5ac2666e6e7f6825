#include "net/acceptor.h"

#include "base/clock.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct event_base *base;
static struct acceptor *acceptor;
static struct listeners listeners;
static uint16_t epmd_port, front_port;

/* What the acceptor has done. */
static struct accepted last;
static unsigned accepted_count, on_reserve_count, limits;
static char outcome[64];
static int spare_fd; /* a connection that can be shed; -1: there is none */

static void on_accepted(void *context, const struct accepted *accepted) {
    ck_assert_ptr_eq(context, &last);
    last = *accepted;
    accepted_count++;
    on_reserve_count += accepted->on_reserve;
    close(accepted->fd);
}

static bool on_shed(void *context) {
    (void)context;
    if (spare_fd < 0)
        return false;
    close(spare_fd);
    spare_fd = -1;
    return true;
}

static void on_limit_hit(void *context, const char *limit, const char *what) {
    (void)context;
    (void)limit;
    limits++;
    snprintf(outcome, sizeof outcome, "%s", what);
}

static uint16_t open_listener(enum listener_role role) {
    uint16_t port = 0;
    int fd = sockets_listen("127.0.0.1", &port);
    ck_assert_int_ge(fd, 0);
    ck_assert(listeners_adopt(&listeners, role, fd));
    return port;
}

static void make_acceptor(void) {
    const struct acceptor_options options = {.delay_s = 0};
    const struct acceptor_hooks hooks = {
        .accepted = on_accepted, .shed = on_shed, .limit_hit = on_limit_hit, .context = &last};
    acceptor = acceptor_new(base, &options, &hooks, &listeners);
    ck_assert_ptr_nonnull(acceptor);
    listeners.count = 0; /* they are the acceptor's */
}

static void begin(void) {
    base = event_base_new();
    listeners.count = 0;
    epmd_port = open_listener(LISTENER_EPMD);
    front_port = open_listener(LISTENER_FRONT);
    accepted_count = on_reserve_count = limits = 0;
    spare_fd = -1;
}

static void end(void) {
    acceptor_free(acceptor);
    event_base_free(base);
}

/* Deferred accept: a caller is there once it has said something. */
static int call(uint16_t port) {
    int fd = sockets_connect(port);
    ck_assert_uint_eq(sockets_send(fd, "?", 1), 1);
    return fd;
}

static void set_limit(rlim_t descriptors) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = descriptors;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* From here on a descriptor that is opened fails, unless one is closed first. */
static void use_up_descriptors(void) {
    int next = dup(STDERR_FILENO);
    ck_assert_int_ge(next, 0);
    close(next);
    set_limit((rlim_t)next);
}

START_TEST(a_caller_comes_with_its_listeners_role_and_its_address) {
    make_acceptor();
    int at_front = call(front_port);
    turn_until(base, accepted_count == 1);
    ck_assert_int_eq(last.role, LISTENER_FRONT);
    ck_assert(!last.on_reserve);
    const struct address caller = sockets_own_address(at_front);
    ck_assert_uint_eq(address_port(&last.peer), address_port(&caller));
    int at_epmd = call(epmd_port);
    turn_until(base, accepted_count == 2);
    ck_assert_int_eq(last.role, LISTENER_EPMD);
    close(at_front);
    close(at_epmd);
}
END_TEST

START_TEST(without_a_descriptor_a_connection_is_shed_for_a_caller) {
    make_acceptor();
    int caller = call(epmd_port);
    spare_fd = dup(STDERR_FILENO);
    use_up_descriptors();
    turn_until(base, accepted_count == 1);
    ck_assert_int_eq(spare_fd, -1);
    ck_assert(!last.on_reserve);
    ck_assert_str_eq(outcome, "shed the longest-idle connection");
    close(caller);
}
END_TEST

START_TEST(without_one_to_shed_callers_come_one_by_one_on_the_reserve) {
    make_acceptor();
    int callers[] = {call(epmd_port), call(epmd_port), call(front_port)};
    use_up_descriptors();
    turn_until(base, accepted_count == 3);
    ck_assert_uint_eq(on_reserve_count, 3);
    ck_assert_uint_ge(limits, 3); /* that nobody else waits is seen with a descriptor too */
    ck_assert_str_eq(outcome, "answering look-ups from the reserve");
    for (unsigned i = 0; i < 3; i++)
        close(callers[i]);
}
END_TEST

START_TEST(without_a_reserve_accepting_is_paused_and_goes_on) {
    int caller = call(epmd_port);
    use_up_descriptors();
    make_acceptor();
    turn_until(base, limits == 1);
    ck_assert_str_eq(outcome, "accepting is paused");
    ck_assert_uint_eq(accepted_count, 0);
    for (int i = 0; i < 10; i++)
        sockets_turn(base);
    ck_assert_uint_eq(limits, 1); /* it does not try again in each turn */
    set_limit(256);
    turn_until(base, accepted_count == 1);
    close(caller);
}
END_TEST

START_TEST(listeners_that_came_later_can_go) {
    make_acceptor();
    uint16_t port = open_listener(LISTENER_FRONT);
    ck_assert(!acceptor_listens(acceptor, port));
    ck_assert(acceptor_listen(acceptor, &listeners));
    ck_assert(acceptor_listens(acceptor, port) && acceptor_has_front(acceptor, port));
    int caller = call(port);
    turn_until(base, accepted_count == 1);
    close(caller);
    ck_assert(acceptor_unlisten(acceptor, port));
    ck_assert(!acceptor_listens(acceptor, port));
    ck_assert(!acceptor_unlisten(acceptor, port));
}
END_TEST

START_TEST(permanent_listeners_stay) {
    make_acceptor();
    ck_assert(!acceptor_unlisten(acceptor, front_port));
    ck_assert(acceptor_listens(acceptor, front_port) && acceptor_has_front(acceptor, front_port));
    ck_assert(acceptor_listens(acceptor, epmd_port) && !acceptor_has_front(acceptor, epmd_port));
}
END_TEST

START_TEST(callers_that_are_not_accepted_yet_are_a_backlog) {
    make_acceptor();
    ck_assert(!acceptor_has_backlog(acceptor, LISTENER_FRONT));
    int caller = call(front_port);
    int64_t until_ms = clock_monotonic_ms() + SOCKETS_DEADLINE_MS;
    while (!acceptor_has_backlog(acceptor, LISTENER_FRONT))
        ck_assert_int_lt(clock_monotonic_ms(), until_ms);
    ck_assert(!acceptor_has_backlog(acceptor, LISTENER_EPMD));
    turn_until(base, accepted_count == 1);
    ck_assert(!acceptor_has_backlog(acceptor, LISTENER_FRONT));
    close(caller);
}
END_TEST

Suite *acceptor_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("acceptor", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_caller_comes_with_its_listeners_role_and_its_address);
    tcase_add_test(tests, without_a_descriptor_a_connection_is_shed_for_a_caller);
    tcase_add_test(tests, without_one_to_shed_callers_come_one_by_one_on_the_reserve);
    tcase_add_test(tests, without_a_reserve_accepting_is_paused_and_goes_on);
    tcase_add_test(tests, listeners_that_came_later_can_go);
    tcase_add_test(tests, permanent_listeners_stay);
    tcase_add_test(tests, callers_that_are_not_accepted_yet_are_a_backlog);
    return suite;
}
