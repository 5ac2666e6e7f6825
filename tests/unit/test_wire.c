/* The cluster protocol as bytes: what is written is read, what is malformed is refused. */
#include "cluster/wire.h"
#include "suites.h"

#include <check.h>
#include <string.h>

static uint8_t buffer[CLUSTER_FRAME_MAX];

static struct bytes payload_of(const struct writer *writer) {
    return bytes_of(writer->start + WIRE_HEAD, writer->len - WIRE_HEAD);
}

static struct wire_hello some_hello(void) {
    return (struct wire_hello){.version = WIRE_VERSION,
                               .flags = WIRE_FLAG_ALONE,
                               .intent = WIRE_INTENT_JOIN,
                               .id = {.created_ms = 7, .random = UINT64_MAX},
                               .joined = 1,
                               .generation = 2,
                               .incarnation = 3,
                               .names = 4,
                               .known_state = WIRE_KNOWN_NOTHING,
                               .port = 4370,
                               .name = bytes_of_text("emqx@s1.emqx.io"),
                               .cluster_name = bytes_of_text("emqxcl")};
}

START_TEST(a_hello_is_read_as_it_was_written) {
    struct writer writer = writer_of(buffer, sizeof buffer);
    struct wire_hello written = some_hello(), read;
    wire_write_hello(&writer, &written);
    ck_assert(!writer.failed);
    ck_assert_uint_eq(wire_frame_len(writer_bytes(&writer)), writer.len);
    ck_assert_uint_eq(buffer[4], WIRE_HELLO);
    ck_assert(wire_read_hello(payload_of(&writer), &read));
    ck_assert(bytes_equal(read.name, written.name));
    ck_assert(bytes_equal(read.cluster_name, written.cluster_name));
    ck_assert_uint_eq(read.id.random, UINT64_MAX);
    ck_assert_uint_eq(read.incarnation, 3);
    ck_assert_uint_eq(read.port, 4370);
    ck_assert_uint_eq(read.intent, WIRE_INTENT_JOIN);
}
END_TEST

START_TEST(a_hello_cut_short_anywhere_is_refused) {
    struct writer writer = writer_of(buffer, sizeof buffer);
    struct wire_hello hello = some_hello(), read;
    wire_write_hello(&writer, &hello);
    struct bytes payload = payload_of(&writer);
    for (size_t len = 0; len < payload.len; len++)
        ck_assert(!wire_read_hello(bytes_of(payload.data, len), &read));
}
END_TEST

START_TEST(a_hello_of_a_later_version_may_be_longer) {
    struct writer writer = writer_of(buffer, sizeof buffer);
    struct wire_hello hello = some_hello(), read;
    wire_write_hello(&writer, &hello);
    write_text(&writer, "what is to come");
    ck_assert(wire_read_hello(payload_of(&writer), &read));
}
END_TEST

START_TEST(numbers_out_of_order_are_refused) {
    struct writer writer = writer_of(buffer, sizeof buffer);
    struct wire_hello hello = some_hello(), read;
    hello.joined = 9;
    wire_write_hello(&writer, &hello);
    ck_assert(!wire_read_hello(payload_of(&writer), &read));
}
END_TEST

START_TEST(a_frame_waits_for_its_end) {
    const uint8_t frame[] = {0, 0, 0, 1, WIRE_PING};
    for (size_t len = 0; len < sizeof frame; len++)
        ck_assert_uint_eq(wire_frame_len(bytes_of(frame, len)), 0);
    ck_assert_uint_eq(wire_frame_len(bytes_of(frame, sizeof frame)), sizeof frame);
}
END_TEST

START_TEST(a_frame_that_is_too_long_or_has_no_type_is_refused) {
    const uint8_t empty[] = {0, 0, 0, 0}, longest[] = {0, 0, 0xff, 0xfc},
                  longer[] = {0, 0, 0xff, 0xfd};
    ck_assert_uint_eq(wire_frame_len(bytes_of(empty, 4)), SIZE_MAX);
    ck_assert_uint_eq(wire_frame_len(bytes_of(longest, 4)), 0);
    ck_assert_uint_eq(wire_frame_len(bytes_of(longer, 4)), SIZE_MAX);
}
END_TEST

START_TEST(records_are_read_as_they_were_written) {
    struct wire_record written = {.state = CLUSTER_SUSPECT,
                                  .port = 4371,
                                  .age_ms = 5,
                                  .joined = 1,
                                  .generation = 2,
                                  .incarnation = WIRE_NUMBER_MAX,
                                  .names = 6,
                                  .detail = UINT64_MAX,
                                  .name = bytes_of_text("a@b")},
                       read;
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_write_record(&writer, &written);
    written.state = CLUSTER_FORCED_OUT;
    wire_write_record(&writer, &written);
    struct reader reader = reader_of(writer_bytes(&writer));
    ck_assert(wire_next_record(&reader, &read));
    ck_assert_uint_eq(read.state, CLUSTER_SUSPECT);
    ck_assert_uint_eq(read.incarnation, WIRE_NUMBER_MAX);
    ck_assert_uint_eq(read.detail, UINT64_MAX);
    ck_assert(wire_next_record(&reader, &read));
    ck_assert_uint_eq(read.state, CLUSTER_FORCED_OUT);
    ck_assert(!wire_next_record(&reader, &read));
    ck_assert(!reader.failed);
}
END_TEST

static bool is_refused(struct wire_record record) {
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_write_record(&writer, &record);
    struct reader reader = reader_of(writer_bytes(&writer));
    struct wire_record read;
    return !wire_next_record(&reader, &read) && reader.failed;
}

START_TEST(records_that_nobody_may_send_are_refused) {
    struct wire_record good = {.name = bytes_of_text("a@b")};
    ck_assert(!is_refused(good));
    struct wire_record bad = good;
    bad.state = CLUSTER_CLEANED;
    ck_assert(is_refused(bad));
    bad.state = 6;
    ck_assert(is_refused(bad));
    bad = good;
    bad.incarnation = WIRE_NUMBER_MAX + 1;
    ck_assert(is_refused(bad));
    bad = good;
    bad.generation = 1;
    ck_assert(is_refused(bad));
}
END_TEST

START_TEST(names_of_members_are_name_at_host) {
    ck_assert(member_name_is_valid(bytes_of_text("a@b")));
    ck_assert(!member_name_is_valid(bytes_of_text("a@")));
    ck_assert(!member_name_is_valid(bytes_of_text("@b")));
    ck_assert(!member_name_is_valid(bytes_of_text("ab")));
    ck_assert(!member_name_is_valid(bytes_of_text("")));
    ck_assert(!member_name_is_valid(bytes_of_text("a b@c")));
    ck_assert(!member_name_is_valid(bytes_of_text("a\n@c")));
    ck_assert(!member_name_is_valid(bytes_of("a@\0", 3)));
    ck_assert(!member_name_is_valid(bytes_of_text("\xff@c")));
    char long_name[CLUSTER_NAME_MAX + 2];
    memset(long_name, 'a', sizeof long_name);
    long_name[3] = '@';
    ck_assert(member_name_is_valid(bytes_of(long_name, CLUSTER_NAME_MAX)));
    ck_assert(!member_name_is_valid(bytes_of(long_name, CLUSTER_NAME_MAX + 1)));
}
END_TEST

START_TEST(a_change_is_read_as_it_was_written) {
    struct wire_change written = {.version = {.generation = 8, .sequence = 9},
                                  .operation = WIRE_REGISTERED,
                                  .owner = bytes_of_text("a@b"),
                                  .node = {.name = bytes_of_text("rabbit"),
                                           .port = 6369,
                                           .front_port = 4371,
                                           .type = 77,
                                           .highest_version = 6,
                                           .lowest_version = 5,
                                           .creation = 0xfeedface}},
                       read;
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_write_change(&writer, &written);
    ck_assert(wire_read_change(payload_of(&writer), &read));
    ck_assert(bytes_equal(read.node.name, written.node.name));
    ck_assert_uint_eq(read.node.port, 6369);
    ck_assert_uint_eq(read.node.front_port, 4371);
    ck_assert_uint_eq(read.node.type, 77);
    ck_assert_uint_eq(read.node.creation, 0xfeedface);
    ck_assert_uint_eq(read.version.sequence, 9);
    written.operation = 3;
    writer.len = 0;
    wire_write_change(&writer, &written);
    ck_assert(!wire_read_change(payload_of(&writer), &read));
}
END_TEST

START_TEST(questions_and_answers_are_read_as_they_were_written) {
    struct wire_probe written = {
        .ttl = 3, .to = 1, .from = 2, .subject = UINT64_MAX, .number = 77, .responsive = true};
    struct wire_probe read;
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_write_probe(&writer, WIRE_PROBE_REQ, &written);
    ck_assert(wire_read_probe(payload_of(&writer), WIRE_PROBE_REQ, &read));
    ck_assert_uint_eq(read.from, 2);
    ck_assert(!read.responsive);
    writer.len = 0;
    wire_write_probe(&writer, WIRE_PROBE_ACK, &written);
    ck_assert(wire_read_probe(payload_of(&writer), WIRE_PROBE_ACK, &read));
    ck_assert(read.responsive);
    ck_assert_uint_eq(read.subject, UINT64_MAX);
    ck_assert_uint_eq(read.number, 77);
}
END_TEST

START_TEST(the_largest_record_and_node_fit_what_is_said_of_them) {
    char name[ALIVE_NAME_MAX_BYTES];
    for (size_t i = 0; i < sizeof name; i += 4)
        memcpy(name + i, "\xf0\x9f\x90\x87", 4);
    struct directory_name node = {.name = bytes_of(name, sizeof name), .port = 1};
    struct writer writer = writer_of(buffer, WIRE_NODE_MAX);
    wire_write_node(&writer, &node);
    ck_assert(!writer.failed);
    ck_assert_uint_eq(writer.len, WIRE_NODE_MAX);
    char member[CLUSTER_NAME_MAX];
    memset(member, 'a', sizeof member);
    struct wire_record record = {.name = bytes_of(member, sizeof member)};
    writer = writer_of(buffer, WIRE_RECORD_MAX);
    wire_write_record(&writer, &record);
    ck_assert(!writer.failed);
}
END_TEST

Suite *wire_suite(void) {
    Suite *suite = suite_create("wire");
    TCase *tests = tcase_create("wire");
    tcase_add_test(tests, a_hello_is_read_as_it_was_written);
    tcase_add_test(tests, a_hello_cut_short_anywhere_is_refused);
    tcase_add_test(tests, a_hello_of_a_later_version_may_be_longer);
    tcase_add_test(tests, numbers_out_of_order_are_refused);
    tcase_add_test(tests, a_frame_waits_for_its_end);
    tcase_add_test(tests, a_frame_that_is_too_long_or_has_no_type_is_refused);
    tcase_add_test(tests, records_are_read_as_they_were_written);
    tcase_add_test(tests, records_that_nobody_may_send_are_refused);
    tcase_add_test(tests, names_of_members_are_name_at_host);
    tcase_add_test(tests, a_change_is_read_as_it_was_written);
    tcase_add_test(tests, questions_and_answers_are_read_as_they_were_written);
    tcase_add_test(tests, the_largest_record_and_node_fit_what_is_said_of_them);
    suite_add_tcase(suite, tests);
    return suite;
}
