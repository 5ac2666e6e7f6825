/* What the client library makes of replies, good and hostile: its parsers alone. */
#include "assertions.h"
#include "client/control.h"
#include "client/names_reply.h"
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOUND_AT_25684 "w\x00\x64\x54\x4d\x00\x00\x06\x00\x05"
#define RABBIT LITERAL("rabbit")

/* --- PORT2 --- */

START_TEST(a_found_node_is_read_whole) {
    struct epmd_node node;

    ck_assert_int_eq(
        epmd_reply_port2(LITERAL(FOUND_AT_25684 "\x00\x06rabbit\x00\x02xy"), RABBIT, &node),
        EPMD_REPLY_COMPLETE);

    ck_assert_uint_eq(node.port, 25684);
    ck_assert_uint_eq(node.type, PORTOLAN_NODE_NORMAL);
    ck_assert_uint_eq(node.highest_version, 6);
    ck_assert_uint_eq(node.lowest_version, 5);
    assert_bytes(node.extra, LITERAL("xy"));
}
END_TEST

START_TEST(a_found_node_cut_anywhere_is_incomplete) {
    const struct bytes whole = LITERAL(FOUND_AT_25684 "\x00\x06rabbit\x00\x02xy");
    struct epmd_node node;

    for (size_t len = 0; len < whole.len; len++)
        ck_assert_int_eq(epmd_reply_port2(bytes_of(whole.data, len), RABBIT, &node),
                         EPMD_REPLY_INCOMPLETE);
}
END_TEST

START_TEST(an_unknown_node_is_two_bytes) {
    struct epmd_node node;

    ck_assert_int_eq(epmd_reply_port2(LITERAL("w\x01"), RABBIT, &node), EPMD_REPLY_NO);
    ck_assert_int_eq(epmd_reply_port2(LITERAL("w\xff rubbish"), RABBIT, &node), EPMD_REPLY_NO);
}
END_TEST

START_TEST(another_node_than_asked_for_is_malformed) {
    struct epmd_node node;

    ck_assert_int_eq(
        epmd_reply_port2(LITERAL(FOUND_AT_25684 "\x00\x06robbit\x00\x00"), RABBIT, &node),
        EPMD_REPLY_MALFORMED);
    /* judged before the 65,535 bytes are waited for */
    ck_assert_int_eq(epmd_reply_port2(LITERAL(FOUND_AT_25684 "\xff\xff"), RABBIT, &node),
                     EPMD_REPLY_MALFORMED);
    ck_assert_int_eq(
        epmd_reply_port2(LITERAL(FOUND_AT_25684 "\x00\x06rabbit\x03\xfd"), RABBIT, &node),
        EPMD_REPLY_MALFORMED);
}
END_TEST

START_TEST(another_operation_is_malformed_from_its_first_byte) {
    struct epmd_node node;
    uint32_t creation;

    ck_assert_int_eq(epmd_reply_port2(LITERAL("v"), RABBIT, &node), EPMD_REPLY_MALFORMED);
    ck_assert_int_eq(epmd_reply_port2(LITERAL("HTTP/1.1"), RABBIT, &node), EPMD_REPLY_MALFORMED);
    ck_assert_int_eq(epmd_reply_alive2(LITERAL("w"), &creation), EPMD_REPLY_MALFORMED);
}
END_TEST

/* --- ALIVE2 --- */

START_TEST(a_registration_has_a_creation_of_either_width) {
    uint32_t creation;

    ck_assert_int_eq(epmd_reply_alive2(LITERAL("v\x00\x6b\x04\x00\x01"), &creation),
                     EPMD_REPLY_COMPLETE);
    ck_assert_uint_eq(creation, 0x6b040001);
    ck_assert_int_eq(epmd_reply_alive2(LITERAL("y\x00\x00\x03"), &creation), EPMD_REPLY_COMPLETE);
    ck_assert_uint_eq(creation, 3);
}
END_TEST

START_TEST(a_refusal_is_told_apart_from_rubbish) {
    uint32_t creation;

    ck_assert_int_eq(epmd_reply_alive2(LITERAL("v\x01\x00\x00\x00\x63"), &creation), EPMD_REPLY_NO);
    ck_assert_int_eq(epmd_reply_alive2(LITERAL("v\x00\x00\x00\x00\x00"), &creation),
                     EPMD_REPLY_MALFORMED);
    ck_assert_int_eq(epmd_reply_alive2(LITERAL("y\x00\x00\x03!"), &creation), EPMD_REPLY_MALFORMED);
    for (size_t len = 0; len < 6; len++)
        ck_assert_int_eq(epmd_reply_alive2(bytes_of("v\x00\x00\x00\x00\x07", len), &creation),
                         EPMD_REPLY_INCOMPLETE);
}
END_TEST

/* --- NAMES --- */

#define HEAD "\x00\x00\x11\x11"

START_TEST(names_come_in_the_order_of_the_answer) {
    struct portolan_listing *listing;

    ck_assert_int_eq(
        epmd_reply_names(LITERAL(HEAD "name b at port 2\nname a at port 65535\n"), &listing),
        EPMD_REPLY_COMPLETE);

    ck_assert_uint_eq(listing->epmd_port, 4369);
    ck_assert_uint_eq(listing->count, 2);
    ck_assert_str_eq(listing->names[0].name, "b");
    ck_assert_uint_eq(listing->names[0].port, 2);
    ck_assert_str_eq(listing->names[1].name, "a");
    ck_assert_uint_eq(listing->names[1].port, 65535);
    portolan_listing_free(listing);
}
END_TEST

START_TEST(a_name_may_hold_the_words_around_names) {
    struct portolan_listing *listing;

    ck_assert_int_eq(epmd_reply_names(LITERAL(HEAD "name name a at port 1 at port 2\n"), &listing),
                     EPMD_REPLY_COMPLETE);

    ck_assert_uint_eq(listing->count, 1);
    ck_assert_str_eq(listing->names[0].name, "name a at port 1");
    ck_assert_uint_eq(listing->names[0].port, 2);
    portolan_listing_free(listing);
}
END_TEST

START_TEST(lines_of_another_form_are_left_out_and_counted) {
    struct portolan_listing *listing;

    ck_assert_int_eq(epmd_reply_names(LITERAL(HEAD "\nname  at port 1\nname a at port \n"
                                                   "name a at port 65536\nname a at port -1\n"
                                                   "name \xff at port 1\nname a\x00 at port 1\n"
                                                   "nam\nname a at port 123456789\n"
                                                   "name ok at port 7\n"),
                                      &listing),
                     EPMD_REPLY_COMPLETE);

    ck_assert_uint_eq(listing->count, 1);
    ck_assert_uint_eq(listing->malformed, 9);
    ck_assert_str_eq(listing->names[0].name, "ok");
    portolan_listing_free(listing);
}
END_TEST

START_TEST(a_listing_cut_within_a_line_is_incomplete) {
    const struct bytes whole = LITERAL(HEAD "name rabbit at port 25684\n");
    struct portolan_listing *listing;

    for (size_t len = 0; len < whole.len; len++) {
        enum epmd_reply reply = epmd_reply_names(bytes_of(whole.data, len), &listing);
        ck_assert_int_eq(reply, len == 4 ? EPMD_REPLY_COMPLETE : EPMD_REPLY_INCOMPLETE);
        if (len == 4)
            portolan_listing_free(listing);
    }
}
END_TEST

START_TEST(a_daemon_port_that_is_none_is_malformed_at_once) {
    struct epmd_names_scan scan = {0};
    struct portolan_listing *listing;

    ck_assert_int_eq(epmd_reply_names_scan(&scan, LITERAL("HTTP")), EPMD_REPLY_MALFORMED);
    ck_assert_int_eq(epmd_reply_names_scan(&scan, LITERAL("\0\0\0\0")), EPMD_REPLY_MALFORMED);
    ck_assert_int_eq(epmd_reply_names(LITERAL("HTTP"), &listing), EPMD_REPLY_MALFORMED);
    ck_assert_int_eq(epmd_reply_names_scan(&scan, LITERAL("HTT")), EPMD_REPLY_INCOMPLETE);
}
END_TEST

START_TEST(too_many_names_are_noticed_while_they_come) {
    const size_t most = PORTOLAN_NAMES_MAX, line = strlen("name a at port 1\n");
    struct epmd_names_scan scan = {0};
    struct portolan_listing *listing;
    size_t len = 4 + (most + 1) * line;
    uint8_t *reply = malloc(len + 1);
    ck_assert_ptr_nonnull(reply);
    memcpy(reply, HEAD, 4);
    for (size_t i = 0; i <= most; i++)
        memcpy(reply + 4 + i * line, "name a at port 1\n", line + 1);

    ck_assert_int_eq(epmd_reply_names_scan(&scan, bytes_of(reply, 3 * line)),
                     EPMD_REPLY_INCOMPLETE);
    ck_assert_int_eq(epmd_reply_names_scan(&scan, bytes_of(reply, len - line)),
                     EPMD_REPLY_INCOMPLETE);
    ck_assert_int_eq(epmd_reply_names_scan(&scan, bytes_of(reply, len)), EPMD_REPLY_TOO_LARGE);
    ck_assert_int_eq(epmd_reply_names(bytes_of(reply, len), &listing), EPMD_REPLY_TOO_LARGE);
    ck_assert_int_eq(epmd_reply_names(bytes_of(reply, len - line), &listing), EPMD_REPLY_COMPLETE);
    ck_assert_uint_eq(listing->count, most);
    portolan_listing_free(listing);
    free(reply);
}
END_TEST

/* --- the control socket --- */

static enum portolan_code answer(enum control_command command, const char *line,
                                 struct control_answer *parsed, struct failure *failure) {
    *failure = (struct failure){.code = PORTOLAN_OK};
    return control_parse_answer(bytes_of_text(line), command, parsed, failure);
}

START_TEST(a_request_escapes_what_json_cannot_hold) {
    struct node node = {.name = "a\"b\\\n", .host = "h"};
    uint8_t line[CONTROL_REQUEST_MAX];
    struct writer writer = writer_of(line, sizeof line);

    control_write_request(&writer, CONTROL_LEASE, &node);

    assert_bytes(writer_bytes(&writer),
                 LITERAL("{\"v\":1,\"command\":\"lease\",\"node\":\"a\\\"b\\\\\\u000a@h\"}\n"));
}
END_TEST

START_TEST(the_longest_request_fits) {
    struct node node;
    uint8_t line[CONTROL_REQUEST_MAX];
    struct writer writer = writer_of(line, sizeof line);
    memset(&node, 1, sizeof node);
    node.name[sizeof node.name - 1] = node.host[sizeof node.host - 1] = '\0';

    control_write_request(&writer, CONTROL_RELEASE, &node);

    ck_assert(!writer.failed);
}
END_TEST

START_TEST(good_answers_are_read) {
    struct control_answer got;
    struct failure failure;

    ck_assert_int_eq(answer(CONTROL_RESOLVE,
                            "{\"v\":1,\"ok\":true,\"node\":\"r@s1\",\"host\":\"s1\",\"port\":25672,"
                            "\"source\":\"registered\"}\n",
                            &got, &failure),
                     PORTOLAN_OK);
    ck_assert_uint_eq(got.port, 25672);
    ck_assert_uint_eq(got.front_port, 0);
    ck_assert_int_eq(answer(CONTROL_RESOLVE,
                            "{\"v\":1,\"ok\":true,\"port\":4371,\"own_port\":25673,"
                            "\"front_port\":4372,\"member\":\"portolan@s2\"}\n",
                            &got, &failure),
                     PORTOLAN_OK);
    ck_assert_uint_eq(got.port, 4371);
    ck_assert_uint_eq(got.own_port, 25673);
    ck_assert_uint_eq(got.front_port, 4372);
    ck_assert_str_eq(got.member, "portolan@s2");
    ck_assert_int_eq(answer(CONTROL_LEASE,
                            "{\"v\":1,\"ok\":true,\"port\":6369,\"held\":false,"
                            "\"expires_in_ms\":60000,\"epmd_port\":4370,\"new\":[1]}\n",
                            &got, &failure),
                     PORTOLAN_OK);
    ck_assert_uint_eq(got.port, 6369);
    ck_assert_uint_eq(got.epmd_port, 4370);
    ck_assert_int_eq(got.expires_in_ms, 60000);
    ck_assert_int_eq(answer(CONTROL_LEASE,
                            "{\"v\":1,\"ok\":true,\"port\":6369,\"held\":true,"
                            "\"expires_in_ms\":null,\"epmd_port\":4370}\n",
                            &got, &failure),
                     PORTOLAN_OK);
    ck_assert(got.held);
    ck_assert_int_eq(got.expires_in_ms, -1);
    ck_assert_int_eq(answer(CONTROL_RELEASE, "{\"v\":1,\"ok\":true}\n", &got, &failure),
                     PORTOLAN_OK);
}
END_TEST

static const char *const bad_answers[] = {
    "\n",
    "[]\n",
    "{}\n",
    "{\"v\":1}\n",
    "{\"v\":2,\"ok\":true,\"port\":1,\"host\":\"h\"}\n",
    "{\"v\":1,\"ok\":1,\"port\":1,\"host\":\"h\"}\n",
    "{\"v\":1,\"ok\":true,\"port\":0,\"host\":\"h\"}\n",
    "{\"v\":1,\"ok\":true,\"port\":65536,\"host\":\"h\"}\n",
    "{\"v\":1,\"ok\":true,\"port\":-1,\"host\":\"h\"}\n",
    "{\"v\":1,\"ok\":true,\"port\":1.0,\"host\":\"h\"}\n",
    "{\"v\":1,\"ok\":true,\"port\":\"1\",\"host\":\"h\"}\n",
    "{\"v\":1,\"ok\":true,\"port\":1,\"host\":\"h\"} {}\n",
    "{\"v\":1,\"ok\":false}\n",
    "{\"v\":1,\"ok\":false,\"error\":[]}\n",
    "{\"v\":1,\"ok\":false,\"error\":{\"code\":7}}\n",
};

START_TEST(an_answer_of_another_form_is_malformed) {
    struct control_answer got;
    struct failure failure;

    ck_assert_int_eq(answer(CONTROL_RESOLVE, bad_answers[_i], &got, &failure),
                     PORTOLAN_ERROR_REPLY);
    ck_assert_int_eq(failure.code, PORTOLAN_ERROR_REPLY);
}
END_TEST

START_TEST(a_deeply_nested_answer_is_malformed) {
    static char deep[CONTROL_LINE_MAX];
    struct control_answer got;
    struct failure failure;
    memset(deep, '[', sizeof deep - 1);

    ck_assert_int_eq(answer(CONTROL_LEASE, deep, &got, &failure), PORTOLAN_ERROR_REPLY);
}
END_TEST

static const struct {
    const char *word;
    enum portolan_code code;
} refusals[] = {
    {"not_found", PORTOLAN_ERROR_NOT_FOUND},    {"denied", PORTOLAN_ERROR_DENIED},
    {"pool_full", PORTOLAN_ERROR_PORTS_TAKEN},  {"port_taken", PORTOLAN_ERROR_PORTS_TAKEN},
    {"no_port", PORTOLAN_ERROR_NO_PORT},        {"failed", PORTOLAN_ERROR_DAEMON},
    {"unknown_command", PORTOLAN_ERROR_DAEMON}, {"of a later version", PORTOLAN_ERROR_DAEMON},
};

START_TEST(a_refusal_keeps_its_code_and_message) {
    char line[256];
    struct control_answer got;
    struct failure failure;
    snprintf(line, sizeof line,
             "{\"v\":1,\"ok\":false,\"error\":{\"code\":\"%s\",\"message\":\"so\\u001b[2Jit\"}}\n",
             refusals[_i].word);

    ck_assert_int_eq(answer(CONTROL_LEASE, line, &got, &failure), refusals[_i].code);

    ck_assert_str_eq(failure.notes, "portoland reports: so\\u001b[2Jit");
}
END_TEST

START_TEST(a_full_pool_says_who_has_its_ports) {
    struct control_answer got;
    struct failure failure;

    answer(
        CONTROL_LEASE,
        "{\"v\":1,\"ok\":false,\"error\":{\"code\":\"pool_full\",\"message\":\"full\",\"holders\":"
        "[{\"name\":\"a\",\"port\":6369},7,{\"name\":\"b2001\",\"port\":6371,\"front\":true}]}}\n",
        &got, &failure);

    ck_assert_str_eq(failure.notes,
                     "portoland reports: full (a has 6369, b2001 has 6371 as its front port)");
}
END_TEST

Suite *client_replies_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("client_replies", &tests);
    tcase_add_test(tests, a_found_node_is_read_whole);
    tcase_add_test(tests, a_found_node_cut_anywhere_is_incomplete);
    tcase_add_test(tests, an_unknown_node_is_two_bytes);
    tcase_add_test(tests, another_node_than_asked_for_is_malformed);
    tcase_add_test(tests, another_operation_is_malformed_from_its_first_byte);
    tcase_add_test(tests, a_registration_has_a_creation_of_either_width);
    tcase_add_test(tests, a_refusal_is_told_apart_from_rubbish);
    tcase_add_test(tests, names_come_in_the_order_of_the_answer);
    tcase_add_test(tests, a_name_may_hold_the_words_around_names);
    tcase_add_test(tests, lines_of_another_form_are_left_out_and_counted);
    tcase_add_test(tests, a_listing_cut_within_a_line_is_incomplete);
    tcase_add_test(tests, a_daemon_port_that_is_none_is_malformed_at_once);
    tcase_add_test(tests, too_many_names_are_noticed_while_they_come);
    tcase_add_test(tests, a_request_escapes_what_json_cannot_hold);
    tcase_add_test(tests, the_longest_request_fits);
    tcase_add_test(tests, good_answers_are_read);
    tcase_add_loop_test(tests, an_answer_of_another_form_is_malformed, 0,
                        sizeof bad_answers / sizeof bad_answers[0]);
    tcase_add_test(tests, a_deeply_nested_answer_is_malformed);
    tcase_add_loop_test(tests, a_refusal_keeps_its_code_and_message, 0,
                        sizeof refusals / sizeof refusals[0]);
    tcase_add_test(tests, a_full_pool_says_who_has_its_ports);
    return suite;
}
