#include "erlang/ekka_port.h"

#include "assertions.h"
#include "seeded.h"
#include "suites.h"

#include <stdio.h>

#define BASE EKKA_DIST_BASE_PORT

static uint32_t port_on(const char *node, uint16_t base) {
    uint32_t port = 1;
    ck_assert_msg(ekka_port(bytes_of_text(node), base, &port), "%s has no port", node);
    return port;
}

static uint32_t port_of(const char *node) {
    return port_on(node, BASE);
}

START_TEST(the_digits_before_the_at_are_the_offset) {
    ck_assert_uint_eq(port_of("emqx@s1.emqx.io"), BASE);
    ck_assert_uint_eq(port_of("emqx-1@192.168.0.12"), BASE + 1);
    ck_assert_uint_eq(port_of("emqx12@h"), BASE + 12);
    ck_assert_uint_eq(port_of("emqx12"), BASE + 12);
    ck_assert_uint_eq(port_of("7"), BASE + 7);
    ck_assert_uint_eq(port_of("n007@h"), BASE + 7);
    ck_assert_uint_eq(port_on("emqx2@h", 5370), 5372);
}
END_TEST

START_TEST(digits_elsewhere_do_not_count) {
    ck_assert_uint_eq(port_of("1emqx@h"), BASE);
    ck_assert_uint_eq(port_of("emqx1-@h"), BASE);
    ck_assert_uint_eq(port_of("emqx@h1"), BASE);
    ck_assert_uint_eq(port_of("emqx3@h@8"), BASE + 3);
    ck_assert_uint_eq(port_of("@9"), BASE);
    ck_assert_uint_eq(port_of("n1\xd9\xa2@h"), BASE); /* an Arabic two */
    ck_assert_uint_eq(ekka_offset(LITERAL("n4\0")), 0);
}
END_TEST

START_TEST(what_has_no_letters_has_the_base) {
    uint32_t port;
    ck_assert_uint_eq(port_of(""), BASE);
    ck_assert_uint_eq(port_of("@"), BASE);
    ck_assert(ekka_port(bytes_of(NULL, 0), BASE, &port));
    ck_assert_uint_eq(port, BASE);
}
END_TEST

START_TEST(a_remote_shell_has_port_zero) {
    ck_assert_uint_eq(port_of("remsh@h"), 0);
    ck_assert_uint_eq(port_of("remsh12@h"), 0);
    ck_assert_uint_eq(port_of("remshell3"), 0);
    ck_assert_uint_eq(port_on("remsh65535@h", UINT16_MAX), 0);
    ck_assert(ekka_is_remote_shell(LITERAL("remsh")));
    ck_assert_uint_eq(ekka_offset(LITERAL("remsh12@h")), 0);
}
END_TEST

START_TEST(what_only_looks_like_a_remote_shell_is_a_node) {
    ck_assert_uint_eq(port_of("rems1@h"), BASE + 1);
    ck_assert_uint_eq(port_of("Remsh1@h"), BASE + 1);
    ck_assert_uint_eq(port_of("xremsh1@h"), BASE + 1);
    ck_assert_uint_eq(port_of("n1@remsh"), BASE + 1);
    ck_assert_uint_eq(port_of("rem@sh1"), BASE);
}
END_TEST

START_TEST(offsets_come_round_at_sixty_thousand) {
    ck_assert_uint_eq(port_of("n59999@h"), BASE + 59999);
    ck_assert_uint_eq(port_of("n60000@h"), BASE);
    ck_assert_uint_eq(port_of("n60001@h"), BASE + 1);
    ck_assert_uint_eq(port_of("n4294967296@h"), BASE + 4294967296 % 60000);
    ck_assert_uint_eq(port_of("n18446744073709551616@h"), BASE + 51616);
    ck_assert_uint_eq(port_of("n123456789012345678901234567890@h"), BASE + 7890);
}
END_TEST

START_TEST(over_65535_there_is_no_port_but_a_sum_to_tell) {
    uint32_t port;
    ck_assert_uint_eq(port_on("n59999", 5536), UINT16_MAX);
    ck_assert(!ekka_port(LITERAL("n59999"), 5537, &port));
    ck_assert_uint_eq(port, UINT16_MAX + 1);
    ck_assert(!ekka_port(LITERAL("n59999"), UINT16_MAX, &port));
    ck_assert_uint_eq(port, UINT16_MAX + 59999);
}
END_TEST

/* A number by the weights of its digits, the last one first. */
static uint64_t weighed(const char *digits, size_t count) {
    uint64_t sum = 0, weight = 1;
    for (size_t i = count; i > 0; i--) {
        sum = (sum + weight * (uint64_t)(digits[i - 1] - '0')) % EKKA_OFFSET_MODULO;
        weight = weight * 10 % EKKA_OFFSET_MODULO;
    }
    return sum;
}

START_TEST(a_number_of_any_length_is_taken_whole) {
    struct seeded random = seeded_stream("ekka");

    for (int i = 0; i < 20000; i++) {
        char digits[400], node[450];
        size_t count = seeded_below(&random, i % 10 == 0 ? sizeof digits : 12);
        for (size_t at = 0; at < count; at++)
            digits[at] = (char)('0' + seeded_below(&random, 10));
        snprintf(node, sizeof node, "n-%.*s@h%zu", (int)count, digits, count);
        ck_assert_uint_eq(ekka_offset(bytes_of_text(node)), weighed(digits, count));
    }
}
END_TEST

Suite *ekka_port_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("ekka_port", &tests);
    tcase_add_test(tests, the_digits_before_the_at_are_the_offset);
    tcase_add_test(tests, digits_elsewhere_do_not_count);
    tcase_add_test(tests, what_has_no_letters_has_the_base);
    tcase_add_test(tests, a_remote_shell_has_port_zero);
    tcase_add_test(tests, what_only_looks_like_a_remote_shell_is_a_node);
    tcase_add_test(tests, offsets_come_round_at_sixty_thousand);
    tcase_add_test(tests, over_65535_there_is_no_port_but_a_sum_to_tell);
    tcase_add_test(tests, a_number_of_any_length_is_taken_whole);
    return suite;
}
