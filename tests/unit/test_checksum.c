#include "base/checksum.h"

#include "assertions.h"
#include "seeded.h"
#include "suites.h"

START_TEST(the_published_vectors_come_out) {
    ck_assert_uint_eq(checksum_of(LITERAL("")), UINT64_C(0xcbf29ce484222325));
    ck_assert_uint_eq(checksum_of(LITERAL("a")), UINT64_C(0xaf63dc4c8601ec8c));
    ck_assert_uint_eq(checksum_of(LITERAL("foobar")), UINT64_C(0x85944171f73967e8));
}
END_TEST

START_TEST(one_flipped_bit_is_seen) {
    struct seeded random = seeded_stream("flipped bit");
    uint8_t text[200];
    seeded_fill(&random, text, sizeof text);
    uint64_t whole = checksum_of(bytes_of(text, sizeof text));

    for (size_t bit = 0; bit < 8 * sizeof text; bit++) {
        text[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_uint_ne(checksum_of(bytes_of(text, sizeof text)), whole);
        text[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(a_torn_text_is_seen) {
    struct seeded random = seeded_stream("torn text");
    uint8_t text[200];
    seeded_fill(&random, text, sizeof text);
    uint64_t whole = checksum_of(bytes_of(text, sizeof text));

    for (size_t len = 0; len < sizeof text; len++)
        ck_assert_uint_ne(checksum_of(bytes_of(text, len)), whole);
}
END_TEST

Suite *checksum_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("checksum", &tests);
    tcase_add_test(tests, the_published_vectors_come_out);
    tcase_add_test(tests, one_flipped_bit_is_seen);
    tcase_add_test(tests, a_torn_text_is_seen);
    return suite;
}
