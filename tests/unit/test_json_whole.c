/* JSON that is whole or not there, whichever allocation of jansson's fails. */
#include "net/json_whole.h"
#include "suites.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static unsigned until_failure; /* 0: none fails */

static void *failing_malloc(size_t size) {
    return until_failure > 0 && --until_failure == 0 ? NULL : malloc(size);
}

static void setup(void) {
    until_failure = 0;
    json_set_alloc_funcs(failing_malloc, free);
}

static void teardown(void) {
    until_failure = 0;
    json_set_alloc_funcs(malloc, free);
}

/* Whether the allocation came that was to fail; none fails from here on. */
static bool has_failed(void) {
    bool failed = until_failure == 0;
    until_failure = 0;
    return failed;
}

#define LONG_KEY "a key that is as long as the first pieces of a text in which it stands are"
#define WHOLE                                                                                      \
    "{\"" LONG_KEY "\":1,\"list\":[\"" LONG_KEY "\",\"" LONG_KEY "\"],\"" LONG_KEY "2\":\"x\"}"

static json_t *build(void) {
    json_t *list = json_whole_append(json_array(), json_string(LONG_KEY));
    json_t *object = json_whole_set(json_object(), LONG_KEY, json_integer(1));
    list = json_whole_append(list, json_string(LONG_KEY));
    object = json_whole_set(object, "list", list);
    return json_whole_update(object, json_pack("{s:s}", LONG_KEY "2", "x"));
}

START_TEST(an_object_is_whole_or_not_there) {
    unsigned n = 1;
    for (bool failed = true; failed; n++) {
        until_failure = n;
        json_t *object = build();
        failed = has_failed();
        ck_assert_int_eq(object == NULL, failed);
        char *text = json_whole_text(object, JSON_COMPACT);
        ck_assert_int_eq(text == NULL, failed);
        if (text != NULL)
            ck_assert_str_eq(text, WHOLE);
        free(text);
        json_decref(object);
    }
    ck_assert_uint_gt(n, 10);
}
END_TEST

START_TEST(a_text_is_whole_or_not_there) {
    json_t *object = build();
    unsigned n = 1;
    for (bool failed = true; failed; n++) {
        until_failure = n;
        char *text = json_whole_text(object, JSON_COMPACT);
        failed = has_failed();
        ck_assert(failed || text != NULL);
        if (text != NULL)
            ck_assert_str_eq(text, WHOLE);
        free(text);
    }
    json_decref(object);
    ck_assert_uint_gt(n, 2);
}
END_TEST

START_TEST(nothing_is_made_of_nothing) {
    json_t *object = json_object();
    ck_assert_ptr_null(json_whole_text(NULL, 0));
    ck_assert_ptr_null(json_whole_set(NULL, "a", json_null()));
    ck_assert_ptr_null(json_whole_set(json_object(), "a", NULL));
    ck_assert_ptr_null(json_whole_append(NULL, json_null()));
    ck_assert_ptr_null(json_whole_append(json_array(), NULL));
    ck_assert_ptr_null(json_whole_update(NULL, json_object()));
    ck_assert_ptr_null(json_whole_update(object, NULL));
}
END_TEST

Suite *json_whole_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("json_whole", &tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_object_is_whole_or_not_there);
    tcase_add_test(tests, a_text_is_whole_or_not_there);
    tcase_add_test(tests, nothing_is_made_of_nothing);
    return suite;
}
