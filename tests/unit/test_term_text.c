#include "erlang/term_text.h"

#include "assertions.h"
#include "suites.h"

#include <stdio.h>
#include <string.h>

/* What Erlang/OTP 25's io:format("~tp", [binary_to_atom(Name)]) prints. */
static const struct {
    const char *name, *printed;
} atoms[] = {
    {"emqx", "emqx"},
    {"emqx@s1", "emqx@s1"},
    {"emqx@s1.emqx.io", "'emqx@s1.emqx.io'"},
    {"emqx_1@host2", "emqx_1@host2"},
    {"emqx-1@host", "'emqx-1@host'"},
    {"Emqx@h", "'Emqx@h'"},
    {"_x", "'_x'"},
    {"1@h", "'1@h'"},
    {"", "''"},
    {"fun", "'fun'"},
    {"receive", "'receive'"},
    {"receiver", "receiver"},
    {"it's", "'it\\'s'"},
    {"back\\slash", "'back\\\\slash'"},
    {"a\nb\tc\rd", "'a\\nb\\tc\\rd'"},
    {"\b\v\f\x1b\x7f", "'\\b\\v\\f\\e\\d'"},
    {"\x01\x1f", "'\\001\\037'"},
    {"a\xc2\x85", "'a\\205'"},
    {"kanin\xc3\xb8@h.x", "'kanin\xc3\xb8@h.x'"},
    {"kanin\xc3\xb8", "kanin\xc3\xb8"},
    {"\xc3\x9f"
     "a\xc3\x84",
     "\xc3\x9f"
     "a\xc3\x84"},
    {"\xc3\x84", "'\xc3\x84'"},
    {"a\xc3\xb7", "'a\xc3\xb7'"},
    {"a\xce\xb1", "'a\xce\xb1'"},
    {"maybe", "maybe"},
    {"a\xff", "a\xc3\xbf"},
    {"a\x85", "'a\\205'"},
};

START_TEST(an_atom_is_quoted_and_escaped_as_erlang_does) {
    for (size_t i = 0; i < sizeof atoms / sizeof atoms[0]; i++) {
        char out[64];
        struct writer writer = writer_of(out, sizeof out);
        term_write_atom(&writer, bytes_of_text(atoms[i].name));
        write_u8(&writer, 0);
        ck_assert_str_eq(out, atoms[i].printed);
        ck_assert_uint_le(writer.len - 1, TERM_ATOM_SIZE(strlen(atoms[i].name)));
    }
}
END_TEST

static const char *printed(struct bytes name) {
    static char out[64];
    struct writer writer = writer_of(out, sizeof out);
    term_write_atom(&writer, name);
    write_u8(&writer, 0);
    return out;
}

START_TEST(each_reserved_word_is_quoted_and_a_longer_one_is_not) {
    static const char *const words[] = {
        "after", "and",  "andalso", "band",   "begin",   "bnot", "bor", "bsl",  "bsr",
        "bxor",  "case", "catch",   "cond",   "div",     "end",  "fun", "if",   "let",
        "not",   "of",   "or",      "orelse", "receive", "rem",  "try", "when", "xor"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char quoted[16], longer[16];
        snprintf(quoted, sizeof quoted, "'%s'", words[i]);
        snprintf(longer, sizeof longer, "%sx", words[i]);
        ck_assert_str_eq(printed(bytes_of_text(words[i])), quoted);
        ck_assert_str_eq(printed(bytes_of_text(longer)), longer);
    }
}
END_TEST

/* Only letters, digits, _ and @ follow a small letter in an atom that stands bare. */
START_TEST(each_character_of_latin1_quotes_or_does_not) {
    for (unsigned byte = ' '; byte < 256; byte++) {
        const uint8_t second[] = {'a', (uint8_t)byte}, first[] = {(uint8_t)byte, 'a'};
        bool small = (byte >= 'a' && byte <= 'z') || (byte >= 0xdf && byte != 0xf7);
        bool large = (byte >= 'A' && byte <= 'Z') || (byte >= 0xc0 && byte <= 0xde && byte != 0xd7);
        bool other = (byte >= '0' && byte <= '9') || byte == '_' || byte == '@';
        ck_assert_msg((printed(bytes_of(first, 2))[0] != '\'') == small, "byte %u first", byte);
        ck_assert_msg((printed(bytes_of(second, 2))[0] != '\'') == (small || large || other),
                      "byte %u", byte);
    }
}
END_TEST

START_TEST(controls_without_a_letter_are_octal) {
    for (unsigned byte = 1; byte < 0xa0; byte++) {
        const uint8_t alone[] = {'a', (uint8_t)byte}, pair[] = {'a', 0xc2, (uint8_t)byte};
        char expected[16];
        if ((byte >= ' ' && byte < 0x80) || (byte >= '\b' && byte <= '\r') || byte == 27)
            continue;
        snprintf(expected, sizeof expected, "'a\\%03o'", byte);
        ck_assert_str_eq(printed(bytes_of(alone, 2)), expected);
        if (byte >= 0x80)
            ck_assert_str_eq(printed(bytes_of(pair, 3)), expected);
    }
    ck_assert_str_eq(printed(LITERAL("a\xa0")), "'a\xc2\xa0'");
    ck_assert_str_eq(printed(LITERAL("a\xc2\xa0")), "'a\xc2\xa0'");
}
END_TEST

START_TEST(what_cannot_be_seen_is_hexadecimal) {
    ck_assert_str_eq(printed(LITERAL("a\u200bz")), "'a\\x{200B}z'");
    ck_assert_str_eq(printed(LITERAL("\U000e0041z")), "'\\x{E0041}z'");
}
END_TEST

START_TEST(a_list_has_commas_between) {
    char out[64];
    const struct bytes names[] = {LITERAL("a@h.x"), LITERAL("b")};
    struct writer writer = writer_of(out, sizeof out);
    term_write_atom_list(&writer, names, 2);
    term_write_atom_list(&writer, names, 0);
    write_u8(&writer, 0);
    ck_assert_str_eq(out, "['a@h.x',b][]");
}
END_TEST

START_TEST(what_does_not_fit_fails) {
    char out[4];
    struct writer writer = writer_of(out, sizeof out);
    term_write_atom(&writer, LITERAL("a.bcdef"));
    ck_assert(writer.failed);
}
END_TEST

Suite *term_text_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("term_text", &tests);
    tcase_add_test(tests, an_atom_is_quoted_and_escaped_as_erlang_does);
    tcase_add_test(tests, each_reserved_word_is_quoted_and_a_longer_one_is_not);
    tcase_add_test(tests, each_character_of_latin1_quotes_or_does_not);
    tcase_add_test(tests, controls_without_a_letter_are_octal);
    tcase_add_test(tests, what_cannot_be_seen_is_hexadecimal);
    tcase_add_test(tests, a_list_has_commas_between);
    tcase_add_test(tests, what_does_not_fit_fails);
    return suite;
}
