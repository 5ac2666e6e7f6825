#include "net/address.h"

#include "assertions.h"
#include "suites.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct address parsed(const char *text) {
    struct address address;
    ck_assert_msg(address_parse(text, 4369, &address), "%s", text);
    return address;
}

static void assert_text(const struct address *address, const char *expected) {
    char text[ADDRESS_TEXT_SIZE];
    ck_assert_ptr_eq(address_format(address, text), text);
    ck_assert_str_eq(text, expected);
}

START_TEST(an_address_reads_as_it_was_written) {
    static const char *const texts[][2] = {
        {"192.0.2.1", "192.0.2.1:4369"},
        {"0.0.0.0", "0.0.0.0:4369"},
        {"2001:db8::1", "[2001:db8::1]:4369"},
        {"[2001:db8::1]", "[2001:db8::1]:4369"},
        {"::", "[::]:4369"},
        {"::ffff:192.0.2.1", "[::ffff:192.0.2.1]:4369"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct address address = parsed(texts[i][0]);
        ck_assert_uint_eq(address_port(&address), 4369);
        assert_text(&address, texts[i][1]);
    }
}
END_TEST

START_TEST(the_longest_address_fits_its_text) {
    struct address address = parsed("2001:0db8:1111:2222:3333:4444:5555:6666");
    address.v6.sin6_port = UINT16_MAX;

    assert_text(&address, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
}
END_TEST

START_TEST(a_zone_is_the_interface_it_names) {
    const struct address address = parsed("fe80::1%lo");

    ck_assert_uint_eq(address.v6.sin6_scope_id, if_nametoindex("lo"));
    ck_assert_uint_eq(parsed("[fe80::1%lo]").v6.sin6_scope_id, if_nametoindex("lo"));
    ck_assert_uint_eq(parsed("fe80::1").v6.sin6_scope_id, 0);
}
END_TEST

START_TEST(what_is_no_numeric_address_leaves_the_place_alone) {
    static const char *const wrong[] = {
        "",
        "localhost",
        "192.0.2",
        "192.0.2.1.1",
        "192.0.2.256",
        " 192.0.2.1",
        "192.0.2.1 ",
        "192.0.2.1:80",
        "[192.0.2.1]",
        "[::1",
        "::1]",
        "[]",
        "[",
        "[[::1]]",
        ":::1",
        "fe80::1%",
        "%lo",
        "fe80::1%nonesuch0",
        "1:2:3:4:5:6:7:8:9",
        "2001:0db8:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cc",
    };
    struct address address = address_loopback_v4(1);
    const struct address before = address;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!address_parse(wrong[i], 4369, &address), "'%s'", wrong[i]);
        ck_assert_mem_eq(&address, &before, sizeof address);
    }
}
END_TEST

START_TEST(well_known_addresses_are_what_they_are_called) {
    const struct address v4 = address_any_v4(1), v6 = address_any_v6(2);
    const struct address loopback_v4 = address_loopback_v4(3), loopback_v6 = address_loopback_v6(4);

    assert_text(&v4, "0.0.0.0:1");
    assert_text(&v6, "[::]:2");
    assert_text(&loopback_v4, "127.0.0.1:3");
    assert_text(&loopback_v6, "[::1]:4");
    ck_assert_uint_eq(address_len(&v4), sizeof(struct sockaddr_in));
    ck_assert_uint_eq(address_len(&v6), sizeof(struct sockaddr_in6));
}
END_TEST

START_TEST(loopback_is_all_of_127_and_one_of_ipv6) {
    static const char *const inside[] = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1",
                                         "::ffff:127.9.9.9"};
    static const char *const outside[] = {
        "128.0.0.1", "126.255.255.255",  "0.0.0.0", "::",
        "::2",       "::ffff:128.0.0.1", "7f00::1", "::127.0.0.1"};

    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        const struct address address = parsed(inside[i]);
        ck_assert_msg(address_is_loopback(&address), "%s", inside[i]);
    }
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        const struct address address = parsed(outside[i]);
        ck_assert_msg(!address_is_loopback(&address), "%s", outside[i]);
    }
}
END_TEST

static bool same_host(const char *one, const char *other) {
    const struct address a = parsed(one);
    struct address b = parsed(other);
    b.v4.sin_port = 0; /* the port of either family */
    ck_assert_int_eq(address_same_host(&a, &b), address_same_host(&b, &a));
    return address_same_host(&a, &b);
}

START_TEST(a_host_is_its_address_whatever_port_or_form) {
    ck_assert(same_host("192.0.2.1", "192.0.2.1"));
    ck_assert(same_host("2001:db8::1", "2001:db8:0::1"));
    ck_assert(same_host("192.0.2.1", "::ffff:192.0.2.1"));
    ck_assert(same_host("::ffff:192.0.2.1", "::ffff:192.0.2.1"));
    ck_assert(!same_host("192.0.2.1", "192.0.2.2"));
    ck_assert(!same_host("2001:db8::1", "2001:db8::2"));
    ck_assert(!same_host("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
    ck_assert(!same_host("127.0.0.1", "::1"));
    ck_assert(!same_host("0.0.0.0", "::"));
}
END_TEST

/* A connected socket whose own end has this address. */
static int socket_with_own_address(const char *own) {
    struct address address = parsed(own);
    address.v4.sin_port = 0;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof address;
    ck_assert_int_eq(bind(listener, &address.any, address_len(&address)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(bind(fd, &address.any, address_len(&address)), 0);
    ck_assert_int_eq(getsockname(listener, &address.any, &len), 0);
    ck_assert_int_eq(connect(fd, &address.any, len), 0);
    close(listener);
    return fd;
}

START_TEST(a_peer_is_local_on_loopback_or_at_the_address_it_called) {
    int fd = socket_with_own_address("127.0.0.5");
    const struct address loopback = parsed("127.9.9.9"), loopback_v6 = parsed("::1");
    const struct address other = parsed("192.0.2.1"), other_v6 = parsed("2001:db8::1");

    ck_assert(address_peer_is_local(fd, &loopback));
    ck_assert(address_peer_is_local(fd, &loopback_v6));
    ck_assert(!address_peer_is_local(fd, &other));
    ck_assert(!address_peer_is_local(fd, &other_v6));
    close(fd);
    /* of a socket that is no more, nothing is known but the peer */
    ck_assert(address_peer_is_local(fd, &loopback));
    ck_assert(!address_peer_is_local(fd, &other));
}
END_TEST

Suite *address_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("address", &tests);
    tcase_add_test(tests, an_address_reads_as_it_was_written);
    tcase_add_test(tests, the_longest_address_fits_its_text);
    tcase_add_test(tests, a_zone_is_the_interface_it_names);
    tcase_add_test(tests, what_is_no_numeric_address_leaves_the_place_alone);
    tcase_add_test(tests, well_known_addresses_are_what_they_are_called);
    tcase_add_test(tests, loopback_is_all_of_127_and_one_of_ipv6);
    tcase_add_test(tests, a_host_is_its_address_whatever_port_or_form);
    tcase_add_test(tests, a_peer_is_local_on_loopback_or_at_the_address_it_called);
    return suite;
}
