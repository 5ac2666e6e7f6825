/* The names of a cluster, and what else a daemon's control socket answers. */
#include "client_fixture.h"
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct portolan_options options;
static struct fake_server server;

static void start_daemon(const char *reply) {
    options = options_for(0, 0);
    use_own_control_socket(&options);
    fake_server_start(&server, (struct fake_script){.answer = bytes_of_text(reply),
                                                    .path = options.control_socket});
}

static enum portolan_code names_of(const char *reply, struct portolan_listing **listing) {
    start_daemon(reply);
    enum portolan_code code = portolan_cluster_names(&options, listing, &last_error);
    fake_server_stop(&server);
    return code;
}

static void assert_requested(const char *line) {
    assert_bytes(bytes_of(server.request, server.request_len), bytes_of_text(line));
}

START_TEST(names_of_a_cluster_are_read_whole) {
    struct portolan_listing *listing;
    ck_assert_int_eq(
        names_of("{\"v\":1,\"ok\":true,\"names\":["
                 "{\"name\":\"emqx\",\"host\":\"s1\",\"member\":\"portolan@s1\",\"port\":4370,"
                 "\"front_port\":4371,\"creation\":4294967295,\"type\":\"normal\","
                 "\"member_state\":\"alive\"},"
                 "{\"name\":\"b\",\"host\":\"s2\",\"member\":\"portolan@s2\",\"port\":65535,"
                 "\"front_port\":null,\"creation\":0,\"type\":\"hidden\","
                 "\"member_state\":\"suspect\",\"new\":{}},"
                 "{\"name\":\"c\",\"host\":\"s3\",\"port\":1,\"type\":\"other\","
                 "\"member_state\":\"down\"},"
                 "{\"name\":\"d\",\"host\":\"s3\",\"port\":2,\"member_state\":\"other\"}]}\n",
                 &listing),
        PORTOLAN_OK);
    assert_requested("{\"v\":1,\"command\":\"names\",\"cluster\":true}\n");
    static const struct portolan_name expected[] = {
        {"emqx", "s1", "portolan@s1", 4370, 4371, PORTOLAN_NODE_NORMAL, PORTOLAN_MEMBER_ALIVE,
         4294967295U},
        {"b", "s2", "portolan@s2", 65535, 0, PORTOLAN_NODE_HIDDEN, PORTOLAN_MEMBER_SUSPECT, 0},
        {"c", "s3", "", 1, 0, 0, PORTOLAN_MEMBER_DOWN, 0},
        {"d", "s3", "", 2, 0, 0, PORTOLAN_MEMBER_UNKNOWN, 0},
    };
    ck_assert_uint_eq(portolan_listing_count(listing), 4);
    ck_assert_uint_eq(portolan_listing_malformed(listing), 0);
    ck_assert_uint_eq(portolan_listing_epmd_port(listing), 0);
    for (size_t i = 0; i < 4; i++) {
        const struct portolan_name *got = portolan_listing_name(listing, i), *want = &expected[i];
        ck_assert_str_eq(got->name, want->name);
        ck_assert_str_eq(got->host, want->host);
        ck_assert_str_eq(got->member, want->member);
        ck_assert_uint_eq(got->port, want->port);
        ck_assert_uint_eq(got->front_port, want->front_port);
        ck_assert_uint_eq(got->type, want->type);
        ck_assert_uint_eq(got->member_state, want->member_state);
        ck_assert_uint_eq(got->creation, want->creation);
    }
    ck_assert_ptr_null(portolan_listing_name(listing, 4));
    portolan_listing_free(listing);
}
END_TEST

START_TEST(a_name_without_name_host_or_port_is_left_out_and_counted) {
    struct portolan_listing *listing;
    ck_assert_int_eq(names_of("{\"v\":1,\"ok\":true,\"names\":["
                              "{\"host\":\"s\",\"port\":1},{\"name\":\"a\",\"port\":1},"
                              "{\"name\":\"a\",\"host\":\"s\"},"
                              "{\"name\":\"a\",\"host\":\"s\",\"port\":0},"
                              "{\"name\":\"a\",\"host\":\"s\",\"port\":65536},"
                              "{\"name\":\"a\",\"host\":\"s\",\"port\":7}]}\n",
                              &listing),
                     PORTOLAN_OK);
    ck_assert_uint_eq(portolan_listing_count(listing), 1);
    ck_assert_uint_eq(portolan_listing_malformed(listing), 5);
    ck_assert_uint_eq(portolan_listing_name(listing, 0)->port, 7);
    portolan_listing_free(listing);
    ck_assert_int_eq(names_of("{\"v\":1,\"ok\":true,\"names\":[]}\n", &listing), PORTOLAN_OK);
    ck_assert_uint_eq(portolan_listing_count(listing), 0);
    portolan_listing_free(listing);
}
END_TEST

START_TEST(names_that_are_no_list_are_malformed) {
    static const char *const replies[] = {"{\"v\":1,\"ok\":true}\n",
                                          "{\"v\":1,\"ok\":true,\"names\":{}}\n",
                                          "{\"v\":1,\"ok\":true,\"names\":null}\n"};
    for (size_t i = 0; i < 3; i++) {
        struct portolan_listing *listing;
        ck_assert_int_eq(names_of(replies[i], &listing), PORTOLAN_ERROR_REPLY);
        ck_assert_ptr_null(listing);
        assert_message("invalid reply from portoland");
    }
}
END_TEST

START_TEST(a_cluster_has_so_many_names_and_no_more) {
    static char reply[64 + (PORTOLAN_CLUSTER_NAMES_MAX + 1) * 3];
    for (size_t more = 0; more < 2; more++) {
        const size_t count = PORTOLAN_CLUSTER_NAMES_MAX + more;
        struct portolan_listing *listing;
        char *at = reply + sprintf(reply, "{\"v\":1,\"ok\":true,\"names\":[0");
        for (size_t i = 1; i < count; i++, at += 2)
            memcpy(at, ",0", 2);
        strcpy(at, "]}\n");
        enum portolan_code code = names_of(reply, &listing);
        ck_assert_int_eq(code, more == 0 ? PORTOLAN_OK : PORTOLAN_ERROR_TOO_LARGE);
        if (more == 0)
            ck_assert_uint_eq(portolan_listing_malformed(listing), count);
        else
            assert_message("portoland lists more than");
        portolan_listing_free(listing);
    }
}
END_TEST

static enum portolan_code released(const char *reply) {
    start_daemon(reply);
    enum portolan_code code = portolan_release("emqx@s1", &options, &last_error);
    fake_server_stop(&server);
    return code;
}

START_TEST(a_release_is_asked_for_and_answered) {
    ck_assert_int_eq(released("{\"v\":1,\"ok\":true}\n"), PORTOLAN_OK);
    assert_requested("{\"v\":1,\"command\":\"release\",\"node\":\"emqx@s1\"}\n");
    ck_assert_str_eq(last_error.message, "");
    ck_assert_int_eq(released("{\"v\":1}\n"), PORTOLAN_ERROR_REPLY);
    ck_assert_int_eq(released("{\"v\":2,\"ok\":true}\n"), PORTOLAN_ERROR_REPLY);
    ck_assert_int_eq(released("{\"v\":0,\"ok\":true}\n"), PORTOLAN_ERROR_REPLY);
}
END_TEST

START_TEST(each_refusal_has_its_code) {
    static const struct {
        const char *word;
        enum portolan_code code;
    } refusals[] = {
        {"not_found", PORTOLAN_ERROR_NOT_FOUND},   {"denied", PORTOLAN_ERROR_DENIED},
        {"pool_full", PORTOLAN_ERROR_PORTS_TAKEN}, {"port_taken", PORTOLAN_ERROR_PORTS_TAKEN},
        {"no_port", PORTOLAN_ERROR_NO_PORT},       {"another", PORTOLAN_ERROR_DAEMON},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        char reply[128];
        snprintf(reply, sizeof reply,
                 "{\"v\":1,\"ok\":false,\"error\":{\"code\":\"%s\",\"message\":\"so it is\"}}\n",
                 refusals[i].word);
        ck_assert_int_eq(released(reply), refusals[i].code);
        assert_message("portoland reports: so it is");
        snprintf(reply, sizeof reply, "{\"v\":1,\"ok\":false,\"error\":{\"code\":\"%s\"}}\n",
                 refusals[i].word);
        ck_assert_int_eq(released(reply), refusals[i].code);
        assert_message(refusals[i].word);
    }
    ck_assert_int_eq(released("{\"v\":1,\"ok\":false,\"error\":{}}\n"), PORTOLAN_ERROR_REPLY);
}
END_TEST

Suite *client_cluster_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("client_cluster", &tests);
    tcase_add_test(tests, names_of_a_cluster_are_read_whole);
    tcase_add_test(tests, a_name_without_name_host_or_port_is_left_out_and_counted);
    tcase_add_test(tests, names_that_are_no_list_are_malformed);
    tcase_add_test(tests, a_cluster_has_so_many_names_and_no_more);
    tcase_add_test(tests, a_release_is_asked_for_and_answered);
    tcase_add_test(tests, each_refusal_has_its_code);
    return suite;
}
