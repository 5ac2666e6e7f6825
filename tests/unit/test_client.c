/* The client library's calls, when all is well and when the caller is wrong. */
#include "client_fixture.h"
#include "suites.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- without servers --- */

START_TEST(the_rule_adds_the_digits_to_the_base) {
    uint16_t port = 1;

    ck_assert_int_eq(portolan_derive_port("emqx-1@192.168.0.12", 0, &port), PORTOLAN_OK);
    ck_assert_uint_eq(port, 4371);
    ck_assert_int_eq(portolan_derive_port("n60001", 5370, &port), PORTOLAN_OK);
    ck_assert_uint_eq(port, 5371);
    ck_assert_int_eq(portolan_derive_port("remsh7@h", 0, &port), PORTOLAN_OK);
    ck_assert_uint_eq(port, 0);
    ck_assert_int_eq(portolan_derive_port("n59999", 65000, &port), PORTOLAN_ERROR_NO_PORT);
    ck_assert_int_eq(portolan_derive_port("", 0, &port), PORTOLAN_ERROR_ARGUMENT);
    ck_assert_int_eq(portolan_derive_port(NULL, 0, &port), PORTOLAN_ERROR_ARGUMENT);
    ck_assert_uint_eq(port, 0);
}
END_TEST

START_TEST(every_code_has_a_text_of_its_own) {
    for (int code = PORTOLAN_PENDING; code <= PORTOLAN_ERROR_TRY_AGAIN; code++) {
        ck_assert_str_ne(portolan_error_text((enum portolan_code)code), "unknown error");
        for (int other = PORTOLAN_PENDING; other < code; other++)
            ck_assert_str_ne(portolan_error_text((enum portolan_code)code),
                             portolan_error_text((enum portolan_code)other));
    }
    ck_assert_str_eq(portolan_error_text((enum portolan_code)18), "unknown error");
    ck_assert_str_eq(portolan_error_text((enum portolan_code) - 2), "unknown error");
}
END_TEST

START_TEST(impossible_options_are_refused) {
    struct portolan_endpoint endpoint;
    struct portolan_options good = options_for(0, PORTOLAN_SOURCE_DERIVED), bad[7];
    for (size_t i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].size = 0;
    bad[1].size = SIZE_MAX;
    bad[2].deadline_ms = -1;
    bad[3].deadline_ms = PORTOLAN_DEADLINE_MAX_MS + 1;
    bad[4].sources = 8;
    strcpy(bad[5].address, "localhost");
    memset(bad[6].control_socket, 'x', sizeof bad[6].control_socket);

    ck_assert_int_eq(resolve_rabbit(&good, &endpoint), PORTOLAN_OK);
    for (size_t i = 0; i < 7; i++)
        ck_assert_int_eq(resolve_rabbit(&bad[i], &endpoint), PORTOLAN_ERROR_ARGUMENT);
}
END_TEST

START_TEST(options_of_a_later_version_may_only_be_zero) {
    struct {
        struct portolan_options options;
        uint64_t later;
    } program;
    struct portolan_endpoint endpoint;
    portolan_options_init(&program.options, sizeof program);
    program.options.sources = PORTOLAN_SOURCE_DERIVED;
    strcpy(program.options.address, "127.0.0.1");

    ck_assert_int_eq(resolve_rabbit(&program.options, &endpoint), PORTOLAN_OK);
    program.later = 1;
    ck_assert_int_eq(resolve_rabbit(&program.options, &endpoint), PORTOLAN_ERROR_ARGUMENT);
    assert_message("does not know");
}
END_TEST

static const char *const impossible_nodes[] = {"",      "@h",     "a@",    "a@b@c",
                                               "a@b c", "\xff@h", "a@\xff"};

START_TEST(impossible_nodes_are_refused) {
    struct portolan_operation *operation = (struct portolan_operation *)&last_error;

    ck_assert_int_eq(portolan_resolve_start(impossible_nodes[_i], NULL, &operation, &last_error),
                     PORTOLAN_ERROR_ARGUMENT);
    ck_assert_ptr_null(operation);
    ck_assert_int_eq(portolan_lease_start(impossible_nodes[_i], NULL, &operation, NULL),
                     PORTOLAN_ERROR_ARGUMENT);
}
END_TEST

START_TEST(what_cannot_be_registered_is_refused) {
    struct portolan_registration *registration;

    ck_assert_int_eq(portolan_register("a@h", 1, PORTOLAN_NODE_NORMAL, NULL, &registration, NULL),
                     PORTOLAN_ERROR_ARGUMENT);
    ck_assert_int_eq(portolan_register("a", 0, PORTOLAN_NODE_NORMAL, NULL, &registration, NULL),
                     PORTOLAN_ERROR_ARGUMENT);
    ck_assert_int_eq(
        portolan_register("a", 1, (enum portolan_node_type)7, NULL, &registration, NULL),
        PORTOLAN_ERROR_ARGUMENT);
    ck_assert_ptr_null(registration);
}
END_TEST

START_TEST(the_environment_is_read_on_request) {
    struct portolan_options options;
    portolan_options_init(&options, sizeof options);
    setenv("ERL_EPMD_PORT", "5555", 1);
    setenv("PORTOLAN_NODE__DIST_BASE_PORT", "6000", 1);
    setenv("PORTOLAN_CONTROL__SOCKET", "/x", 1);

    ck_assert_int_eq(portolan_options_from_environment(&options, &last_error), PORTOLAN_OK);
    ck_assert_uint_eq(options.epmd_port, 5555);
    ck_assert_uint_eq(options.base_port, 6000);
    ck_assert_str_eq(options.control_socket, "/x");

    setenv("ERL_EPMD_PORT", "6666", 1);
    setenv("PORTOLAN_NODE__DIST_BASE_PORT", "70000", 1);
    ck_assert_int_eq(portolan_options_from_environment(&options, &last_error),
                     PORTOLAN_ERROR_ARGUMENT);
    ck_assert_uint_eq(options.epmd_port, 5555);
    assert_message("'PORTOLAN_NODE__DIST_BASE_PORT': \"70000\" is not a port");
}
END_TEST

/* --- where a node is --- */

START_TEST(epmd_says_where_a_node_is) {
    struct portolan_endpoint endpoint;
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){.answer = FOUND});
    struct portolan_options options = options_for(server.port, 0);

    ck_assert_int_eq(resolve_rabbit(&options, &endpoint), PORTOLAN_OK);
    fake_server_stop(&server);

    ck_assert_str_eq(endpoint.host, "s1");
    ck_assert_str_eq(endpoint.address, "127.0.0.1");
    ck_assert_uint_eq(endpoint.port, 25684);
    ck_assert_uint_eq(endpoint.type, PORTOLAN_NODE_NORMAL);
    ck_assert_uint_eq(endpoint.highest_version, 6);
    ck_assert_int_eq(endpoint.source, PORTOLAN_SOURCE_EPMD);
    ck_assert_str_eq(last_error.message, "");
    assert_bytes(bytes_of(server.request, server.request_len), LITERAL("\x00\x07zrabbit"));
}
END_TEST

static enum portolan_code resolve_unknown_here(const char *node, unsigned sources) {
    struct portolan_endpoint endpoint;
    struct fake_server daemon;
    struct portolan_options options = options_for(fake_closed_port(), sources);
    use_own_control_socket(&options);
    fake_server_start(&daemon, (struct fake_script){.answer = LITERAL("{\"v\":1,\"ok\":false,"
                                                                      "\"error\":{\"code\":"
                                                                      "\"not_found\"}}\n"),
                                                    .end = FAKE_HOLDS,
                                                    .path = options.control_socket});
    enum portolan_code code = portolan_resolve(node, &options, &endpoint, &last_error);
    fake_server_stop(&daemon);
    return code;
}

START_TEST(a_node_of_a_host_that_cannot_be_asked_is_not_unknown) {
    ck_assert_int_eq(resolve_unknown_here("rabbit@s1", 0), PORTOLAN_ERROR_CONNECT);
    assert_message("portoland reports: not_found; 127.0.0.1:");
    ck_assert_int_eq(resolve_unknown_here("rabbit@s1", PORTOLAN_SOURCE_REGISTERED),
                     PORTOLAN_ERROR_NOT_FOUND);
    ck_assert_int_eq(resolve_unknown_here("rabbit@localhost", 0), PORTOLAN_ERROR_NOT_FOUND);
    ck_assert_int_eq(resolve_unknown_here("rabbit", 0), PORTOLAN_ERROR_NOT_FOUND);
}
END_TEST

START_TEST(the_local_daemon_is_asked_first) {
    struct portolan_endpoint endpoint;
    struct fake_server daemon;
    struct portolan_options options = options_for(fake_closed_port(), 0);
    use_own_control_socket(&options);
    fake_server_start(&daemon, (struct fake_script){.answer = LITERAL("{\"v\":1,\"ok\":true,"
                                                                      "\"host\":\"s1\","
                                                                      "\"port\":7}\n"),
                                                    .end = FAKE_HOLDS,
                                                    .path = options.control_socket});

    ck_assert_int_eq(resolve_rabbit(&options, &endpoint), PORTOLAN_OK);
    fake_server_stop(&daemon);

    ck_assert_uint_eq(endpoint.port, 7);
    ck_assert_int_eq(endpoint.source, PORTOLAN_SOURCE_REGISTERED);
    assert_bytes(bytes_of(daemon.request, daemon.request_len),
                 LITERAL("{\"v\":1,\"command\":\"resolve\",\"node\":\"rabbit@s1\"}\n"));
}
END_TEST

START_TEST(a_daemon_that_hangs_does_not_keep_epmd_from_answering) {
    struct portolan_endpoint endpoint;
    struct fake_server daemon, epmd;
    fake_server_start(&epmd, (struct fake_script){.answer = FOUND});
    struct portolan_options options = options_for(epmd.port, 0);
    options.deadline_ms = 4 * PATIENCE_MS;
    use_own_control_socket(&options);
    fake_server_start(&daemon,
                      (struct fake_script){.end = FAKE_HOLDS, .path = options.control_socket});

    ck_assert_int_eq(resolve_rabbit(&options, &endpoint), PORTOLAN_OK);
    fake_server_stop(&daemon);
    fake_server_stop(&epmd);

    ck_assert_int_eq(endpoint.source, PORTOLAN_SOURCE_EPMD);
    assert_message("did not reply within");
}
END_TEST

START_TEST(a_node_that_nobody_knows_is_derived_only_when_that_is_wanted) {
    struct portolan_endpoint endpoint;
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){.answer = UNKNOWN});
    struct portolan_options options = options_for(server.port, 0);

    ck_assert_int_eq(resolve_rabbit(&options, &endpoint), PORTOLAN_ERROR_NOT_FOUND);
    options.sources = PORTOLAN_SOURCE_EPMD | PORTOLAN_SOURCE_DERIVED;
    ck_assert_int_eq(resolve_rabbit(&options, &endpoint), PORTOLAN_OK);
    fake_server_stop(&server);
    ck_assert_int_eq(endpoint.source, PORTOLAN_SOURCE_DERIVED);
    ck_assert_uint_eq(endpoint.port, 4370);
    assert_message("does not know it");
}
END_TEST

START_TEST(a_host_without_address_is_never_derived) {
    struct portolan_endpoint endpoint;
    struct portolan_options options = options_for(0, (unsigned)_i | PORTOLAN_SOURCE_DERIVED);
    options.address[0] = '\0';

    ck_assert_int_eq(
        portolan_resolve("rabbit@no-such-host.invalid", &options, &endpoint, &last_error),
        PORTOLAN_ERROR_HOST);
    assert_message("the host no-such-host.invalid: ");
}
END_TEST

START_TEST(a_daemon_that_does_not_answer_is_no_reason_to_derive) {
    struct portolan_endpoint endpoint;
    struct fake_server daemon, epmd;
    fake_server_start(&epmd, (struct fake_script){.answer = UNKNOWN});
    struct portolan_options options = options_for(epmd.port, 7);
    options.deadline_ms = 4 * PATIENCE_MS;
    use_own_control_socket(&options);
    fake_server_start(&daemon, (struct fake_script){.end = _i == 0 ? FAKE_HOLDS : FAKE_CLOSES,
                                                    .path = options.control_socket});

    ck_assert_int_ne(resolve_rabbit(&options, &endpoint), PORTOLAN_OK);
    assert_message("portoland at ");
    fake_server_stop(&daemon);
    fake_server_stop(&epmd);
}
END_TEST

START_TEST(the_front_port_is_asked_when_epmd_does_not_know) {
    struct portolan_endpoint endpoint;
    struct fake_server front;
    fake_server_start(&front, (struct fake_script){.answer = FOUND});
    /* nobody is expected on 4369 of this address, whatever runs on this machine */
    struct portolan_options options = options_for(0, PORTOLAN_SOURCE_EPMD);
    options.base_port = front.port;
    options.deadline_ms = TOLERANCE_MS;

    ck_assert_int_eq(resolve_rabbit(&options, &endpoint), PORTOLAN_OK);
    fake_server_stop(&front);

    ck_assert_uint_eq(endpoint.port, 25684);
    assert_message("127.0.0.1:4369");
}
END_TEST

/* --- registrations --- */

START_TEST(a_registration_holds_until_epmd_goes) {
    struct portolan_registration *registration;
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){.answer = REGISTERED, .end = FAKE_HOLDS});

    ck_assert_int_eq(register_at(&server, &registration), PORTOLAN_OK);
    ck_assert_uint_eq(portolan_registration_creation(registration), 9);
    ck_assert(portolan_registration_is_held(registration));
    portolan_unregister(registration);
    fake_server_stop(&server);
    assert_bytes(bytes_of(server.request, server.request_len),
                 LITERAL("\x00\x13x\x64\x54\x48\x00\x00\x06\x00\x05\x00\x06rabbit\x00\x00"));

    fake_server_start(&server, (struct fake_script){.answer = REGISTERED, .end = FAKE_CLOSES});
    ck_assert_int_eq(register_at(&server, &registration), PORTOLAN_OK);
    struct pollfd lost = {.fd = portolan_registration_descriptor(registration), .events = POLLIN};
    ck_assert_int_eq(poll(&lost, 1, TOLERANCE_MS), 1);
    errno = EAGAIN; /* of an earlier call */
    ck_assert(!portolan_registration_is_held(registration));
    portolan_unregister(registration);
    fake_server_stop(&server);
}
END_TEST

START_TEST(a_refused_name_is_told) {
    struct portolan_registration *registration;
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){.answer = REFUSED, .end = FAKE_HOLDS});

    ck_assert_int_eq(register_at(&server, &registration), PORTOLAN_ERROR_REFUSED);
    ck_assert_ptr_null(registration);
    assert_message("refused the name");
    fake_server_stop(&server);
}
END_TEST

START_TEST(a_childs_copy_does_not_end_the_registration) {
    struct portolan_registration *registration;
    struct fake_server server;
    int status;
    fake_server_start(&server, (struct fake_script){.answer = REGISTERED, .end = FAKE_HOLDS});
    ck_assert_int_eq(register_at(&server, &registration), PORTOLAN_OK);

    pid_t child = fork();
    if (child == 0) {
        portolan_unregister(registration);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);

    ck_assert(portolan_registration_is_held(registration));
    portolan_unregister(registration);
    fake_server_stop(&server);
}
END_TEST

/* --- leases --- */

START_TEST(a_lease_without_a_daemon_says_so) {
    struct portolan_leased_port lease;
    struct portolan_options options = options_for(0, 0);

    ck_assert_int_eq(portolan_lease("rabbit", &options, &lease, &last_error),
                     PORTOLAN_ERROR_NO_DAEMON);
    assert_message("cannot lease a port for 'rabbit': portoland at /nonexistent/portolan.sock");
    ck_assert_int_eq(portolan_release("rabbit", &options, NULL), PORTOLAN_ERROR_NO_DAEMON);
}
END_TEST

START_TEST(a_host_name_is_looked_up) {
    struct portolan_listing *listing;
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){.answer = LISTING});
    struct portolan_options options = options_for(server.port, 0);
    options.address[0] = '\0';

    ck_assert_int_eq(portolan_names("localhost", &options, &listing, &last_error), PORTOLAN_OK);
    portolan_listing_free(listing);
    ck_assert_int_eq(portolan_names("no such host", &options, &listing, &last_error),
                     PORTOLAN_ERROR_ARGUMENT);
    ck_assert_int_eq(portolan_names("nowhere.invalid", &options, &listing, &last_error),
                     PORTOLAN_ERROR_HOST);
    assert_message("cannot list the names of 'nowhere.invalid': the host nowhere.invalid: ");
    fake_server_stop(&server);
}
END_TEST

/* --- without blocking --- */

START_TEST(one_descriptor_serves_from_start_to_end) {
    struct portolan_endpoint endpoint;
    struct portolan_operation *operation;
    struct portolan_listing *listing;
    struct fake_server server;
    enum portolan_code code;
    fake_server_start(&server, (struct fake_script){FOUND, 1000, FAKE_CLOSES, 0, NULL});
    struct portolan_options options = options_for(server.port, PORTOLAN_SOURCE_EPMD);

    ck_assert_int_eq(portolan_resolve_start("rabbit@s1", &options, &operation, NULL), PORTOLAN_OK);
    struct pollfd ready = {.fd = portolan_operation_descriptor(operation), .events = POLLIN};
    ck_assert_int_eq(portolan_operation_endpoint(operation, &endpoint), PORTOLAN_ERROR_ARGUMENT);
    while ((code = portolan_operation_step(operation)) == PORTOLAN_PENDING) {
        ck_assert_int_eq(poll(&ready, 1, TOLERANCE_MS), 1);
        ck_assert_int_eq(portolan_operation_descriptor(operation), ready.fd);
    }

    ck_assert_int_eq(code, PORTOLAN_OK);
    ck_assert_int_eq(poll(&ready, 1, TOLERANCE_MS), 1); /* who only polls sees the end as well */
    ck_assert_int_eq(portolan_operation_step(operation), PORTOLAN_OK);
    ck_assert_int_eq(portolan_operation_endpoint(operation, &endpoint), PORTOLAN_OK);
    ck_assert_uint_eq(endpoint.port, 25684);
    ck_assert_int_eq(portolan_operation_take_listing(operation, &listing), PORTOLAN_ERROR_ARGUMENT);
    portolan_operation_free(operation);
    fake_server_stop(&server);
}
END_TEST

Suite *client_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("client", &tests);
    tcase_add_test(tests, the_rule_adds_the_digits_to_the_base);
    tcase_add_test(tests, every_code_has_a_text_of_its_own);
    tcase_add_test(tests, impossible_options_are_refused);
    tcase_add_test(tests, options_of_a_later_version_may_only_be_zero);
    tcase_add_loop_test(tests, impossible_nodes_are_refused, 0,
                        sizeof impossible_nodes / sizeof impossible_nodes[0]);
    tcase_add_test(tests, what_cannot_be_registered_is_refused);
    tcase_add_test(tests, the_environment_is_read_on_request);
    tcase_add_test(tests, epmd_says_where_a_node_is);
    tcase_add_test(tests, the_local_daemon_is_asked_first);
    tcase_add_test(tests, a_node_of_a_host_that_cannot_be_asked_is_not_unknown);
    tcase_add_test(tests, a_daemon_that_hangs_does_not_keep_epmd_from_answering);
    tcase_add_test(tests, a_node_that_nobody_knows_is_derived_only_when_that_is_wanted);
    tcase_add_loop_test(tests, a_host_without_address_is_never_derived, 0, 4);
    tcase_add_loop_test(tests, a_daemon_that_does_not_answer_is_no_reason_to_derive, 0, 2);
    tcase_add_test(tests, the_front_port_is_asked_when_epmd_does_not_know);
    tcase_add_test(tests, a_registration_holds_until_epmd_goes);
    tcase_add_test(tests, a_refused_name_is_told);
    tcase_add_test(tests, a_childs_copy_does_not_end_the_registration);
    tcase_add_test(tests, a_lease_without_a_daemon_says_so);
    tcase_add_test(tests, a_host_name_is_looked_up);
    tcase_add_test(tests, one_descriptor_serves_from_start_to_end);
    return suite;
}
