#include "base/checksummed_text.h"

#include "assertions.h"
#include "base/checksum.h"
#include "seeded.h"
#include "suites.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEADER "a test 1"

static uint8_t room[1024];

static struct bytes with_checksum(const char *lines) {
    struct writer writer = writer_of(room, sizeof room);
    size_t begin = checksummed_text_begin(&writer, HEADER);
    write_text(&writer, lines);
    checksummed_text_end(&writer, begin);
    ck_assert(!writer.failed);
    return writer_bytes(&writer);
}

static bool opens(struct bytes text) {
    struct reader lines;
    return checksummed_text_open(text, HEADER, &lines);
}

START_TEST(lines_come_out_as_they_went_in) {
    struct reader lines;
    char line[16];
    ck_assert(checksummed_text_open(with_checksum("one\n\nthree 3\n"), HEADER, &lines));

    ck_assert(checksummed_text_line(&lines, line, sizeof line));
    ck_assert_str_eq(line, "one");
    ck_assert(checksummed_text_line(&lines, line, sizeof line));
    ck_assert_str_eq(line, "");
    ck_assert(checksummed_text_line(&lines, line, sizeof line));
    ck_assert_str_eq(line, "three 3");
    ck_assert(!checksummed_text_line(&lines, line, sizeof line));
    ck_assert_uint_eq(lines.left, 0);
}
END_TEST

START_TEST(a_text_without_lines_is_a_text) {
    struct reader lines;
    char line[16];
    ck_assert(checksummed_text_open(with_checksum(""), HEADER, &lines));
    ck_assert(!checksummed_text_line(&lines, line, sizeof line));
    ck_assert_uint_eq(lines.left, 0);
}
END_TEST

START_TEST(the_form_is_the_documented_one) {
    char expected[64];
    snprintf(expected, sizeof expected, HEADER "\nx\nsum %016" PRIx64 "\n",
             checksum_of(LITERAL(HEADER "\nx\n")));
    assert_bytes(with_checksum("x\n"), bytes_of_text(expected));
}
END_TEST

START_TEST(what_stands_before_it_in_the_buffer_does_not_count) {
    struct writer writer = writer_of(room, sizeof room);
    write_text(&writer, "something else\n");
    size_t begin = checksummed_text_begin(&writer, HEADER);
    write_text(&writer, "x\n");
    checksummed_text_end(&writer, begin);
    ck_assert(opens(bytes_of(room + begin, writer.len - begin)));
    ck_assert(!opens(writer_bytes(&writer)));
}
END_TEST

START_TEST(every_flipped_bit_is_seen) {
    struct bytes text = with_checksum("one\ntwo\n");
    for (size_t bit = 0; bit < 8 * text.len; bit++) {
        room[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!opens(text), "bit %zu", bit);
        room[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert(opens(text));
}
END_TEST

START_TEST(a_text_that_was_cut_or_lengthened_is_seen) {
    struct bytes text = with_checksum("one\ntwo\n");
    for (size_t len = 0; len < text.len; len++)
        ck_assert(!opens(bytes_of(room, len)));
    room[text.len] = '\n';
    ck_assert(!opens(bytes_of(room, text.len + 1)));
    ck_assert(!opens(bytes_of(room + 1, text.len - 1)));
    ck_assert(!opens(bytes_of(NULL, 0)));
}
END_TEST

START_TEST(another_kind_or_version_is_refused) {
    struct bytes text = with_checksum("one\n");
    struct reader lines;
    ck_assert(!checksummed_text_open(text, "a test 2", &lines));
    ck_assert(!checksummed_text_open(text, "a test", &lines));
    ck_assert(!checksummed_text_open(text, HEADER " ", &lines));
}
END_TEST

START_TEST(a_sum_alone_is_no_text) {
    char text[32];
    int len = snprintf(text, sizeof text, "sum %016" PRIx64 "\n", checksum_of(LITERAL("")));
    ck_assert(!opens(bytes_of(text, (size_t)len)));
}
END_TEST

START_TEST(a_line_that_does_not_fit_is_left_where_it_is) {
    struct reader lines;
    char line[16];
    ck_assert(checksummed_text_open(with_checksum("123456\n"), HEADER, &lines));
    ck_assert(!checksummed_text_line(&lines, line, 6));
    ck_assert(checksummed_text_line(&lines, line, 7));
    ck_assert_str_eq(line, "123456");
}
END_TEST

START_TEST(a_line_without_an_end_is_none) {
    struct reader lines;
    char line[16];
    ck_assert(checksummed_text_open(with_checksum("one\ntwo"), HEADER, &lines));
    ck_assert(checksummed_text_line(&lines, line, sizeof line));
    ck_assert(!checksummed_text_line(&lines, line, sizeof line));
    ck_assert_uint_eq(lines.left, 3);
}
END_TEST

START_TEST(a_buffer_that_is_too_small_is_told_by_the_writer) {
    size_t whole = with_checksum("one\n").len;
    for (size_t size = 0; size <= whole; size++) {
        struct writer writer = writer_of(room, size);
        size_t begin = checksummed_text_begin(&writer, HEADER);
        write_text(&writer, "one\n");
        checksummed_text_end(&writer, begin);
        ck_assert_int_eq(writer.failed, size < whole);
    }
}
END_TEST

START_TEST(the_overhead_is_enough_for_header_and_sum) {
    ck_assert_uint_le(with_checksum("").len, CHECKSUMMED_TEXT_OVERHEAD);
    ck_assert_uint_le(strlen("portolan creations 1\n") + strlen("sum 0123456789abcdef\n"),
                      CHECKSUMMED_TEXT_OVERHEAD);
}
END_TEST

Suite *checksummed_text_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("checksummed_text", &tests);
    tcase_add_test(tests, lines_come_out_as_they_went_in);
    tcase_add_test(tests, a_text_without_lines_is_a_text);
    tcase_add_test(tests, the_form_is_the_documented_one);
    tcase_add_test(tests, what_stands_before_it_in_the_buffer_does_not_count);
    tcase_add_test(tests, every_flipped_bit_is_seen);
    tcase_add_test(tests, a_text_that_was_cut_or_lengthened_is_seen);
    tcase_add_test(tests, another_kind_or_version_is_refused);
    tcase_add_test(tests, a_sum_alone_is_no_text);
    tcase_add_test(tests, a_line_that_does_not_fit_is_left_where_it_is);
    tcase_add_test(tests, a_line_without_an_end_is_none);
    tcase_add_test(tests, a_buffer_that_is_too_small_is_told_by_the_writer);
    tcase_add_test(tests, the_overhead_is_enough_for_header_and_sum);
    return suite;
}
