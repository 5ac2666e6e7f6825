#include "net/allow_list.h"

#include "suites.h"

#include <stdio.h>
#include <string.h>

static struct allow_list list;

static bool has(const char *text) {
    struct address address;
    ck_assert(address_parse(text, 4370, &address));
    return allow_list_has(&list, &address);
}

static void parse(const char *text) {
    const char *why = allow_list_parse(text, &list);
    ck_assert_msg(why == NULL, "%s: %s", text, why);
}

START_TEST(any_and_members_are_words) {
    parse("any");
    ck_assert(list.any && !list.members && list.count == 0);
    parse("Members");
    ck_assert(!list.any && list.members && list.count == 0);
    ck_assert(!has("192.0.2.1"));
    parse("members, 192.0.2.0/24");
    ck_assert(list.members && list.count == 1);
    ck_assert(has("192.0.2.255"));
}
END_TEST

START_TEST(a_network_has_its_addresses_and_no_others) {
    parse("10.0.0.0/8,192.0.2.128/25 2001:db8:8000::/33,198.51.100.7, ::1");
    ck_assert(has("10.0.0.0") && has("10.255.255.255") && !has("11.0.0.0") &&
              !has("9.255.255.255"));
    ck_assert(has("192.0.2.128") && has("192.0.2.255") && !has("192.0.2.127"));
    ck_assert(has("2001:db8:8000::1") && has("2001:db8:ffff::") && !has("2001:db8:7fff::"));
    ck_assert(has("198.51.100.7") && !has("198.51.100.6") && has("::1") && !has("::2"));
}
END_TEST

START_TEST(all_of_a_family_is_a_network) {
    parse("0.0.0.0/0");
    ck_assert(has("255.1.2.3") && !has("::1"));
    parse("::/0");
    ck_assert(has("2001:db8::1") && !has("192.0.2.1"));
}
END_TEST

START_TEST(mapped_addresses_are_ipv4) {
    parse("192.0.2.0/24");
    ck_assert(has("::ffff:192.0.2.9") && !has("::ffff:192.0.3.9"));
    parse("::ffff:192.0.2.0/120");
    ck_assert(has("192.0.2.9") && !has("192.0.3.9"));
}
END_TEST

START_TEST(every_prefix_is_held_to_its_bits) {
    for (unsigned bits = 1; bits <= 32; bits++) {
        char text[64];
        uint32_t network = UINT32_MAX << (32 - bits), other = network ^ (1U << (32 - bits));
        snprintf(text, sizeof text, "%u.%u.%u.%u/%u", network >> 24, network >> 16 & 255,
                 network >> 8 & 255, network & 255, bits);
        parse(text);
        ck_assert(has("255.255.255.255"));
        snprintf(text, sizeof text, "%u.%u.%u.%u", other >> 24, other >> 16 & 255, other >> 8 & 255,
                 other & 255);
        ck_assert_msg(!has(text), "%s with %u bits", text, bits);
    }
}
END_TEST

START_TEST(what_is_wrong_is_said) {
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"", "empty"},
        {" , ", "empty"},
        {"any, members", "cannot be combined"},
        {"10.0.0.0/8,any", "cannot be combined"},
        {"everybody", "other than addresses"},
        {"10.0.0", "other than addresses"},
        {"10.0.0.0/33", "invalid prefix length"},
        {"10.0.0.0/", "invalid prefix length"},
        {"10.0.0.0/-1", "invalid prefix length"},
        {"10.0.0.0/8/8", "invalid prefix length"},
        {"2001:db8::/129", "invalid prefix length"},
        {"::ffff:10.0.0.0/8", "invalid prefix length"},
        {"10.1.2.3/8", "bits beyond"},
        {"2001:db8::1/32", "bits beyond"},
        {"fe80::1%lo", "other than addresses"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "other than"},
        {"0.0.0.0/"
         "00000000000000000000000000000000000000000000000000000000000000008",
         "other than"}, /* cut, it would be all addresses */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *why = allow_list_parse(wrong[i].text, &list);
        ck_assert_msg(why != NULL && strstr(why, wrong[i].why) != NULL, "%s: %s", wrong[i].text,
                      why == NULL ? "taken" : why);
    }
}
END_TEST

START_TEST(there_is_room_for_so_many) {
    char text[ALLOW_NETWORKS_MAX * 16 + 32] = "";
    for (int i = 0; i < ALLOW_NETWORKS_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "10.0.%d.0/24,", i);
    parse(text);
    ck_assert(has("10.0.63.1"));
    strcat(text, "10.1.0.0/16");
    ck_assert_ptr_nonnull(allow_list_parse(text, &list));
}
END_TEST

Suite *allow_list_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("allow_list", &tests);
    tcase_add_test(tests, any_and_members_are_words);
    tcase_add_test(tests, a_network_has_its_addresses_and_no_others);
    tcase_add_test(tests, all_of_a_family_is_a_network);
    tcase_add_test(tests, mapped_addresses_are_ipv4);
    tcase_add_test(tests, every_prefix_is_held_to_its_bits);
    tcase_add_test(tests, what_is_wrong_is_said);
    tcase_add_test(tests, there_is_room_for_so_many);
    return suite;
}
