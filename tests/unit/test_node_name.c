#include "erlang/node_name.h"

#include "assertions.h"
#include "seeded.h"
#include "suites.h"

#include <string.h>

START_TEST(common_names_are_names) {
    ck_assert_int_eq(alive_name_check(LITERAL("rabbit")), ALIVE_NAME_OK);
    ck_assert_int_eq(alive_name_check(LITERAL("emqx_1")), ALIVE_NAME_OK);
    ck_assert_int_eq(alive_name_check(LITERAL("kanin\xc3\xb8")), ALIVE_NAME_OK);
    ck_assert_int_eq(alive_name_check(LITERAL("x")), ALIVE_NAME_OK);
}
END_TEST

START_TEST(what_is_empty_or_has_a_nul_is_no_name) {
    ck_assert_int_eq(alive_name_check(LITERAL("")), ALIVE_NAME_EMPTY);
    ck_assert_int_eq(alive_name_check(bytes_of(NULL, 0)), ALIVE_NAME_EMPTY);
    ck_assert_int_eq(alive_name_check(LITERAL("\0")), ALIVE_NAME_HAS_NUL);
    ck_assert_int_eq(alive_name_check(LITERAL("rabbit\0")), ALIVE_NAME_HAS_NUL);
}
END_TEST

START_TEST(what_is_not_utf8_is_no_name) {
    ck_assert_int_eq(alive_name_check(LITERAL("rabbit\xff")), ALIVE_NAME_NOT_UTF8);
    ck_assert_int_eq(alive_name_check(LITERAL("\xed\xa0\x80")), ALIVE_NAME_NOT_UTF8);
    ck_assert_int_eq(alive_name_check(LITERAL("\xc3")), ALIVE_NAME_NOT_UTF8);
}
END_TEST

/* 255 characters are allowed, whatever they weigh in bytes. */
static void assert_limit_of(const char *character) {
    uint8_t name[4 * (ALIVE_NAME_MAX_CHARACTERS + 1)];
    struct writer writer = writer_of(name, sizeof name);
    for (int i = 0; i < ALIVE_NAME_MAX_CHARACTERS; i++)
        write_text(&writer, character);
    ck_assert_uint_le(writer.len, ALIVE_NAME_MAX_BYTES);
    ck_assert_int_eq(alive_name_check(writer_bytes(&writer)), ALIVE_NAME_OK);

    write_text(&writer, character);
    ck_assert_int_eq(alive_name_check(writer_bytes(&writer)), ALIVE_NAME_TOO_LONG);
}

START_TEST(length_is_counted_in_characters) {
    assert_limit_of("x");
    assert_limit_of("ø");
    assert_limit_of("€");
    assert_limit_of("𝄞");
}
END_TEST

START_TEST(every_name_in_bounds_is_a_name) {
    struct seeded random = seeded_stream("names");

    for (int i = 0; i < 5000; i++) {
        uint8_t name[4 * ALIVE_NAME_MAX_CHARACTERS];
        size_t characters = 1 + seeded_below(&random, ALIVE_NAME_MAX_CHARACTERS);
        struct bytes made = seeded_utf8(&random, name, characters);
        ck_assert_int_eq(alive_name_check(made), ALIVE_NAME_OK);
    }
}
END_TEST

Suite *node_name_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("node_name", &tests);
    tcase_add_test(tests, common_names_are_names);
    tcase_add_test(tests, what_is_empty_or_has_a_nul_is_no_name);
    tcase_add_test(tests, what_is_not_utf8_is_no_name);
    tcase_add_test(tests, length_is_counted_in_characters);
    tcase_add_test(tests, every_name_in_bounds_is_a_name);
    return suite;
}
