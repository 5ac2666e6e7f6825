/* The client library against servers that answer badly or not at all, and short of memory. */
#include "base/clock.h"
#include "client_fixture.h"
#include "failing_allocation.h"
#include "suites.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* --- bad servers --- */

START_TEST(an_answer_byte_by_byte_is_read) {
    ck_assert_int_eq(resolve_from((struct fake_script){FOUND, 1000, FAKE_CLOSES, 0, NULL}, 0),
                     PORTOLAN_OK);
}
END_TEST

START_TEST(bad_answers_have_codes_that_tell_them_apart) {
    const struct bytes cut = bytes_of(FOUND.data, 5);

    ck_assert_int_eq(resolve_from((struct fake_script){.answer = LITERAL("HTTP/1.1 400")}, 0),
                     PORTOLAN_ERROR_REPLY);
    assert_message("invalid reply from");
    ck_assert_int_eq(resolve_from((struct fake_script){.answer = cut}, 0), PORTOLAN_ERROR_CLOSED);
    assert_message("in the middle of its reply");
    ck_assert_int_eq(resolve_from((struct fake_script){.end = FAKE_CLOSES}, 0),
                     PORTOLAN_ERROR_CLOSED);
    assert_message("closed the connection without a reply");
    ck_assert_int_eq(resolve_from((struct fake_script){.answer = cut, .end = FAKE_RESETS}, 0),
                     PORTOLAN_ERROR_CLOSED);
    assert_message("Connection reset by peer");
}
END_TEST

START_TEST(nobody_there_is_no_connection) {
    struct portolan_endpoint endpoint;
    struct portolan_options options = options_for(fake_closed_port(), PORTOLAN_SOURCE_EPMD);

    ck_assert_int_eq(resolve_rabbit(&options, &endpoint), PORTOLAN_ERROR_CONNECT);
    assert_message("cannot resolve 'rabbit@s1': 127.0.0.1:");
    assert_message("Connection refused; is epmd or portoland running there?");
}
END_TEST

static const struct fake_script silences[] = {
    {.end = FAKE_HOLDS},
    {.answer = {(const uint8_t *)"w", 1}, .end = FAKE_HOLDS},
    {.answer = {(const uint8_t *)"\0\0\x11\x11\n", 5},
     .byte_delay_us = 20000,
     .end = FAKE_REPEATS,
     .tail = 1},
};

START_TEST(the_deadline_is_kept) {
    int64_t began_ms = clock_monotonic_ms();

    enum portolan_code code =
        _i == 2 ? names_from(silences[_i], PATIENCE_MS) : resolve_from(silences[_i], PATIENCE_MS);

    int64_t took_ms = clock_monotonic_ms() - began_ms;
    ck_assert_int_eq(code, PORTOLAN_ERROR_TIMEOUT);
    ck_assert_int_ge(took_ms, PATIENCE_MS);
    ck_assert_int_lt(took_ms, PATIENCE_MS + TOLERANCE_MS);
}
END_TEST

START_TEST(a_connection_that_is_not_taken_times_out) {
    struct portolan_endpoint endpoint;
    struct portolan_options options = options_for(fake_deaf_port(), PORTOLAN_SOURCE_EPMD);
    options.deadline_ms = PATIENCE_MS;

    ck_assert_int_eq(resolve_rabbit(&options, &endpoint), PORTOLAN_ERROR_TIMEOUT);
    assert_message("did not accept the connection within");
    assert_message("is its TCP port open in the firewall?");
}
END_TEST

START_TEST(an_endless_listing_is_bounded) {
    static uint8_t many[4 + 64 * 1024];
    bool lines = _i == 1;
    memcpy(many, "\0\0\x11\x11", 4);
    for (size_t i = 4; i < sizeof many; i++)
        many[i] = lines && i % 8 == 0 ? '\n' : 'a';

    ck_assert_int_eq(names_from((struct fake_script){.answer = bytes_of(many, sizeof many),
                                                     .end = FAKE_REPEATS,
                                                     .tail = sizeof many - 4},
                                60000),
                     PORTOLAN_ERROR_TOO_LARGE);
}
END_TEST

START_TEST(a_listing_that_is_cut_is_an_error) {
    ck_assert_int_eq(names_from((struct fake_script){.answer = LITERAL("\0\0\x11\x11name ")}, 0),
                     PORTOLAN_ERROR_CLOSED);
    ck_assert_int_eq(names_from((struct fake_script){.answer = LISTING}, 0), PORTOLAN_OK);
}
END_TEST

START_TEST(an_answer_over_a_line_is_bounded) {
    static uint8_t much[70000];
    struct portolan_leased_port lease;
    struct fake_server daemon;
    struct portolan_options options = options_for(0, 0);
    memset(much, ' ', sizeof much);
    use_own_control_socket(&options);
    fake_server_start(&daemon, (struct fake_script){.answer = bytes_of(much, sizeof much),
                                                    .end = FAKE_HOLDS,
                                                    .path = options.control_socket});

    ck_assert_int_eq(portolan_lease("rabbit", &options, &lease, &last_error),
                     PORTOLAN_ERROR_TOO_LARGE);
    fake_server_stop(&daemon);
}
END_TEST

START_TEST(the_descriptor_tells_of_the_deadline_too) {
    struct portolan_operation *operation;
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){.end = FAKE_HOLDS});
    struct portolan_options options = options_for(server.port, PORTOLAN_SOURCE_EPMD);
    options.deadline_ms = PATIENCE_MS;

    ck_assert_int_eq(portolan_resolve_start("rabbit@s1", &options, &operation, NULL), PORTOLAN_OK);
    struct pollfd ready = {.fd = portolan_operation_descriptor(operation), .events = POLLIN};
    for (int steps = 0; portolan_operation_step(operation) == PORTOLAN_PENDING; steps++) {
        ck_assert_int_lt(steps, 10); /* it sleeps meanwhile */
        ck_assert_int_eq(poll(&ready, 1, PATIENCE_MS + TOLERANCE_MS), 1);
    }

    ck_assert_int_eq(portolan_operation_step(operation), PORTOLAN_ERROR_TIMEOUT);
    portolan_operation_free(operation);
    fake_server_stop(&server);
}
END_TEST

START_TEST(an_operation_may_be_given_up_at_any_step) {
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){FOUND, 200, FAKE_CLOSES, 0, NULL});
    struct portolan_options options = options_for(server.port, PORTOLAN_SOURCE_EPMD);
    options.address[0] = '\0';

    for (int steps = 0; steps < 20; steps++) {
        struct portolan_operation *operation;
        ck_assert_int_eq(portolan_resolve_start("rabbit@localhost", &options, &operation, NULL),
                         PORTOLAN_OK);
        for (int i = 0; i < steps; i++) {
            struct pollfd ready = {.fd = portolan_operation_descriptor(operation),
                                   .events = POLLIN};
            poll(&ready, 1, TOLERANCE_MS);
            portolan_operation_step(operation);
        }
        portolan_operation_free(operation);
    }
    fake_server_stop(&server);
}
END_TEST

/* --- threads, signals, memory --- */

#define THREADS 8
#define CALLS 50

static void *resolve_often(void *argument) {
    const struct portolan_options *options = argument;
    size_t found = 0;
    for (int i = 0; i < CALLS; i++) {
        struct portolan_endpoint endpoint;
        struct portolan_error error;
        found += portolan_resolve("rabbit@localhost", options, &endpoint, &error) == PORTOLAN_OK &&
                 endpoint.port == 25684;
    }
    return found == CALLS ? argument : NULL;
}

START_TEST(threads_do_not_disturb_each_other) {
    pthread_t threads[THREADS];
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){.answer = FOUND});
    struct portolan_options options = options_for(server.port, PORTOLAN_SOURCE_EPMD);
    options.address[0] = '\0';

    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, resolve_often, &options), 0);

    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_ptr_nonnull(result);
    }
    fake_server_stop(&server);
    ck_assert_uint_ge(atomic_load(&server.connections), THREADS * CALLS);
}
END_TEST

static volatile sig_atomic_t signals;

static void count_signal(int number) {
    (void)number;
    signals = signals + 1;
}

START_TEST(signals_do_not_end_a_call) {
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGALRM, &action, NULL);
    ualarm(10000, 10000);

    ck_assert_int_eq(resolve_from((struct fake_script){FOUND, 5000, FAKE_CLOSES, 0, NULL}, 0),
                     PORTOLAN_OK);
    ualarm(0, 0);
    ck_assert_int_gt(signals, 0);
}
END_TEST

START_TEST(no_memory_is_a_code_and_never_a_derived_port) {
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){.answer = FOUND});
    struct portolan_options options = options_for(server.port, 7);
    options.address[0] = '\0';

    for (unsigned n = 1;; n++) {
        struct portolan_endpoint endpoint;
        fail_nth_allocation(n);
        enum portolan_code code =
            portolan_resolve("rabbit@localhost", &options, &endpoint, &last_error);
        if (!allocation_failed()) {
            ck_assert_int_eq(code, PORTOLAN_OK);
            ck_assert_uint_gt(n, 2);
            break;
        }
        ck_assert_int_eq(code, PORTOLAN_ERROR_MEMORY);
    }
    fake_server_stop(&server);
}
END_TEST

START_TEST(no_memory_leaves_no_result_behind) {
    struct fake_server epmd, lister;
    fake_server_start(&epmd, (struct fake_script){.answer = REGISTERED, .end = FAKE_HOLDS});
    fake_server_start(&lister, (struct fake_script){.answer = LISTING});
    struct portolan_options options = options_for(lister.port, 0);

    for (unsigned n = 1, failures = 2; failures == 2; n++) {
        struct portolan_registration *registration;
        struct portolan_listing *listing;
        failures = 0;
        fail_nth_allocation(n);
        enum portolan_code code = register_at(&epmd, &registration);
        failures += allocation_failed();
        portolan_unregister(registration);
        ck_assert_int_eq(code, failures == 1 ? PORTOLAN_ERROR_MEMORY : PORTOLAN_OK);
        fail_nth_allocation(n);
        code = portolan_names("s1", &options, &listing, &last_error);
        failures += allocation_failed();
        portolan_listing_free(listing);
    }
    fake_server_stop(&lister);
    fake_server_stop(&epmd);
}
END_TEST

Suite *client_troubles_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("client_troubles", &tests);
    tcase_add_test(tests, an_answer_byte_by_byte_is_read);
    tcase_add_test(tests, bad_answers_have_codes_that_tell_them_apart);
    tcase_add_test(tests, nobody_there_is_no_connection);
    tcase_add_loop_test(tests, the_deadline_is_kept, 0, sizeof silences / sizeof silences[0]);
    tcase_add_test(tests, a_connection_that_is_not_taken_times_out);
    tcase_add_loop_test(tests, an_endless_listing_is_bounded, 0, 2);
    tcase_add_test(tests, a_listing_that_is_cut_is_an_error);
    tcase_add_test(tests, an_answer_over_a_line_is_bounded);
    tcase_add_test(tests, the_descriptor_tells_of_the_deadline_too);
    tcase_add_test(tests, an_operation_may_be_given_up_at_any_step);
    tcase_add_test(tests, threads_do_not_disturb_each_other);
    tcase_add_test(tests, signals_do_not_end_a_call);
    tcase_add_test(tests, no_memory_is_a_code_and_never_a_derived_port);
    tcase_add_test(tests, no_memory_leaves_no_result_behind);
    return suite;
}
