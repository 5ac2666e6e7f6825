#include "erlang/first_bytes.h"

#include "assertions.h"
#include "erlang/epmd_wire.h"
#include "net/tls.h"
#include "seeded.h"
#include "some_hello.h"
#include "suites.h"
#include "wire_encoder.h"

#include <stdlib.h>
#include <string.h>

#define OF_A_NODE                                                                                  \
    LITERAL("\x00\x12N\x00\x00\x00\x0d\x07\xdf\x7f\xbd\x00\x00\x00\x4d\x00\x03"                    \
            "a@h")
#define OF_AN_OLD_NODE                                                                             \
    LITERAL("\x00\x0an\x00\x05\x00\x07\x4f\xfd"                                                    \
            "a@h")

static struct some_hello hello;

static struct first_caller judge(struct bytes received) {
    return first_bytes_judge(received, bytes_of_text(TLS_ALPN));
}

static void make_hello(const char *protocol) {
    const char *const names[] = {protocol, NULL};
    some_hello_make(&hello, names, 0);
}

/*
 * What holds of any bytes: the caller's name lies within them; TLS is not taken for something else,
 * and nothing for TLS that does not begin as it does; and an epmd client's request, whole or not,
 * is one's.
 */
static struct first_caller judge_well(struct bytes received) {
    struct first_caller caller = judge(received);
    bool tls = received.len >= 2 && received.data[0] == 0x16 && received.data[1] == 3;
    bool plain = caller.who == FIRST_BYTES_EPMD || caller.who == FIRST_BYTES_DIST;
    ck_assert_int_eq(plain, !tls);
    if (caller.who == FIRST_BYTES_DIST)
        ck_assert(caller.node.len > 0 && caller.node.data > received.data + 2 &&
                  caller.node.data + caller.node.len <= received.data + received.len);
    return caller;
}

/*
 * Whatever pieces the bytes come in, a reader that judges what has come and stops as soon as it is
 * neither EPMD nor MORE sees: EPMD on less than two bytes; then either EPMD up to the whole, or
 * MORE, until there is a verdict. Bytes that follow a verdict on TLS do not change it.
 */
static void assert_steady(struct bytes whole) {
    enum first_bytes last = FIRST_BYTES_EPMD;
    for (size_t len = 0; len <= whole.len; len++) {
        enum first_bytes who = judge_well(bytes_of(whole.data, len)).who;
        if (last == FIRST_BYTES_MORE)
            ck_assert(who != FIRST_BYTES_EPMD && who != FIRST_BYTES_DIST);
        if (last == FIRST_BYTES_LINK || last == FIRST_BYTES_DIST_TLS || last == FIRST_BYTES_NOBODY)
            ck_assert_int_eq(who, last);
        /* more than was announced is nothing that a node does */
        if (last == FIRST_BYTES_DIST)
            ck_assert_int_eq(who, FIRST_BYTES_EPMD);
        last = who;
    }
}

static void assert_who(struct bytes received, enum first_bytes who) {
    assert_steady(received);
    ck_assert_int_eq(judge(received).who, who);
}

START_TEST(nothing_and_little_is_an_epmd_clients) {
    assert_who(LITERAL(""), FIRST_BYTES_EPMD);
    assert_who(LITERAL("\x00"), FIRST_BYTES_EPMD);
    assert_who(LITERAL("\x16"), FIRST_BYTES_EPMD);
    assert_who(LITERAL("\x00\x07"), FIRST_BYTES_EPMD);
    assert_who(LITERAL("\x00\x07N"), FIRST_BYTES_EPMD);
}
END_TEST

START_TEST(every_request_of_the_epmd_protocol_is_an_epmd_clients) {
    static const enum epmd_operation all[] = {EPMD_PORT_PLEASE2, EPMD_NAMES, EPMD_DUMP, EPMD_KILL,
                                              EPMD_STOP};
    uint8_t frame[EPMD_FRAME_MAX];
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        bool named = all[i] == EPMD_PORT_PLEASE2 || all[i] == EPMD_STOP;
        struct writer writer = writer_of(frame, sizeof frame);
        epmd_write_request(&writer, all[i], named ? LITERAL("Nn") : LITERAL(""));
        assert_who(writer_bytes(&writer), FIRST_BYTES_EPMD);
    }
    /* the names and numbers that are likest a handshake's */
    const struct epmd_node node = {
        .port = 0x4e4e, .type = EPMD_NODE_NORMAL, .name = LITERAL("N"), .extra = LITERAL("n")};
    struct writer writer = writer_of(frame, sizeof frame);
    wire_write_alive2(&writer, &node);
    assert_who(writer_bytes(&writer), FIRST_BYTES_EPMD);
}
END_TEST

START_TEST(a_names_request_is_told_from_an_old_node_by_its_length) {
    assert_who(LITERAL("\x00\x01n"), FIRST_BYTES_EPMD);
    assert_who(OF_AN_OLD_NODE, FIRST_BYTES_DIST);
    /* a NAMES request that is longer than itself is not a handshake either */
    assert_who(LITERAL("\x00\x03n\x00\x05"), FIRST_BYTES_EPMD);
}
END_TEST

START_TEST(a_node_is_known_when_its_packet_is_whole) {
    const struct bytes packets[] = {OF_A_NODE, OF_AN_OLD_NODE};
    for (int i = 0; i < 2; i++) {
        assert_who(packets[i], FIRST_BYTES_DIST);
        assert_bytes(judge(packets[i]).node, LITERAL("a@h"));
        for (size_t len = 0; len < packets[i].len; len++)
            ck_assert_int_eq(judge(bytes_of(packets[i].data, len)).who, FIRST_BYTES_EPMD);
    }
}
END_TEST

START_TEST(a_node_that_says_more_than_its_packet_is_left_to_epmds_framing) {
    uint8_t more[64];
    const struct bytes packet = OF_A_NODE;
    memcpy(more, packet.data, packet.len);
    more[packet.len] = 0;
    assert_who(bytes_of(more, packet.len + 1), FIRST_BYTES_EPMD);
}
END_TEST

START_TEST(a_handshake_that_names_nobody_is_no_nodes) {
    assert_who(LITERAL("\x00\x0fN\x00\x00\x00\x0d\x07\xdf\x7f\xbd\x00\x00\x00\x4d\x00\x00"),
               FIRST_BYTES_EPMD);
    assert_who(LITERAL("\x00\x08n\x00\x06\x00\x07\x4f\xfd"
                       "a"),
               FIRST_BYTES_EPMD);
}
END_TEST

START_TEST(tls_is_a_peers_or_a_nodes_once_its_hello_is_whole) {
    make_hello(TLS_ALPN);
    assert_who(some_hello_bytes(&hello), FIRST_BYTES_LINK);
    assert_who(bytes_of(hello.data, hello.len - 1), FIRST_BYTES_MORE);
    make_hello("h2");
    assert_who(some_hello_bytes(&hello), FIRST_BYTES_DIST_TLS);
    hello.data[5] = 9;
    assert_who(some_hello_bytes(&hello), FIRST_BYTES_NOBODY);
}
END_TEST

START_TEST(the_protocol_is_the_one_that_is_asked_for) {
    make_hello("portolan/2");
    ck_assert_int_eq(first_bytes_judge(some_hello_bytes(&hello), LITERAL("portolan/2")).who,
                     FIRST_BYTES_LINK);
    ck_assert_int_eq(judge(some_hello_bytes(&hello)).who, FIRST_BYTES_DIST_TLS);
}
END_TEST

START_TEST(other_protocols_are_left_to_epmds_framing) {
    assert_who(LITERAL("GET / HTTP/1.1\r\n\r\n"), FIRST_BYTES_EPMD);
    assert_who(LITERAL("SSH-2.0-x\r\n"), FIRST_BYTES_EPMD);
    assert_who(LITERAL("\xff\xff\xff\xff"), FIRST_BYTES_EPMD);
    assert_who(LITERAL("\x00\x00"), FIRST_BYTES_EPMD);
}
END_TEST

/* Random bytes, and good packets with a few bytes changed. */
START_TEST(the_verdict_is_steady_for_any_bytes) {
    struct seeded random = seeded_stream("first_bytes");
    const struct bytes nodes[] = {OF_A_NODE, OF_AN_OLD_NODE};
    uint8_t input[256];
    make_hello(TLS_ALPN);
    for (int round = 0; round < 3000; round++) {
        size_t len = seeded_below(&random, 64);
        seeded_fill(&random, input, len);
        if (seeded_chance(&random, 80)) {
            const struct bytes good = seeded_chance(&random, 50) ? some_hello_bytes(&hello)
                                                                 : nodes[seeded_below(&random, 2)];
            len = good.len;
            memcpy(input, good.data, len);
            for (size_t changes = seeded_below(&random, 3); changes > 0; changes--)
                input[seeded_below(&random, len)] = (uint8_t)seeded_next(&random);
        }
        assert_steady(bytes_of(input, len));
    }
}
END_TEST

Suite *first_bytes_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("first_bytes", &tests);
    tcase_add_test(tests, nothing_and_little_is_an_epmd_clients);
    tcase_add_test(tests, every_request_of_the_epmd_protocol_is_an_epmd_clients);
    tcase_add_test(tests, a_names_request_is_told_from_an_old_node_by_its_length);
    tcase_add_test(tests, a_node_is_known_when_its_packet_is_whole);
    tcase_add_test(tests, a_node_that_says_more_than_its_packet_is_left_to_epmds_framing);
    tcase_add_test(tests, a_handshake_that_names_nobody_is_no_nodes);
    tcase_add_test(tests, tls_is_a_peers_or_a_nodes_once_its_hello_is_whole);
    tcase_add_test(tests, the_protocol_is_the_one_that_is_asked_for);
    tcase_add_test(tests, other_protocols_are_left_to_epmds_framing);
    tcase_add_test(tests, the_verdict_is_steady_for_any_bytes);
    return suite;
}
