#include "base/nearest.h"

#include "seeded.h"
#include "suites.h"

#include <string.h>

static const char *const words[] = {"status", "names", "resolve", "port", "lease",
                                    "leases", "exec",  "watch",   "stop", NULL};

/* "" when nothing is near. */
static const char *meant_by(const char *word) {
    struct nearest nearest = nearest_to(word);
    for (size_t i = 0; words[i] != NULL; i++)
        nearest_try(&nearest, words[i]);
    return nearest.found == NULL ? "" : nearest.found;
}

START_TEST(a_word_that_exists_means_itself) {
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], "leases") != 0) /* as near as "lease"; who exists need not ask */
            ck_assert_str_eq(meant_by(words[i]), words[i]);
    }
}
END_TEST

START_TEST(one_slip_of_the_finger_is_forgiven) {
    ck_assert_str_eq(meant_by("stats"), "status");   /* left out */
    ck_assert_str_eq(meant_by("sttatus"), "status"); /* doubled */
    ck_assert_str_eq(meant_by("statis"), "status");  /* another letter */
    ck_assert_str_eq(meant_by("stauts"), "status");  /* swapped */
    ck_assert_str_eq(meant_by("xport"), "port");
    ck_assert_str_eq(meant_by("sotp"), "stop");
}
END_TEST

START_TEST(letters_that_are_swapped_are_one_slip) {
    struct nearest nearest = nearest_to("stauts");
    nearest_try(&nearest, "status");
    ck_assert_uint_eq(nearest.distance, 1);
}
END_TEST

START_TEST(the_beginning_of_a_word_means_that_word) {
    ck_assert_str_eq(meant_by("res"), "resolve");
    ck_assert_str_eq(meant_by("na"), "names");
}
END_TEST

START_TEST(the_nearest_of_several_is_meant_and_of_equals_the_first) {
    ck_assert_str_eq(meant_by("leasess"), "leases");
    ck_assert_str_eq(meant_by("sto"), "stop");
    ck_assert_str_eq(meant_by("le"), "lease");
}
END_TEST

START_TEST(what_is_far_from_all_means_nothing) {
    ck_assert_str_eq(meant_by("cluster"), "");
    ck_assert_str_eq(meant_by("zz"), "");
    ck_assert_str_eq(meant_by("q"), "");
    ck_assert_str_eq(meant_by("s"), ""); /* one letter is the beginning of nothing */
    ck_assert_str_eq(meant_by("sxaxuxxx"), "");
}
END_TEST

START_TEST(words_of_any_length_are_safe) {
    char longest[64], longer[65], huge[5000];
    memset(longest, 'x', sizeof longest);
    memset(longer, 'x', sizeof longer);
    memset(huge, 'x', sizeof huge);
    longest[63] = longer[64] = huge[4999] = '\0';

    struct nearest nearest = nearest_to(longest);
    nearest_try(&nearest, longer);
    nearest_try(&nearest, huge);
    ck_assert_ptr_null(nearest.found);
    nearest_try(&nearest, longest);
    ck_assert_ptr_eq(nearest.found, longest);

    nearest = nearest_to(longer);
    nearest_try(&nearest, longer);
    ck_assert_ptr_null(nearest.found);
    ck_assert_str_eq(meant_by(huge), "");
    nearest_try(&nearest, "");
    ck_assert_ptr_null(nearest.found);
}
END_TEST

/* Neither of two words is nearer to the other. */
START_TEST(a_distance_is_the_same_there_and_back) {
    struct seeded random = seeded_stream("nearest");
    for (int i = 0; i < 5000; i++) {
        char a[8] = "", b[8] = "";
        size_t len = 3 + seeded_below(&random, 5); /* of one length: no word begins the other */
        for (size_t at = 0; at < len; at++) {
            a[at] = (char)('a' + seeded_below(&random, 3));
            b[at] = (char)('a' + seeded_below(&random, 3));
        }
        struct nearest there = nearest_to(a), back = nearest_to(b);
        nearest_try(&there, b);
        nearest_try(&back, a);
        ck_assert_msg(there.distance == back.distance, "%s and %s", a, b);
        ck_assert_int_eq(there.found != NULL, back.found != NULL);
    }
}
END_TEST

Suite *nearest_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("nearest", &tests);
    tcase_add_test(tests, a_word_that_exists_means_itself);
    tcase_add_test(tests, one_slip_of_the_finger_is_forgiven);
    tcase_add_test(tests, letters_that_are_swapped_are_one_slip);
    tcase_add_test(tests, the_beginning_of_a_word_means_that_word);
    tcase_add_test(tests, the_nearest_of_several_is_meant_and_of_equals_the_first);
    tcase_add_test(tests, what_is_far_from_all_means_nothing);
    tcase_add_test(tests, words_of_any_length_are_safe);
    tcase_add_test(tests, a_distance_is_the_same_there_and_back);
    return suite;
}
