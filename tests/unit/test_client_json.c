/* The library's reader of JSON. */
#include "assertions.h"
#include "client/json_view.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>

static struct bytes text(const char *json) {
    return bytes_of_text(json);
}

static const char *const good[] = {
    "{}",
    " [ ] ",
    "0",
    "-0.5e+10",
    "1E5",
    "\"\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud834\\udd1e\"",
    "\"s\u00f8ster\"",
    "{\"a\":[1,{\"b\":null},true,false],\"c\" : \"d\"}\n",
};

static const char *const bad[] = {
    "",
    "{",
    "}",
    "[1,]",
    "[,1]",
    "{\"a\"}",
    "{\"a\":}",
    "{a:1}",
    "{'a':1}",
    "{\"a\":1,}",
    "{\"a\":1 2}",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "-",
    "nul",
    "nulll",
    "\"",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\ud834\"",
    "\"\\udd1e\"",
    "\"\\ud834\\u0041\"",
    "\"\n\"",
    "\"\xff\"",
    "{} {}",
    "[1] x",
    "\"a\"\"b\"",
    "{1:2}",
    "tru",
    "[\"a]",
    "--1",
    "\xef\xbb\xbf{}",
};

START_TEST(what_is_json_passes) {
    ck_assert_msg(json_view_check(text(good[_i])), "%s", good[_i]);
}
END_TEST

START_TEST(what_is_not_json_does_not_pass) {
    ck_assert_msg(!json_view_check(text(bad[_i])), "%s", bad[_i]);
}
END_TEST

START_TEST(no_zero_byte_is_json) {
    ck_assert(!json_view_check(LITERAL("\"\\\0\"")));
    ck_assert(!json_view_check(LITERAL("\"\0\"")));
    ck_assert(!json_view_check(LITERAL("1\0")));
}
END_TEST

START_TEST(every_cut_of_json_fails) {
    const char *whole = "{\"a\":[1.5e2,{\"b\":null},true],\"c\":\"\\ud834\\udd1e\"}";

    for (size_t len = 0; len < strlen(whole); len++)
        ck_assert(!json_view_check(bytes_of(whole, len)));
}
END_TEST

START_TEST(depth_is_bounded) {
    char deep[2 * JSON_VIEW_DEPTH_MAX + 3] = "";
    memset(deep, '[', JSON_VIEW_DEPTH_MAX);
    memset(deep + JSON_VIEW_DEPTH_MAX, ']', JSON_VIEW_DEPTH_MAX);
    ck_assert(json_view_check(text(deep)));

    memset(deep, '[', JSON_VIEW_DEPTH_MAX + 1);
    memset(deep + JSON_VIEW_DEPTH_MAX + 1, ']', JSON_VIEW_DEPTH_MAX + 1);
    ck_assert(!json_view_check(text(deep)));
}
END_TEST

START_TEST(members_are_found_by_name) {
    struct bytes object = text("{ \"x\" : {\"port\":1} , \"port\":25672,\"port\":3,\"ab\":true }");

    assert_bytes(json_view_member(object, "port"), LITERAL("25672"));
    assert_bytes(json_view_member(json_view_member(object, "x"), "port"), LITERAL("1"));
    ck_assert(json_view_is_true(json_view_member(object, "ab")));
    ck_assert_uint_eq(json_view_member(object, "a").len, 0);
    ck_assert_uint_eq(json_view_member(text("[1]"), "a").len, 0);
    ck_assert_uint_eq(json_view_member(bytes_of(NULL, 0), "a").len, 0);
}
END_TEST

START_TEST(elements_come_in_order) {
    struct bytes elements = json_view_elements(text("[1, [2,3] ,{\"a\":4}]")), element;

    ck_assert(json_view_next(&elements, &element));
    assert_bytes(element, LITERAL("1"));
    ck_assert(json_view_next(&elements, &element));
    assert_bytes(element, LITERAL("[2,3]"));
    ck_assert(json_view_next(&elements, &element));
    assert_bytes(element, LITERAL("{\"a\":4}"));
    ck_assert(!json_view_next(&elements, &element));
    elements = json_view_elements(text("{\"a\":1}"));
    ck_assert(!json_view_next(&elements, &element));
}
END_TEST

START_TEST(integers_are_whole_and_within_bounds) {
    int64_t number = 7;

    ck_assert(json_view_integer(text("-5"), -5, 0, &number));
    ck_assert_int_eq(number, -5);
    ck_assert(!json_view_integer(text("1.0"), 0, 9, &number));
    ck_assert(!json_view_integer(text("1e1"), 0, 99, &number));
    ck_assert(!json_view_integer(text("10"), 0, 9, &number));
    ck_assert(!json_view_integer(text("9999999999999999999999"), 0, INT64_MAX, &number));
    ck_assert(!json_view_integer(text("\"1\""), 0, 9, &number));
    ck_assert(!json_view_integer(bytes_of(NULL, 0), 0, 9, &number));
    ck_assert_int_eq(number, -5);
}
END_TEST

START_TEST(texts_are_unescaped) {
    char out[32];

    ck_assert(json_view_text(text("\"a\\n\\u00e9\\u20ac\\ud834\\udd1e\""), out, sizeof out));
    ck_assert_str_eq(out, "a\n\u00e9\u20ac\U0001d11e");
    ck_assert(json_view_text(text("\"123\""), out, 4));
    ck_assert(!json_view_text(text("\"1234\""), out, 4));
    ck_assert_str_eq(out, "");
    ck_assert(!json_view_text(text("\"a\\u0000b\""), out, sizeof out));
    ck_assert(!json_view_text(text("17"), out, sizeof out));
    ck_assert(!json_view_text(bytes_of(NULL, 0), out, sizeof out));
}
END_TEST

Suite *client_json_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("client_json", &tests);
    tcase_add_loop_test(tests, what_is_json_passes, 0, sizeof good / sizeof good[0]);
    tcase_add_loop_test(tests, what_is_not_json_does_not_pass, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(tests, no_zero_byte_is_json);
    tcase_add_test(tests, every_cut_of_json_fails);
    tcase_add_test(tests, depth_is_bounded);
    tcase_add_test(tests, members_are_found_by_name);
    tcase_add_test(tests, elements_come_in_order);
    tcase_add_test(tests, integers_are_whole_and_within_bounds);
    tcase_add_test(tests, texts_are_unescaped);
    return suite;
}
