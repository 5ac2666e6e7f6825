#include "base/comma_list.h"

#include "suites.h"

START_TEST(commas_and_blanks_separate_items) {
    const char *list = " \ta, b\tc ,, d,";
    char item[8];
    const char *const expected[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        ck_assert(comma_list_next(&list, item, sizeof item));
        ck_assert_str_eq(item, expected[i]);
    }
    ck_assert(!comma_list_next(&list, item, sizeof item));
}
END_TEST

START_TEST(an_item_is_whole_up_to_its_longest) {
    const char *list = "abcd abc,abcdef,g";
    char item[5];
    ck_assert(comma_list_next(&list, item, sizeof item));
    ck_assert_str_eq(item, "abcd");
    ck_assert(comma_list_next(&list, item, sizeof item));
    ck_assert_str_eq(item, "abc");
    ck_assert(comma_list_next(&list, item, sizeof item));
    ck_assert_str_eq(item, "abcd"); /* cut, and nothing of it is left over */
    ck_assert(comma_list_next(&list, item, sizeof item));
    ck_assert_str_eq(item, "g");
    ck_assert(!comma_list_next(&list, item, sizeof item));
    ck_assert_str_eq(item, "");
}
END_TEST

START_TEST(separators_alone_are_an_empty_list) {
    ck_assert(comma_list_is_empty(""));
    ck_assert(comma_list_is_empty(" ,\t, "));
    ck_assert(!comma_list_is_empty(" ,a"));
}
END_TEST

Suite *comma_list_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("comma_list", &tests);
    tcase_add_test(tests, commas_and_blanks_separate_items);
    tcase_add_test(tests, an_item_is_whole_up_to_its_longest);
    tcase_add_test(tests, separators_alone_are_an_empty_list);
    return suite;
}
