#include "erlang/term_text.h"

#include "assertions.h"
#include "suites.h"

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
    tcase_add_test(tests, a_list_has_commas_between);
    tcase_add_test(tests, what_does_not_fit_fails);
    return suite;
}
