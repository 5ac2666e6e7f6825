/* What survives a restart: written, read back, and refused when anything in it was touched. */
#include "cluster/store.h"
#include "suites.h"

#include <check.h>
#include <string.h>

static uint8_t text[8 * STORE_LINE_MAX];
static struct writer writer;

static void setup(void) {
    writer = writer_of(text, sizeof text);
    struct store_head head = {.name = bytes_of_text("emqx@s1.emqx.io"),
                              .joined = 5,
                              .reserve = 1760000000000000,
                              .id = {.created_ms = 1760000000000, .random = UINT64_MAX}};
    struct store_record down = {.state = CLUSTER_DOWN,
                                .name = bytes_of_text("emqx@s2.emqx.io"),
                                .joined = 1,
                                .generation = 2,
                                .incarnation = 3,
                                .since_ms = 4,
                                .port = 4370};
    struct store_record out = {.state = CLUSTER_FORCED_OUT,
                               .name = bytes_of_text("emqx@s3.emqx.io"),
                               .incarnation = 9,
                               .since_ms = 8};
    cluster_store_write_head(&writer, &head);
    cluster_store_write(&writer, &down);
    cluster_store_write(&writer, &out);
    cluster_store_write_sum(&writer);
}

START_TEST(what_was_written_is_read) {
    struct store_head head;
    struct reader rest;
    struct store_record record;
    ck_assert(cluster_store_read_head(writer_bytes(&writer), &head, &rest));
    ck_assert(bytes_equal(head.name, bytes_of_text("emqx@s1.emqx.io")));
    ck_assert_uint_eq(head.reserve, 1760000000000000);
    ck_assert_uint_eq(head.id.random, UINT64_MAX);
    ck_assert(cluster_store_next(&rest, &record));
    ck_assert_int_eq(record.state, CLUSTER_DOWN);
    ck_assert_uint_eq(record.incarnation, 3);
    ck_assert_uint_eq(record.port, 4370);
    ck_assert(cluster_store_next(&rest, &record));
    ck_assert_int_eq(record.state, CLUSTER_FORCED_OUT);
    ck_assert_uint_eq(record.since_ms, 8);
    ck_assert(!cluster_store_next(&rest, &record));
    ck_assert(!rest.failed);
}
END_TEST

START_TEST(any_byte_that_changes_is_noticed) {
    struct store_head head;
    struct reader rest;
    for (size_t i = 0; i < writer.len; i++) {
        text[i] ^= 1;
        ck_assert(!cluster_store_read_head(writer_bytes(&writer), &head, &rest));
        text[i] ^= 1;
    }
}
END_TEST

START_TEST(a_text_cut_short_is_noticed) {
    struct store_head head;
    struct reader rest;
    for (size_t len = 0; len < writer.len; len++)
        ck_assert(!cluster_store_read_head(bytes_of(text, len), &head, &rest));
}
END_TEST

static bool reads_lines(const char *lines) {
    struct writer made = writer_of(text, sizeof text);
    write_text(&made, "portolan cluster 1\nself a@b 0 0\nid 0 0\n");
    write_text(&made, lines);
    cluster_store_write_sum(&made);
    struct store_head head;
    struct store_record record;
    struct reader rest;
    if (!cluster_store_read_head(writer_bytes(&made), &head, &rest))
        return false;
    while (cluster_store_next(&rest, &record)) {
    }
    return !rest.failed;
}

START_TEST(a_good_sum_does_not_make_a_line_good) {
    ck_assert(reads_lines(""));
    ck_assert(reads_lines("alive c@d 1 2 3 4 5\n"));
    ck_assert(!reads_lines("alive c@d 1 2 3 4\n"));
    ck_assert(!reads_lines("alive c 1 2 3 4 5\n"));
    ck_assert(!reads_lines("asleep c@d 1 2 3 4 5\n"));
    ck_assert(!reads_lines("alive c@d 1 2 3 65536 5\n"));
    ck_assert(!reads_lines("alive c@d 1 2 -3 4 5\n"));
    ck_assert(!reads_lines("alive c@d 1 2 99999999999999999999999999 4 5\n"));
    ck_assert(!reads_lines("alive c@d 1 2 3 4 5"));
}
END_TEST

Suite *cluster_store_suite(void) {
    Suite *suite = suite_create("cluster_store");
    TCase *tests = tcase_create("cluster_store");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, what_was_written_is_read);
    tcase_add_test(tests, any_byte_that_changes_is_noticed);
    tcase_add_test(tests, a_text_cut_short_is_noticed);
    tcase_add_test(tests, a_good_sum_does_not_make_a_line_good);
    suite_add_tcase(suite, tests);
    return suite;
}
