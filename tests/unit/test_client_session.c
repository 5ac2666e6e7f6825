/* Sessions, watches, and a daemon that is there but busy. */
#include "base/clock.h"
#include "client_fixture.h"
#include "line_server.h"
#include "suites.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define NUMBERED "{\"v\":1,\"ok\":true,\"port\":%u,\"epmd_port\":1,\"held\":true}\n"
#define MANY 300

static struct portolan_options options;
static struct line_server server;
static struct portolan_operation *operations[MANY];

/* A daemon that leases the ports 1, 2, 3 ... in the order in which it is asked. */
static void start_daemon(struct line_server like) {
    options = options_for(0, 0);
    use_own_control_socket(&options);
    options.deadline_ms = TOLERANCE_MS * 3;
    server = like;
    server.path = options.control_socket;
    if (server.format == NULL)
        server.format = NUMBERED;
    line_server_start(&server);
}

static void start_session(void) {
    ck_assert_int_eq(portolan_session_new(&options, &options.session, &last_error), PORTOLAN_OK);
}

static void stop(void) {
    portolan_session_free(options.session);
    line_server_stop(&server);
}

static void lease_many(size_t count) {
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(portolan_lease_start("a", &options, &operations[i], &last_error),
                         PORTOLAN_OK);
}

/* As an edge-triggered loop does, for the operations that are not NULL. */
static void run_all(size_t count) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int set = epoll_create1(EPOLL_CLOEXEC);
    size_t pending = 0;
    for (size_t i = 0; i < count; i++) {
        event.data.u64 = i;
        if (operations[i] == NULL)
            continue;
        ck_assert_int_eq(
            epoll_ctl(set, EPOLL_CTL_ADD, portolan_operation_descriptor(operations[i]), &event), 0);
        pending++;
    }
    while (pending > 0 && epoll_wait(set, &event, 1, 4 * TOLERANCE_MS) == 1) {
        struct portolan_operation *operation = operations[event.data.u64];
        if (portolan_operation_step(operation) == PORTOLAN_PENDING)
            continue;
        epoll_ctl(set, EPOLL_CTL_DEL, portolan_operation_descriptor(operation), NULL);
        pending--;
    }
    close(set);
    ck_assert_uint_eq(pending, 0);
}

/* Its code, and its port when it has one; frees it. */
static enum portolan_code end_one(size_t index, uint16_t *port) {
    struct portolan_leased_port lease = {.port = 0};
    enum portolan_code code = portolan_operation_step(operations[index]);
    snprintf(last_error.message, sizeof last_error.message, "%s",
             portolan_operation_message(operations[index]));
    portolan_operation_leased_port(operations[index], &lease);
    *port = lease.port;
    portolan_operation_free(operations[index]);
    operations[index] = NULL;
    return code;
}

START_TEST(a_busy_daemon_is_waited_for) {
    const struct line_server kinds[] = {{.deaf_ms = 300}, {.closes_first = 20}};
    struct portolan_leased_port lease;
    struct portolan_operation *waiting[3];
    start_daemon(kinds[_i]);
    for (size_t i = 0; i < 3; i++) /* fill the queue */
        ck_assert_int_eq(portolan_lease_start("a", &options, &waiting[i], NULL), PORTOLAN_OK);
    for (size_t i = 0; i < 3; i++)
        portolan_operation_free(waiting[i]);

    ck_assert_int_eq(portolan_lease("a", &options, &lease, &last_error), PORTOLAN_OK);
    ck_assert_str_eq(last_error.message, "");
    stop();
}
END_TEST

START_TEST(a_daemon_that_stays_busy_is_told_as_that) {
    struct portolan_endpoint endpoint;
    struct fake_server epmd;
    start_daemon((struct line_server){.closes_first = 1000000});
    fake_server_start(&epmd, (struct fake_script){.answer = UNKNOWN});
    options.epmd_port = epmd.port;
    options.deadline_ms = PATIENCE_MS;
    options.sources = 7;

    ck_assert_int_eq(portolan_resolve("rabbit@127.0.0.1", &options, &endpoint, &last_error),
                     PORTOLAN_ERROR_NOT_FOUND);
    assert_message("closed the connection without a reply within");
    ck_assert_uint_gt(atomic_load(&server.connections), 3);
    fake_server_stop(&epmd);
    stop();
}
END_TEST

START_TEST(a_session_hands_each_answer_to_its_asker) {
    start_daemon((struct line_server){.per_connection = 0});
    start_session();
    lease_many(MANY);
    run_all(MANY);

    for (size_t i = 0; i < MANY; i++) {
        uint16_t port;
        ck_assert_int_eq(end_one(i, &port), PORTOLAN_OK);
        ck_assert_uint_eq(port, i + 1);
    }
    ck_assert_uint_eq(atomic_load(&server.connections), 1);
    stop();
}
END_TEST

START_TEST(a_cancelled_request_keeps_its_answer_from_the_next) {
    uint16_t port;
    start_daemon((struct line_server){.deaf_ms = 100});
    start_session();
    lease_many(4);
    for (size_t i = 0; i < 4; i += 2) {
        portolan_operation_free(operations[i]);
        operations[i] = NULL;
    }
    run_all(4);

    for (size_t i = 1; i < 4; i += 2) {
        ck_assert_int_eq(end_one(i, &port), PORTOLAN_OK);
        ck_assert_uint_eq(port, i + 1);
    }
    stop();
}
END_TEST

START_TEST(what_was_asked_on_a_lost_connection_is_asked_again) {
    uint16_t port;
    start_daemon((struct line_server){.per_connection = 2});
    start_session();
    lease_many(7);
    run_all(7);

    for (size_t i = 0; i < 7; i++) {
        enum portolan_code code = end_one(i, &port);
        ck_assert_msg(code == PORTOLAN_OK, "%s", last_error.message);
    }
    ck_assert_uint_ge(atomic_load(&server.connections), 4);
    stop();
}
END_TEST

START_TEST(a_call_that_blocks_and_one_that_does_not_share_a_session) {
    struct portolan_leased_port lease;
    uint16_t port;
    start_daemon((struct line_server){.deaf_ms = 50});
    start_session();
    lease_many(3);

    ck_assert_int_eq(portolan_lease("a", &options, &lease, &last_error), PORTOLAN_OK);
    ck_assert_uint_eq(lease.port, 4);
    run_all(3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(end_one(i, &port), PORTOLAN_OK);
        ck_assert_uint_eq(port, i + 1);
    }
    stop();
}
END_TEST

START_TEST(a_session_that_is_freed_ends_its_operations) {
    uint16_t port;
    start_daemon((struct line_server){.deaf_ms = 100});
    start_session();
    lease_many(3);
    portolan_session_free(options.session);
    options.session = NULL;
    run_all(3);

    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(end_one(i, &port), PORTOLAN_ERROR_CLOSED);
    assert_message("the session was freed");
    stop();
}
END_TEST

START_TEST(a_session_without_a_daemon_says_so) {
    struct portolan_leased_port lease;
    options = options_for(0, 0);
    start_session();

    ck_assert_int_eq(portolan_lease("a", &options, &lease, &last_error), PORTOLAN_ERROR_NO_DAEMON);
    assert_message("portoland at /nonexistent/portolan.sock");
    portolan_session_free(options.session);
}
END_TEST

START_TEST(a_childs_copy_of_a_session_does_not_disturb_the_parents) {
    uint16_t port;
    int status;
    start_daemon((struct line_server){.deaf_ms = 200});
    start_session();
    lease_many(5);

    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < 5; i++)
            portolan_operation_free(operations[i]);
        portolan_session_free(options.session);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    run_all(5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(end_one(i, &port), PORTOLAN_OK);
        ck_assert_uint_eq(port, i + 1);
    }
    stop();
}
END_TEST

/* --- watches --- */

#define BEGUN "{\"v\":1,\"ok\":true}\n"
#define CAME                                                                                       \
    "{\"v\":1,\"event\":\"registered\",\"at\":\"2026-03-01T10:20:30.123Z\",\"name\":"              \
    "\"rab\\u0062it\","                                                                            \
    "\"port\":25672,\"creation\":9,\"type\":\"normal\"}\n"
#define WENT                                                                                       \
    "{\"v\":1,\"event\":\"member_down\",\"at\":\"-\",\"member\":\"e@s2\",\"cause\":\"refused\"}\n"

static enum portolan_code next_event(struct portolan_watch *watch,
                                     const struct portolan_event **event) {
    struct pollfd ready = {.fd = portolan_watch_descriptor(watch), .events = POLLIN};
    enum portolan_code code;
    while ((code = portolan_watch_next(watch, event, &last_error)) == PORTOLAN_PENDING)
        ck_assert_int_eq(poll(&ready, 1, TOLERANCE_MS), 1);
    return code;
}

START_TEST(a_watch_tells_each_event_and_the_end) {
    struct portolan_watch *watch;
    const struct portolan_event *event;
    struct fake_server daemon;
    options = options_for(0, 0);
    use_own_control_socket(&options);
    fake_server_start(&daemon, (struct fake_script){.answer = LITERAL(BEGUN CAME WENT),
                                                    .byte_delay_us = _i == 0 ? 0 : 100,
                                                    .path = options.control_socket});

    ck_assert_int_eq(portolan_watch_start(&options, &watch, &last_error), PORTOLAN_OK);
    ck_assert_int_eq(next_event(watch, &event), PORTOLAN_OK);
    ck_assert(portolan_watch_has_begun(watch));
    ck_assert_str_eq(event->type, "registered");
    ck_assert_str_eq(event->name, "rabbit");
    ck_assert_str_eq(event->member, "");
    ck_assert_uint_eq(event->port, 25672);
    ck_assert_uint_eq(event->creation, 9);
    ck_assert_str_eq(event->at, "2026-03-01T10:20:30.123Z");
    ck_assert_uint_eq(strlen(event->json) + 1, strlen(CAME));
    ck_assert_int_eq(next_event(watch, &event), PORTOLAN_OK);
    ck_assert_str_eq(event->type, "member_down");
    ck_assert_str_eq(event->member, "e@s2");
    ck_assert_str_eq(event->reason, "refused");
    ck_assert_int_eq(next_event(watch, &event), PORTOLAN_ERROR_CLOSED);
    ck_assert_ptr_null(event);
    ck_assert_int_eq(next_event(watch, &event), PORTOLAN_ERROR_CLOSED);
    portolan_watch_free(watch);
    fake_server_stop(&daemon);
    assert_bytes(bytes_of(daemon.request, daemon.request_len),
                 LITERAL("{\"v\":1,\"command\":\"watch\"}\n"));
}
END_TEST

static const struct {
    const char *answer;
    enum portolan_code code;
} bad_watches[] = {
    {"HTTP\n", PORTOLAN_ERROR_REPLY},
    {BEGUN "{}\n", PORTOLAN_ERROR_REPLY},
    {"{\"v\":1,\"ok\":false,\"error\":{\"code\":\"denied\",\"message\":\"no\"}}\n",
     PORTOLAN_ERROR_DENIED},
    {BEGUN "{\"v\":1,", PORTOLAN_ERROR_CLOSED},
};

START_TEST(a_watch_of_something_else_ends) {
    struct portolan_watch *watch;
    const struct portolan_event *event;
    struct fake_server daemon;
    options = options_for(0, 0);
    use_own_control_socket(&options);
    fake_server_start(&daemon, (struct fake_script){.answer = bytes_of_text(bad_watches[_i].answer),
                                                    .path = options.control_socket});

    ck_assert_int_eq(portolan_watch_start(&options, &watch, &last_error), PORTOLAN_OK);
    ck_assert_int_eq(next_event(watch, &event), bad_watches[_i].code);
    assert_message("cannot watch 'this host': ");
    portolan_watch_free(watch);
    fake_server_stop(&daemon);
}
END_TEST

START_TEST(a_watch_keeps_its_deadline_until_it_has_begun) {
    struct portolan_watch *watch;
    const struct portolan_event *event;
    struct fake_server daemon;
    options = options_for(0, 0);
    options.deadline_ms = PATIENCE_MS;
    ck_assert_int_eq(portolan_watch_start(&options, &watch, &last_error), PORTOLAN_OK);
    ck_assert_int_eq(next_event(watch, &event), PORTOLAN_ERROR_NO_DAEMON);
    portolan_watch_free(watch);

    use_own_control_socket(&options);
    fake_server_start(&daemon,
                      (struct fake_script){.end = FAKE_HOLDS, .path = options.control_socket});
    ck_assert_int_eq(portolan_watch_start(&options, &watch, &last_error), PORTOLAN_OK);
    ck_assert_int_eq(next_event(watch, &event), PORTOLAN_ERROR_TIMEOUT);
    portolan_watch_free(watch);
    fake_server_stop(&daemon);
}
END_TEST

Suite *client_session_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("client_session", &tests);
    tcase_add_loop_test(tests, a_busy_daemon_is_waited_for, 0, 2);
    tcase_add_test(tests, a_daemon_that_stays_busy_is_told_as_that);
    tcase_add_test(tests, a_session_hands_each_answer_to_its_asker);
    tcase_add_test(tests, a_cancelled_request_keeps_its_answer_from_the_next);
    tcase_add_test(tests, what_was_asked_on_a_lost_connection_is_asked_again);
    tcase_add_test(tests, a_call_that_blocks_and_one_that_does_not_share_a_session);
    tcase_add_test(tests, a_session_that_is_freed_ends_its_operations);
    tcase_add_test(tests, a_session_without_a_daemon_says_so);
    tcase_add_test(tests, a_childs_copy_of_a_session_does_not_disturb_the_parents);
    tcase_add_loop_test(tests, a_watch_tells_each_event_and_the_end, 0, 2);
    tcase_add_loop_test(tests, a_watch_of_something_else_ends, 0,
                        sizeof bad_watches / sizeof bad_watches[0]);
    tcase_add_test(tests, a_watch_keeps_its_deadline_until_it_has_begun);
    return suite;
}
