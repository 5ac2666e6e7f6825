#include "base/bytes.h"

#include "assertions.h"
#include "seeded.h"
#include "suites.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

START_TEST(a_reader_takes_the_high_byte_first) {
    struct reader reader = reader_of(LITERAL("\x01\x02\x03\xff\x04\x05\x06"));

    ck_assert_uint_eq(read_u8(&reader), 0x01);
    ck_assert_uint_eq(read_u16(&reader), 0x0203);
    ck_assert_uint_eq(read_u32(&reader), 0xff040506);
    ck_assert(!reader.failed);
    ck_assert_uint_eq(reader.left, 0);
}
END_TEST

START_TEST(a_reader_that_ran_out_stays_failed) {
    struct reader reader = reader_of(LITERAL("\x01\x02\x03"));

    ck_assert_uint_eq(read_u32(&reader), 0);
    ck_assert(reader.failed);
    /* what would have fitted is not given out either */
    ck_assert_uint_eq(read_u8(&reader), 0);
    assert_bytes(read_bytes(&reader, 1), LITERAL(""));
    assert_bytes(read_rest(&reader), LITERAL(""));
}
END_TEST

START_TEST(a_reader_of_nothing_gives_nothing_without_failing) {
    struct reader reader = reader_of(bytes_of(NULL, 0));

    assert_bytes(read_bytes(&reader, 0), LITERAL(""));
    assert_bytes(read_rest(&reader), LITERAL(""));
    ck_assert(!reader.failed);
    ck_assert_uint_eq(read_u8(&reader), 0);
    ck_assert(reader.failed);
}
END_TEST

START_TEST(a_length_near_the_end_of_memory_is_no_trap) {
    struct reader reader = reader_of(LITERAL("abc"));
    uint8_t buffer[4];
    struct writer writer = writer_of(buffer, sizeof buffer);
    write_u8(&writer, 'a');

    read_bytes(&reader, SIZE_MAX);
    write_bytes(&writer, bytes_of(buffer, SIZE_MAX));

    ck_assert(reader.failed);
    ck_assert(writer.failed);
    assert_bytes(writer_bytes(&writer), LITERAL("a"));
}
END_TEST

START_TEST(the_rest_is_what_was_not_read) {
    struct reader reader = reader_of(LITERAL("header, body"));
    read_bytes(&reader, strlen("header, "));

    assert_bytes(read_rest(&reader), LITERAL("body"));
    assert_bytes(read_rest(&reader), LITERAL(""));
    ck_assert(!reader.failed);
}
END_TEST

START_TEST(a_writer_puts_the_high_byte_first) {
    uint8_t buffer[7];
    struct writer writer = writer_of(buffer, sizeof buffer);

    write_u8(&writer, 1);
    write_u16(&writer, 0x0203);
    write_u32(&writer, 0xff040506);

    ck_assert(!writer.failed);
    assert_bytes(writer_bytes(&writer), LITERAL("\x01\x02\x03\xff\x04\x05\x06"));
}
END_TEST

START_TEST(what_does_not_fit_whole_is_not_written_at_all) {
    uint8_t buffer[6] = {0};
    struct writer writer = writer_of(buffer, 5);
    write_text(&writer, "abc");

    write_text(&writer, "def");

    ck_assert(writer.failed);
    assert_bytes(writer_bytes(&writer), LITERAL("abc"));
    assert_bytes(bytes_of(buffer, sizeof buffer), LITERAL("abc\0\0\0"));
}
END_TEST

START_TEST(a_failed_writer_writes_no_more) {
    uint8_t buffer[4];
    struct writer writer = writer_of(buffer, sizeof buffer);
    write_text(&writer, "too long");

    write_u8(&writer, 'a');
    write_decimal(&writer, 1);

    ck_assert(writer.failed);
    ck_assert_uint_eq(writer.len, 0);
}
END_TEST

START_TEST(nothing_fits_into_a_full_writer) {
    uint8_t buffer[2];
    struct writer writer = writer_of(buffer, sizeof buffer);
    write_u16(&writer, 0x6162);

    write_text(&writer, "");

    ck_assert(!writer.failed);
    write_u8(&writer, 'c');
    ck_assert(writer.failed);
    assert_bytes(writer_bytes(&writer), LITERAL("ab"));
}
END_TEST

static void assert_decimal(uint64_t value) {
    char expected[32], buffer[20];
    struct writer writer = writer_of(buffer, sizeof buffer);
    snprintf(expected, sizeof expected, "%" PRIu64, value);
    write_decimal(&writer, value);
    assert_bytes(writer_bytes(&writer), bytes_of_text(expected));
}

START_TEST(decimal_digits_are_those_of_printf) {
    struct seeded random = seeded_stream("decimal");

    assert_decimal(0);
    assert_decimal(UINT64_MAX);
    for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10) {
        assert_decimal(power - 1);
        assert_decimal(power);
    }
    for (int i = 0; i < 1000; i++)
        assert_decimal(seeded_next(&random) >> seeded_below(&random, 64));
}
END_TEST

START_TEST(bytes_are_equal_by_content) {
    const char one[] = "portolan", other[] = "portolan";

    ck_assert(bytes_equal(bytes_of_text(one), bytes_of_text(other)));
    ck_assert(bytes_equal(bytes_of(NULL, 0), bytes_of(one, 0)));
    ck_assert(!bytes_equal(bytes_of_text(one), bytes_of(other, 7)));
    ck_assert(!bytes_equal(LITERAL("portolan"), LITERAL("portolaN")));
    ck_assert(!bytes_equal(LITERAL("a\0b"), LITERAL("a\0c")));
}
END_TEST

START_TEST(a_byte_is_found_where_it_is) {
    ck_assert(bytes_contain(LITERAL("a\0b"), 0));
    ck_assert(bytes_contain(LITERAL("ab"), 'b'));
    ck_assert(!bytes_contain(LITERAL("ab"), 0)); /* the NUL behind the literal is not in it */
    ck_assert(!bytes_contain(bytes_of(NULL, 0), 'a'));
}
END_TEST

/* One random field, written or read back: the width decides which. */
static void write_field(struct writer *writer, size_t kind, uint32_t value) {
    if (kind == 0)
        write_u8(writer, (uint8_t)value);
    else if (kind == 1)
        write_u16(writer, (uint16_t)value);
    else
        write_u32(writer, value);
}

static void assert_field(struct reader *reader, size_t kind, uint32_t value) {
    if (kind == 0)
        ck_assert_uint_eq(read_u8(reader), (uint8_t)value);
    else if (kind == 1)
        ck_assert_uint_eq(read_u16(reader), (uint16_t)value);
    else
        ck_assert_uint_eq(read_u32(reader), value);
}

START_TEST(what_is_written_is_read_again) {
    for (int round = 0; round < 500; round++) {
        struct seeded random = seeded_stream("fields");
        random.state += (uint64_t)round;
        struct seeded same = random;
        uint8_t buffer[4 * 16];
        struct writer writer = writer_of(buffer, sizeof buffer);
        size_t fields = seeded_below(&random, 16);
        for (size_t i = 0; i < fields; i++) {
            size_t kind = seeded_below(&random, 3);
            write_field(&writer, kind, (uint32_t)seeded_next(&random));
        }
        ck_assert(!writer.failed);

        struct reader reader = reader_of(writer_bytes(&writer));
        seeded_below(&same, 16);
        for (size_t i = 0; i < fields; i++) {
            size_t kind = seeded_below(&same, 3);
            assert_field(&reader, kind, (uint32_t)seeded_next(&same));
        }
        ck_assert(!reader.failed);
        ck_assert_uint_eq(reader.left, 0);
    }
}
END_TEST

Suite *bytes_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("bytes", &tests);
    tcase_add_test(tests, a_reader_takes_the_high_byte_first);
    tcase_add_test(tests, a_reader_that_ran_out_stays_failed);
    tcase_add_test(tests, a_reader_of_nothing_gives_nothing_without_failing);
    tcase_add_test(tests, a_length_near_the_end_of_memory_is_no_trap);
    tcase_add_test(tests, the_rest_is_what_was_not_read);
    tcase_add_test(tests, a_writer_puts_the_high_byte_first);
    tcase_add_test(tests, what_does_not_fit_whole_is_not_written_at_all);
    tcase_add_test(tests, a_failed_writer_writes_no_more);
    tcase_add_test(tests, nothing_fits_into_a_full_writer);
    tcase_add_test(tests, decimal_digits_are_those_of_printf);
    tcase_add_test(tests, bytes_are_equal_by_content);
    tcase_add_test(tests, a_byte_is_found_where_it_is);
    tcase_add_test(tests, what_is_written_is_read_again);
    return suite;
}
