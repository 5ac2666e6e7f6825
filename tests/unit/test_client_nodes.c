/* What the library takes for a node, and why not. */
#include "client/settings.h"

#include "suites.h"

#include <string.h>

static struct node node;

static void assert_text(const char *wrong, const char *expected) {
    ck_assert_ptr_nonnull(wrong);
    ck_assert_str_eq(wrong, expected);
}

START_TEST(a_node_has_a_name_and_maybe_a_host) {
    ck_assert_ptr_null(node_parse("emqx@s1.emqx.io", &node));
    ck_assert_str_eq(node.name, "emqx");
    ck_assert_str_eq(node.host, "s1.emqx.io");
    ck_assert_ptr_null(node_parse("emqx", &node));
    ck_assert_str_eq(node.name, "emqx");
    ck_assert_str_eq(node.host, "");
    assert_text(node_parse("emqx@", &node), "no host after the @");
    assert_text(node_parse(NULL, &node), "no node given");
    assert_text(node_parse("@h", &node), "the name is empty");
    assert_text(node_parse("", &node), "the name is empty");
    assert_text(node_parse("a\xff@h", &node), "the name is not UTF-8");
    assert_text(node_parse("a@h@i", &node), "the host contains an invalid character");
}
END_TEST

START_TEST(a_host_has_no_blanks_and_no_controls) {
    static const char *const wrong[] = {" ", "a b", "a\tb", "a\n", "\x01", "a\x7f", "@", "a@b"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_text(node_parse_host(wrong[i], &node), "the host contains an invalid character");
    assert_text(node_parse_host("\xc3", &node), "the host is not UTF-8");
    ck_assert_ptr_null(node_parse_host("!", &node));
    ck_assert_ptr_null(node_parse_host("s\xc3\xb8k~", &node));
    ck_assert_str_eq(node.host, "s\xc3\xb8k~");
    ck_assert_ptr_null(node_parse_host(NULL, &node));
    ck_assert_str_eq(node.host, "");
}
END_TEST

START_TEST(names_and_hosts_fit_to_the_last_character) {
    char text[300];
    memset(text, 'h', sizeof text);
    text[255] = '\0';
    ck_assert_ptr_null(node_parse_host(text, &node));
    ck_assert_uint_eq(strlen(node.host), 255);
    ck_assert_ptr_null(node_parse_alive(text, &node));
    ck_assert_uint_eq(strlen(node.name), 255);
    text[255] = 'h';
    text[256] = '\0';
    assert_text(node_parse_host(text, &node), "the host is longer than 255 bytes");
    assert_text(node_parse_alive(text, &node), "the name is longer than 255 characters");
    text[256] = '@';
    text[257] = 'h';
    text[258] = '\0';
    assert_text(node_parse(text, &node), "the name is longer than 255 characters");
}
END_TEST

START_TEST(a_name_to_register_has_no_host) {
    strcpy(node.host, "old");
    ck_assert_ptr_null(node_parse_alive("emqx", &node));
    ck_assert_str_eq(node.name, "emqx");
    ck_assert_str_eq(node.host, "");
    assert_text(node_parse_alive(NULL, &node), "no name given");
    assert_text(node_parse_alive("", &node), "the name is empty");
    assert_text(node_parse_alive("a@h", &node),
                "the name contains an @: pass only the part before it");
}
END_TEST

Suite *client_nodes_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("client_nodes", &tests);
    tcase_add_test(tests, a_node_has_a_name_and_maybe_a_host);
    tcase_add_test(tests, a_host_has_no_blanks_and_no_controls);
    tcase_add_test(tests, names_and_hosts_fit_to_the_last_character);
    tcase_add_test(tests, a_name_to_register_has_no_host);
    return suite;
}
