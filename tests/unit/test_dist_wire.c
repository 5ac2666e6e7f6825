#include "erlang/dist_wire.h"

#include "assertions.h"
#include "erlang/node_name.h"
#include "seeded.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>

/* What a node of OTP 25 sent, without the length: flags, creation 77, a name of 12 bytes. */
#define OF_OTP_25                                                                                  \
    LITERAL("N\x00\x00\x00\x0d\x07\xdf\x7f\xbd\x00\x00\x00\x4d\x00\x0c"                            \
            "a1@127.0.0.1")

/* The older form, from OTP's "Distribution Protocol" page: version 5, 32 bits of flags, the name.
 */
#define OF_OTP_22                                                                                  \
    LITERAL("n\x00\x05\x00\x07\x4f\xfd"                                                            \
            "a1@127.0.0.1")

#define PACKET_MAX 2048

/* The payload in memory of its own length, so that a sanitizer sees who reads past it. */
static bool decode(struct bytes payload, struct bytes *caller) {
    static uint8_t name[PACKET_MAX];
    uint8_t *copy = malloc(payload.len + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy + 1, payload.data, payload.len);
    bool decoded = dist_send_name_decode(bytes_of(copy + 1, payload.len), caller);
    if (decoded) {
        ck_assert(caller->data > copy && caller->data + caller->len <= copy + 1 + payload.len);
        memcpy(name, caller->data, caller->len);
        caller->data = name;
    }
    free(copy);
    return decoded;
}

static void assert_caller(struct bytes payload, struct bytes expected) {
    struct bytes caller;
    ck_assert(decode(payload, &caller));
    assert_bytes(caller, expected);
}

static void assert_refused(struct bytes payload) {
    struct bytes caller;
    ck_assert(!decode(payload, &caller));
}

static struct bytes packet_of(uint8_t tag, struct bytes name, struct bytes more) {
    static uint8_t packet[PACKET_MAX];
    struct writer writer = writer_of(packet, sizeof packet);
    write_u8(&writer, tag);
    if (tag == DIST_SEND_NAME) {
        write_u64(&writer, 0xd07df7fbd);
        write_u32(&writer, 77);
        write_u16(&writer, (uint16_t)name.len);
    } else {
        write_u16(&writer, DIST_OLD_VERSION);
        write_u32(&writer, 0x74ffd);
    }
    write_bytes(&writer, name);
    write_bytes(&writer, more);
    ck_assert(!writer.failed);
    return writer_bytes(&writer);
}

static const struct bytes nothing = {NULL, 0};
static const uint8_t tags[] = {DIST_SEND_NAME, DIST_SEND_NAME_OLD};

START_TEST(what_nodes_of_each_age_send_is_read) {
    assert_caller(OF_OTP_25, LITERAL("a1@127.0.0.1"));
    assert_caller(OF_OTP_22, LITERAL("a1@127.0.0.1"));
}
END_TEST

START_TEST(what_follows_the_name_is_ignored) {
    assert_caller(packet_of(DIST_SEND_NAME, LITERAL("a@h"), LITERAL("\x00\xff more")),
                  LITERAL("a@h"));
}
END_TEST

START_TEST(in_the_older_form_the_name_is_all_that_is_left) {
    assert_caller(packet_of(DIST_SEND_NAME_OLD, LITERAL("a@h"), LITERAL(" more")),
                  LITERAL("a@h more"));
}
END_TEST

START_TEST(a_caller_that_wants_a_name_gives_its_host_alone) {
    for (int i = 0; i < 2; i++)
        assert_caller(packet_of(tags[i], LITERAL("host.example"), nothing),
                      LITERAL("host.example"));
}
END_TEST

START_TEST(every_beginning_of_a_packet_is_refused) {
    for (size_t len = 0; len < OF_OTP_25.len; len++)
        assert_refused(bytes_of(OF_OTP_25.data, len));
    /* of the older form, up to the first byte of the name */
    for (size_t len = 0; len < 8 - 1; len++)
        assert_refused(bytes_of(OF_OTP_22.data, len));
}
END_TEST

START_TEST(a_name_that_runs_past_the_packet_is_refused) {
    uint8_t packet[64];
    const struct bytes good = OF_OTP_25;
    memcpy(packet, good.data, good.len);
    packet[14] = 13;
    assert_refused(bytes_of(packet, good.len));
    packet[13] = 0xff;
    assert_refused(bytes_of(packet, good.len));
}
END_TEST

START_TEST(another_tag_or_version_is_refused) {
    uint8_t packet[64];
    struct bytes good = OF_OTP_25;
    memcpy(packet, good.data, good.len);
    for (unsigned tag = 0; tag < 256; tag++) {
        packet[0] = (uint8_t)tag;
        if (tag != DIST_SEND_NAME && tag != DIST_SEND_NAME_OLD)
            assert_refused(bytes_of(packet, good.len));
    }
    good = OF_OTP_22;
    memcpy(packet, good.data, good.len);
    packet[2] = 6;
    assert_refused(bytes_of(packet, good.len));
    packet[1] = 1;
    packet[2] = 5;
    assert_refused(bytes_of(packet, good.len));
}
END_TEST

START_TEST(a_name_that_no_node_can_have_is_refused) {
    for (int i = 0; i < 2; i++) {
        assert_refused(packet_of(tags[i], nothing, nothing));
        assert_refused(packet_of(tags[i], LITERAL("a\x00@h"), nothing));
        assert_refused(packet_of(tags[i], LITERAL("a\xff@h"), nothing));
        assert_refused(packet_of(tags[i], LITERAL("a@h\xc3"), nothing));
    }
}
END_TEST

START_TEST(a_name_is_as_long_as_an_atom_at_most) {
    struct seeded random = seeded_stream("dist_wire");
    uint8_t name[4 * (ALIVE_NAME_MAX_CHARACTERS + 1)];
    for (int i = 0; i < 2; i++) {
        struct bytes longest = seeded_utf8(&random, name, ALIVE_NAME_MAX_CHARACTERS);
        assert_caller(packet_of(tags[i], longest, nothing), longest);
        assert_refused(
            packet_of(tags[i], seeded_utf8(&random, name, ALIVE_NAME_MAX_CHARACTERS + 1), nothing));
    }
}
END_TEST

Suite *dist_wire_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("dist_wire", &tests);
    tcase_add_test(tests, what_nodes_of_each_age_send_is_read);
    tcase_add_test(tests, what_follows_the_name_is_ignored);
    tcase_add_test(tests, in_the_older_form_the_name_is_all_that_is_left);
    tcase_add_test(tests, a_caller_that_wants_a_name_gives_its_host_alone);
    tcase_add_test(tests, every_beginning_of_a_packet_is_refused);
    tcase_add_test(tests, a_name_that_runs_past_the_packet_is_refused);
    tcase_add_test(tests, another_tag_or_version_is_refused);
    tcase_add_test(tests, a_name_that_no_node_can_have_is_refused);
    tcase_add_test(tests, a_name_is_as_long_as_an_atom_at_most);
    return suite;
}
