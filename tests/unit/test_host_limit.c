#include "net/host_limit.h"

#include "failing_allocation.h"
#include "seeded.h"
#include "suites.h"

#include <stdio.h>

#define MOST 3

static struct host_limit *limit;

static void begin(void) {
    limit = host_limit_new(MOST);
    ck_assert_ptr_nonnull(limit);
}

static void end(void) {
    host_limit_free(limit);
}

static struct address peer(const char *text) {
    struct address address;
    ck_assert(address_parse(text, 50000, &address));
    return address;
}

static bool enter(const char *text) {
    const struct address address = peer(text);
    return host_limit_enter(limit, &address);
}

static void leave(const char *text) {
    const struct address address = peer(text);
    host_limit_leave(limit, &address);
}

static void fill(const char *text) {
    for (int i = 0; i < MOST; i++)
        ck_assert(enter(text));
}

START_TEST(a_host_may_have_so_many_and_no_more) {
    fill("192.0.2.1");

    ck_assert(!enter("192.0.2.1"));
    leave("192.0.2.1");
    ck_assert(enter("192.0.2.1"));
    ck_assert(!enter("192.0.2.1"));
}
END_TEST

START_TEST(a_greedy_host_takes_nothing_from_others) {
    fill("192.0.2.1");

    fill("192.0.2.2");
    fill("2001:db8::1");
    ck_assert(!enter("192.0.2.1"));
}
END_TEST

START_TEST(the_port_does_not_make_another_host) {
    struct address address = peer("192.0.2.1");
    for (uint16_t port = 1; port <= MOST; port++) {
        address.v4.sin_port = port;
        ck_assert(host_limit_enter(limit, &address));
    }
    ck_assert(!enter("192.0.2.1"));
}
END_TEST

START_TEST(an_ipv6_network_of_64_bits_is_one_host) {
    ck_assert(enter("2001:db8:1:2::1"));
    ck_assert(enter("2001:db8:1:2:3::1"));
    ck_assert(enter("2001:db8:1:2:ffff:ffff:ffff:ffff"));

    ck_assert(!enter("2001:db8:1:2::9"));
    ck_assert(enter("2001:db8:1:3::1"));
}
END_TEST

START_TEST(an_ipv4_host_is_the_same_when_it_comes_by_an_ipv6_socket) {
    fill("192.0.2.1");

    ck_assert(!enter("::ffff:192.0.2.1"));
    fill("::ffff:192.0.2.2");
    ck_assert(!enter("192.0.2.2"));
}
END_TEST

START_TEST(families_do_not_mix) {
    fill("1.2.3.4");

    ck_assert(enter("102:304::")); /* the same first bytes */
}
END_TEST

START_TEST(a_limit_of_none_lets_all_in) {
    host_limit_free(limit);
    limit = host_limit_new(0);

    for (int i = 0; i < 1000; i++)
        ck_assert(enter("192.0.2.1"));
    leave("192.0.2.1");
}
END_TEST

START_TEST(counts_follow_those_who_come_and_go) {
    struct seeded random = seeded_stream("peers");
    unsigned counts[20] = {0};

    for (int i = 0; i < 20000; i++) {
        size_t who = seeded_below(&random, 20);
        char text[32];
        snprintf(text, sizeof text, who < 10 ? "10.0.0.%zu" : "2001:db8:0:%zu::1", who);
        if (seeded_chance(&random, 60)) {
            bool entered = enter(text);
            ck_assert_int_eq(entered, counts[who] < MOST);
            counts[who] += entered ? 1 : 0;
        } else if (counts[who] > 0) {
            leave(text);
            counts[who]--;
        }
    }
}
END_TEST

START_TEST(without_memory_nobody_new_is_counted) {
    for (int i = 0; i < 1500; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.1.%d.%d", i / 256, i % 256);
        const struct address address = peer(text);
        for (unsigned n = 1;; n++) {
            fail_nth_allocation(n);
            bool entered = host_limit_enter(limit, &address);
            if (!allocation_failed()) {
                ck_assert(entered);
                break;
            }
            ck_assert(!entered);
        }
        /* counted once, so there is room for all but one more */
        for (int more = 1; more < MOST; more++)
            ck_assert(host_limit_enter(limit, &address));
        ck_assert(!host_limit_enter(limit, &address));
    }
}
END_TEST

START_TEST(a_known_host_is_counted_without_memory) {
    const struct address address = peer("192.0.2.1");
    ck_assert(host_limit_enter(limit, &address));

    fail_nth_allocation(1);
    bool entered = host_limit_enter(limit, &address);

    ck_assert(!allocation_failed());
    ck_assert(entered);
}
END_TEST

START_TEST(without_memory_there_is_no_limit) {
    fail_nth_allocation(1);
    struct host_limit *none = host_limit_new(MOST);

    ck_assert(allocation_failed());
    ck_assert_ptr_null(none);
    host_limit_free(NULL);
}
END_TEST

Suite *host_limit_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("host_limit", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_host_may_have_so_many_and_no_more);
    tcase_add_test(tests, a_greedy_host_takes_nothing_from_others);
    tcase_add_test(tests, the_port_does_not_make_another_host);
    tcase_add_test(tests, an_ipv6_network_of_64_bits_is_one_host);
    tcase_add_test(tests, an_ipv4_host_is_the_same_when_it_comes_by_an_ipv6_socket);
    tcase_add_test(tests, families_do_not_mix);
    tcase_add_test(tests, a_limit_of_none_lets_all_in);
    tcase_add_test(tests, counts_follow_those_who_come_and_go);
    tcase_add_test(tests, without_memory_nobody_new_is_counted);
    tcase_add_test(tests, a_known_host_is_counted_without_memory);
    tcase_add_test(tests, without_memory_there_is_no_limit);
    return suite;
}
