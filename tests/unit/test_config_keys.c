#include "config/keys.h"

#include "config/node.h"
#include "config_fixture.h"
#include "suites.h"

#include <string.h>

START_TEST(each_default_is_the_text_of_its_own_value) {
    char buffer[CONFIG_TEXT_SIZE];
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (strcmp(key->name, "node.data_dir") == 0 || strcmp(key->name, "control.socket") == 0)
            continue; /* of the place */
        ck_assert_str_eq(config_key_text(&config, key, buffer),
                         config_key_initial(key, CONFIG_AS_PORTOLAND));
    }
}
END_TEST

START_TEST(each_key_has_a_place_a_family_and_a_meaning_of_its_own) {
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        ck_assert_ptr_eq(config_key_find(key->name), key);
        ck_assert_uint_eq(config_key_number(key), i);
        ck_assert(config_key_family_is_ours(key->name));
        ck_assert_ptr_nonnull(strchr(key->name, '.'));
        ck_assert(key->meaning[0] >= 'A' && key->meaning[0] <= 'Z');
        ck_assert_int_ne(key->meaning[strlen(key->meaning) - 1], '.');
        ck_assert(!emqx_keys_has(key->name));
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(key->offset, config_keys[j].offset);
    }
}
END_TEST

START_TEST(a_value_s_text_sets_the_same_value) {
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        char buffer[CONFIG_TEXT_SIZE], text[256];
        snprintf(text, sizeof text, "%s", config_key_text(&config, key, buffer));
        ck_assert_msg(set(key->name, text), "%s = %s", key->name, text);
        ck_assert_str_eq(config_key_text(&config, key, buffer), text);
    }
}
END_TEST

START_TEST(the_nearest_key_is_found) {
    ck_assert_str_eq(config_key_nearest("node.nam"), "node.name");
    ck_assert_str_eq(config_key_nearest("epmd.enabel"), "epmd.enable");
    ck_assert_str_eq(config_key_nearest("node.dist_listen_mix"), "node.dist_listen_min");
    ck_assert_str_eq(config_key_nearest("node.max_prots"), "node.max_ports");
    ck_assert_ptr_null(config_key_nearest("node.something_quite_different"));
    ck_assert_ptr_null(config_key_nearest(""));
}
END_TEST

START_TEST(a_family_is_what_stands_before_the_first_dot) {
    ck_assert(config_key_family_is_ours("node.anything"));
    ck_assert(config_key_family_is_ours("log.a.b"));
    ck_assert(!config_key_family_is_ours("nod.name"));
    ck_assert(!config_key_family_is_ours("nodes.name"));
    ck_assert(!config_key_family_is_ours("acl_file"));
    ck_assert(!config_key_family_is_ours(""));
}
END_TEST

START_TEST(a_node_name_has_a_host_that_others_can_find) {
    static const char *const good[] = {
        "portolan@127.0.0.1", "emqx-1@192.168.0.12", "emqx@s1.emqx.io",   "a@::1",
        "a_b@2001:db8::1",    "x@s1.a-b.example.",   "emqx@1host.example"};
    static const struct {
        const char *name, *why;
    } wrong[] = {
        {"", "no @"},
        {"emqx", "no @"},
        {"a@b@c.d", "more than one @"},
        {"@a.b", "invalid name before"},
        {"a b@c.d", "invalid name before"},
        {"a@", "no host"},
        {"a@s1", "not fully qualified"},
        {"a@localhost", "not fully qualified"},
        {"a@1.2.3", "not a valid IP address"},
        {"a@1.2.3.256", "not a valid IP address"},
        {"a@b..c", "not a valid host name"},
        {"a@.b", "not a valid host name"},
        {"a@b c.d", "not a valid host name"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(config_node_check(good[i]) == NULL, "%s", good[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *why = config_node_check(wrong[i].name);
        ck_assert_msg(why != NULL && strstr(why, wrong[i].why) != NULL, "%s: %s", wrong[i].name,
                      why == NULL ? "accepted" : why);
    }
}
END_TEST

START_TEST(more_families_than_there_is_room_for_are_counted_in_all) {
    char text[64], name[80];
    struct emqx_keys ignored = {.keys = 0};
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "family%d.with.a.key", i);
        emqx_keys_add(&ignored, name);
    }
    emqx_keys_add(&ignored, "a_family_with_a_name_that_is_much_too_long.key");
    ck_assert_uint_eq(ignored.keys, 101);
    ck_assert_uint_eq(ignored.families, CONFIG_FAMILIES_MAX);
    emqx_keys_format(&ignored, text, sizeof text);
    ck_assert_uint_eq(strlen(text), sizeof text - 1);
}
END_TEST

Suite *config_keys_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("config_keys", &tests);
    tcase_add_checked_fixture(tests, config_fixture_begin, config_fixture_end);
    tcase_add_test(tests, each_default_is_the_text_of_its_own_value);
    tcase_add_test(tests, each_key_has_a_place_a_family_and_a_meaning_of_its_own);
    tcase_add_test(tests, a_value_s_text_sets_the_same_value);
    tcase_add_test(tests, the_nearest_key_is_found);
    tcase_add_test(tests, a_family_is_what_stands_before_the_first_dot);
    tcase_add_test(tests, a_node_name_has_a_host_that_others_can_find);
    tcase_add_test(tests, more_families_than_there_is_room_for_are_counted_in_all);
    return suite;
}
