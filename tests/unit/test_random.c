#include "base/random.h"

#include "suites.h"

START_TEST(the_numbers_are_those_of_the_reference) {
    /* xoshiro256** seeded by splitmix64, as other implementations have them */
    static const uint64_t of_zero[] = {UINT64_C(0x99ec5f36cb75f2b4), UINT64_C(0xbf6e1f784956452a)};
    static const uint64_t of_42[] = {UINT64_C(0x15780b2e0c2ec716), UINT64_C(0x6104d9866d113a7e),
                                     UINT64_C(0xae17533239e499a1), UINT64_C(0xecb8ad4703b360a1),
                                     UINT64_C(0xfde6dc7fe2ec5e64), UINT64_C(0xc50da53101795238),
                                     UINT64_C(0xb82154855a65ddb2), UINT64_C(0xd99a2743ebe60087)};
    struct random zero = random_of(0), other = random_of(42);
    for (size_t i = 0; i < 2; i++)
        ck_assert_uint_eq(random_next(&zero), of_zero[i]);
    for (size_t i = 0; i < 8; i++)
        ck_assert_uint_eq(random_next(&other), of_42[i]);
}
END_TEST

START_TEST(a_number_below_a_bound_is_the_rest_of_the_next) {
    struct random random = random_of(42);
    ck_assert_uint_eq(random_below(&random, 1000), UINT64_C(0x15780b2e0c2ec716) % 1000);
    ck_assert_uint_eq(random_below(&random, 1), 0);
    ck_assert_uint_eq(random_below(&random, 0), 0);
    ck_assert_uint_eq(random_next(&random), UINT64_C(0xae17533239e499a1)); /* 0 took none */
}
END_TEST

START_TEST(a_number_between_two_may_be_either) {
    struct random random = random_of(1);
    unsigned seen[3] = {0};
    for (int i = 0; i < 300; i++) {
        int64_t number = random_between(&random, -1, 1);
        ck_assert(number >= -1 && number <= 1);
        seen[number + 1]++;
    }
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_gt(seen[i], 50);
    ck_assert_int_eq(random_between(&random, 7, 7), 7);
}
END_TEST

Suite *random_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("random", &tests);
    tcase_add_test(tests, the_numbers_are_those_of_the_reference);
    tcase_add_test(tests, a_number_below_a_bound_is_the_rest_of_the_next);
    tcase_add_test(tests, a_number_between_two_may_be_either);
    return suite;
}
