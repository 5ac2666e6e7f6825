#include "erlang/epmd_wire.h"

#include "assertions.h"
#include "erlang/node_name.h"
#include "seeded.h"
#include "suites.h"
#include "wire_encoder.h"

#include <string.h>

#define SOME_NODE                                                                                  \
    "\x64\x54\x4d\x00\x00\x06\x00\x05" /* port 25684, normal, TCP, versions 6 to 5                 \
                                        */

static enum epmd_decode decode(struct bytes payload, struct epmd_request *request) {
    return epmd_request_decode(payload, request);
}

/* --- frames --- */

START_TEST(a_frame_cut_anywhere_is_incomplete) {
    const struct bytes frame = LITERAL("\x00\x07zrabbit");
    struct bytes payload;

    for (size_t len = 0; len < frame.len; len++)
        ck_assert_int_eq(epmd_frame_parse(bytes_of(frame.data, len), &payload),
                         EPMD_FRAME_INCOMPLETE);
    ck_assert_int_eq(epmd_frame_parse(frame, &payload), EPMD_FRAME_COMPLETE);
    assert_bytes(payload, LITERAL("zrabbit"));
}
END_TEST

START_TEST(bytes_beyond_the_length_are_an_overrun) {
    struct bytes payload;

    ck_assert_int_eq(epmd_frame_parse(LITERAL("\x00\x01nn"), &payload), EPMD_FRAME_OVERRUN);
    ck_assert_int_eq(epmd_frame_parse(LITERAL("\x00\x01n\x00\x01n"), &payload), EPMD_FRAME_OVERRUN);
}
END_TEST

START_TEST(a_length_is_judged_before_its_bytes_come) {
    struct bytes payload;

    ck_assert_int_eq(epmd_frame_parse(LITERAL("\x00\x00"), &payload), EPMD_FRAME_BAD_LENGTH);
    ck_assert_int_eq(epmd_frame_parse(LITERAL("\x0b\xf1"), &payload), EPMD_FRAME_INCOMPLETE);
    ck_assert_int_eq(epmd_frame_parse(LITERAL("\x0b\xf2"), &payload), EPMD_FRAME_BAD_LENGTH);
    ck_assert_int_eq(epmd_frame_parse(LITERAL("\xff\xff"), &payload), EPMD_FRAME_BAD_LENGTH);
}
END_TEST

START_TEST(the_longest_request_is_a_whole_frame) {
    uint8_t frame[EPMD_FRAME_MAX] = {EPMD_REQUEST_MAX >> 8, EPMD_REQUEST_MAX & 0xff, 'z'};
    struct bytes payload;

    ck_assert_int_eq(epmd_frame_parse(bytes_of(frame, sizeof frame), &payload),
                     EPMD_FRAME_COMPLETE);
    ck_assert_uint_eq(payload.len, EPMD_REQUEST_MAX);
}
END_TEST

/* --- requests --- */

START_TEST(a_registration_says_all_of_the_node) {
    struct epmd_request request;

    ck_assert_int_eq(decode(LITERAL("x" SOME_NODE "\x00\x06rabbit\x00\x03xyz"), &request),
                     EPMD_DECODE_OK);

    ck_assert_int_eq(request.operation, EPMD_ALIVE2);
    ck_assert_uint_eq(request.node.port, 25684);
    ck_assert_uint_eq(request.node.type, EPMD_NODE_NORMAL);
    ck_assert_uint_eq(request.node.protocol, 0);
    ck_assert_uint_eq(request.node.highest_version, 6);
    ck_assert_uint_eq(request.node.lowest_version, 5);
    assert_bytes(request.node.name, LITERAL("rabbit"));
    assert_bytes(request.node.extra, LITERAL("xyz"));
}
END_TEST

START_TEST(a_registration_cut_anywhere_is_refused) {
    const struct bytes whole = LITERAL("x" SOME_NODE "\x00\x06rabbit\x00\x03xyz");
    struct epmd_request request;

    for (size_t len = 0; len < whole.len; len++)
        ck_assert_int_ne(decode(bytes_of(whole.data, len), &request), EPMD_DECODE_OK);
    ck_assert_int_eq(decode(bytes_of(whole.data, 10), &request), EPMD_DECODE_TOO_SHORT);
    ck_assert_int_eq(decode(bytes_of(whole.data, 12), &request), EPMD_DECODE_TOO_SHORT);
    ck_assert_int_eq(decode(bytes_of(whole.data, 18), &request), EPMD_DECODE_NAME_SIZE);
    ck_assert_int_eq(decode(bytes_of(whole.data, 20), &request), EPMD_DECODE_EXTRA_SIZE);
}
END_TEST

START_TEST(bytes_behind_the_extra_data_are_ignored) {
    struct epmd_request request;

    ck_assert_int_eq(decode(LITERAL("x" SOME_NODE "\x00\x01r\x00\x01xyz"), &request),
                     EPMD_DECODE_OK);
    assert_bytes(request.node.extra, LITERAL("x"));
}
END_TEST

START_TEST(a_registration_without_a_name_or_with_a_nul_is_refused) {
    struct epmd_request request;

    ck_assert_int_eq(decode(LITERAL("x" SOME_NODE "\x00\x00\x00\x00"), &request),
                     EPMD_DECODE_BAD_NAME);
    ck_assert_int_eq(decode(LITERAL("x" SOME_NODE "\x00\x03r\x00t\x00\x00"), &request),
                     EPMD_DECODE_BAD_NAME);
    /* the other rules of names are the registry's, which answers */
    ck_assert_int_eq(decode(LITERAL("x" SOME_NODE "\x00\x01\xff\x00\x00"), &request),
                     EPMD_DECODE_OK);
}
END_TEST

START_TEST(a_look_up_may_end_with_one_nul) {
    struct epmd_request request;

    ck_assert_int_eq(decode(LITERAL("zrabbit"), &request), EPMD_DECODE_OK);
    assert_bytes(request.name, LITERAL("rabbit"));
    ck_assert_int_eq(decode(LITERAL("zrabbit\0"), &request), EPMD_DECODE_OK);
    assert_bytes(request.name, LITERAL("rabbit"));
    ck_assert_int_eq(decode(LITERAL("zrabbit\0\0"), &request), EPMD_DECODE_BAD_NAME);
}
END_TEST

START_TEST(a_look_up_of_no_name_is_refused) {
    struct epmd_request request;

    ck_assert_int_eq(decode(LITERAL("z"), &request), EPMD_DECODE_TOO_SHORT);
    ck_assert_int_eq(decode(LITERAL("z\0"), &request), EPMD_DECODE_BAD_NAME);
    ck_assert_int_eq(decode(LITERAL("z\xc3"), &request), EPMD_DECODE_BAD_NAME);
}
END_TEST

START_TEST(a_stop_names_any_bytes_up_to_the_first_nul) {
    struct epmd_request request;

    ck_assert_int_eq(decode(LITERAL("srab\0bit"), &request), EPMD_DECODE_OK);
    assert_bytes(request.name, LITERAL("rab"));
    ck_assert_int_eq(decode(LITERAL("s\xff\xfe"), &request), EPMD_DECODE_OK);
    assert_bytes(request.name, LITERAL("\xff\xfe"));
    ck_assert_int_eq(decode(LITERAL("s\0"), &request), EPMD_DECODE_OK);
    assert_bytes(request.name, LITERAL(""));
    ck_assert_int_eq(decode(LITERAL("s"), &request), EPMD_DECODE_TOO_SHORT);
}
END_TEST

START_TEST(only_six_operations_are_known) {
    struct epmd_request request;

    for (unsigned operation = 0; operation < 256; operation++) {
        const uint8_t payload[] = {(uint8_t)operation, 'a'};
        enum epmd_decode verdict = decode(bytes_of(payload, sizeof payload), &request);
        bool known = operation != 0 && strchr("xzndks", (int)operation) != NULL;
        ck_assert_int_eq(verdict != EPMD_DECODE_UNKNOWN_OPERATION, known);
        ck_assert_int_eq(
            strcmp(epmd_operation_name((enum epmd_operation)operation), "unknown") != 0, known);
    }
    ck_assert_int_eq(decode(LITERAL(""), &request), EPMD_DECODE_TOO_SHORT);
}
END_TEST

START_TEST(every_refusal_has_a_reason) {
    for (int error = EPMD_DECODE_OK; error <= EPMD_DECODE_BAD_NAME; error++) {
        for (int other = EPMD_DECODE_OK; other < error; other++)
            ck_assert_str_ne(epmd_decode_reason((enum epmd_decode)error),
                             epmd_decode_reason((enum epmd_decode)other));
    }
}
END_TEST

START_TEST(hidden_nodes_are_told_from_normal_ones) {
    ck_assert_str_eq(epmd_node_type_name(EPMD_NODE_NORMAL), "normal");
    ck_assert_str_eq(epmd_node_type_name(EPMD_NODE_HIDDEN), "hidden");
    ck_assert_str_eq(epmd_node_type_name(EPMD_NODE_HIDDEN_C), "hidden");
    ck_assert_str_eq(epmd_node_type_name(0), "other");
}
END_TEST

static struct epmd_node random_node(struct seeded *random, uint8_t *name, uint8_t *extra) {
    size_t extra_len = seeded_below(random, EPMD_EXTRA_MAX + 1);
    seeded_fill(random, extra, extra_len);
    return (struct epmd_node){
        .port = (uint16_t)seeded_next(random),
        .type = (uint8_t)seeded_next(random),
        .protocol = (uint8_t)seeded_next(random),
        .highest_version = (uint16_t)seeded_next(random),
        .lowest_version = (uint16_t)seeded_next(random),
        .name = seeded_utf8(random, name, 1 + seeded_below(random, ALIVE_NAME_MAX_CHARACTERS)),
        .extra = bytes_of(extra, extra_len),
    };
}

static void assert_same_node(const struct epmd_node *node, const struct epmd_node *expected) {
    ck_assert_uint_eq(node->port, expected->port);
    ck_assert_uint_eq(node->type, expected->type);
    ck_assert_uint_eq(node->protocol, expected->protocol);
    ck_assert_uint_eq(node->highest_version, expected->highest_version);
    ck_assert_uint_eq(node->lowest_version, expected->lowest_version);
    assert_bytes(node->name, expected->name);
    assert_bytes(node->extra, expected->extra);
}

START_TEST(what_a_node_encodes_is_what_is_decoded) {
    struct seeded random = seeded_stream("nodes");

    for (int i = 0; i < 2000; i++) {
        uint8_t name[ALIVE_NAME_MAX_BYTES], extra[EPMD_EXTRA_MAX], frame[EPMD_FRAME_MAX];
        struct epmd_node node = random_node(&random, name, extra);
        struct writer writer = writer_of(frame, sizeof frame);
        struct bytes payload;
        struct epmd_request request;
        wire_write_alive2(&writer, &node);

        ck_assert_int_eq(epmd_frame_parse(writer_bytes(&writer), &payload), EPMD_FRAME_COMPLETE);
        ck_assert_int_eq(decode(payload, &request), EPMD_DECODE_OK);
        assert_same_node(&request.node, &node);
    }
}
END_TEST

START_TEST(what_a_client_asks_is_what_is_decoded) {
    static const enum epmd_operation operations[] = {EPMD_PORT_PLEASE2, EPMD_NAMES, EPMD_DUMP,
                                                     EPMD_KILL, EPMD_STOP};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        bool named = operations[i] == EPMD_PORT_PLEASE2 || operations[i] == EPMD_STOP;
        struct bytes name = bytes_of_text(named ? "rabbit" : "");
        uint8_t frame[EPMD_FRAME_MAX];
        struct writer writer = writer_of(frame, sizeof frame);
        struct bytes payload;
        struct epmd_request request;
        epmd_write_request(&writer, operations[i], name);

        ck_assert_int_eq(epmd_frame_parse(writer_bytes(&writer), &payload), EPMD_FRAME_COMPLETE);
        ck_assert_int_eq(decode(payload, &request), EPMD_DECODE_OK);
        ck_assert_int_eq(request.operation, operations[i]);
        assert_bytes(request.name, name);
    }
}
END_TEST

/* --- replies --- */

START_TEST(a_registered_node_gets_the_creation_its_version_understands) {
    uint8_t buffer[16];
    struct writer writer = writer_of(buffer, sizeof buffer);

    epmd_write_alive2_reply(&writer, 6, true, 0x01020304);
    assert_bytes(writer_bytes(&writer), LITERAL("v\x00\x01\x02\x03\x04"));

    writer = writer_of(buffer, sizeof buffer);
    epmd_write_alive2_reply(&writer, 5, true, 3);
    assert_bytes(writer_bytes(&writer), LITERAL("y\x00\x00\x03"));

    writer = writer_of(buffer, sizeof buffer);
    epmd_write_alive2_reply(&writer, 6, false, EPMD_CREATION_REFUSED);
    assert_bytes(writer_bytes(&writer), LITERAL("v\x01\x00\x00\x00\x63"));
}
END_TEST

START_TEST(an_unknown_name_is_two_bytes) {
    uint8_t buffer[16];
    struct writer writer = writer_of(buffer, sizeof buffer);

    epmd_write_port2_reply(&writer, NULL);
    assert_bytes(writer_bytes(&writer), LITERAL("w\x01"));
}
END_TEST

START_TEST(a_known_name_comes_with_all_of_its_node) {
    const struct epmd_node node = {.port = 25684,
                                   .type = EPMD_NODE_NORMAL,
                                   .highest_version = 6,
                                   .lowest_version = 5,
                                   .name = LITERAL("rabbit"),
                                   .extra = LITERAL("xyz")};
    uint8_t buffer[64];
    struct writer writer = writer_of(buffer, sizeof buffer);

    epmd_write_port2_reply(&writer, &node);
    assert_bytes(writer_bytes(&writer), LITERAL("w\x00" SOME_NODE "\x00\x06rabbit\x00\x03xyz"));
}
END_TEST

START_TEST(the_longest_short_reply_has_exactly_the_room_it_was_promised) {
    uint8_t name[ALIVE_NAME_MAX_BYTES], extra[EPMD_EXTRA_MAX], buffer[EPMD_SHORT_REPLY_MAX];
    memset(name, 'n', sizeof name);
    memset(extra, 'e', sizeof extra);
    const struct epmd_node node = {.name = bytes_of(name, sizeof name),
                                   .extra = bytes_of(extra, sizeof extra)};
    struct writer writer = writer_of(buffer, sizeof buffer);

    epmd_write_port2_reply(&writer, &node);
    ck_assert(!writer.failed);
    ck_assert_uint_eq(writer.len, EPMD_SHORT_REPLY_MAX);
}
END_TEST

START_TEST(lines_are_those_of_stock_epmd) {
    const struct epmd_node node = {.port = 25684, .name = LITERAL("rabbit")};
    uint8_t buffer[128];
    struct writer writer = writer_of(buffer, sizeof buffer);

    epmd_write_names_line(&writer, node.name, node.port);
    assert_bytes(writer_bytes(&writer), LITERAL("name rabbit at port 25684\n"));

    writer = writer_of(buffer, sizeof buffer);
    epmd_write_dump_line(&writer, &node, 7);
    assert_bytes(writer_bytes(&writer),
                 LITERAL("active name     <rabbit> at port 25684, fd = 7\n\0"));

    writer = writer_of(buffer, sizeof buffer);
    epmd_write_dump_unused_line(&writer, node.name, 1, 0);
    assert_bytes(writer_bytes(&writer), LITERAL("old/unused name <rabbit>, port = 1, fd = 0 \n\0"));
}
END_TEST

START_TEST(reasons_and_operations_have_their_texts) {
    static const char *const reasons[] = {
        [EPMD_DECODE_OK] = "no error",
        [EPMD_DECODE_UNKNOWN_OPERATION] = "unknown operation",
        [EPMD_DECODE_TOO_SHORT] = "request too short",
        [EPMD_DECODE_NAME_SIZE] = "name exceeds the request",
        [EPMD_DECODE_EXTRA_SIZE] = "extra data exceeds the request",
        [EPMD_DECODE_BAD_NAME] = "not a valid node name",
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        ck_assert_str_eq(epmd_decode_reason((enum epmd_decode)i), reasons[i]);
    ck_assert_str_eq(epmd_operation_name(EPMD_ALIVE2), "ALIVE2");
    ck_assert_str_eq(epmd_operation_name(EPMD_PORT_PLEASE2), "PORT_PLEASE2");
    ck_assert_str_eq(epmd_operation_name(EPMD_NAMES), "NAMES");
    ck_assert_str_eq(epmd_operation_name(EPMD_DUMP), "DUMP");
    ck_assert_str_eq(epmd_operation_name(EPMD_KILL), "KILL");
    ck_assert_str_eq(epmd_operation_name(EPMD_STOP), "STOP");
}
END_TEST

Suite *epmd_wire_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("epmd_wire", &tests);
    tcase_add_test(tests, reasons_and_operations_have_their_texts);
    tcase_add_test(tests, a_frame_cut_anywhere_is_incomplete);
    tcase_add_test(tests, bytes_beyond_the_length_are_an_overrun);
    tcase_add_test(tests, a_length_is_judged_before_its_bytes_come);
    tcase_add_test(tests, the_longest_request_is_a_whole_frame);
    tcase_add_test(tests, a_registration_says_all_of_the_node);
    tcase_add_test(tests, a_registration_cut_anywhere_is_refused);
    tcase_add_test(tests, bytes_behind_the_extra_data_are_ignored);
    tcase_add_test(tests, a_registration_without_a_name_or_with_a_nul_is_refused);
    tcase_add_test(tests, a_look_up_may_end_with_one_nul);
    tcase_add_test(tests, a_look_up_of_no_name_is_refused);
    tcase_add_test(tests, a_stop_names_any_bytes_up_to_the_first_nul);
    tcase_add_test(tests, only_six_operations_are_known);
    tcase_add_test(tests, every_refusal_has_a_reason);
    tcase_add_test(tests, hidden_nodes_are_told_from_normal_ones);
    tcase_add_test(tests, what_a_node_encodes_is_what_is_decoded);
    tcase_add_test(tests, what_a_client_asks_is_what_is_decoded);
    tcase_add_test(tests, a_registered_node_gets_the_creation_its_version_understands);
    tcase_add_test(tests, an_unknown_name_is_two_bytes);
    tcase_add_test(tests, a_known_name_comes_with_all_of_its_node);
    tcase_add_test(tests, the_longest_short_reply_has_exactly_the_room_it_was_promised);
    tcase_add_test(tests, lines_are_those_of_stock_epmd);
    return suite;
}
