#include "base/log_limits.h"

#include "suites.h"

#include <stdio.h>

/* What is written of an event at once, at most `tries` lines. */
static unsigned passed(const char *event, bool detail, int64_t now_ms, unsigned tries) {
    unsigned count = 0;
    while (count < tries && log_limits_allow(event, detail, now_ms))
        count++;
    return count;
}

static void assert_budget(const char *event, bool detail, unsigned burst, unsigned a_second) {
    unsigned first = passed(event, detail, 5000, 100000);
    unsigned later = passed(event, detail, 6000, 100000);
    ck_assert_msg(first == burst && later == a_second,
                  "%s: %u at once and %u in a second, expected %u and %u", event, first, later,
                  burst, a_second);
}

START_TEST(each_event_has_its_budget) {
    static const char *const of_nodes[] = {"registered", "unregistered"};
    static const char *const of_leases[] = {"leased", "lease_ended"};
    static const char *const of_ports[] = {"front_port_opened", "front_port_closed",
                                           "front_port_given", "port_shared", "no_front_port"};
    static const char *const of_callers[] = {"refused", "limit", "caller_refused"};
    static const char *const of_operators[] = {"configuration", "reloaded", "listening"};
    static const char *const of_members[] = {"member_up", "member_down", "member_suspect",
                                             "member_joined", "member_left"};
    for (size_t i = 0; i < 2; i++)
        assert_budget(of_nodes[i], false, 16384, 20);
    for (size_t i = 0; i < 2; i++)
        assert_budget(of_leases[i], false, 4096, 20);
    for (size_t i = 0; i < 5; i++)
        assert_budget(of_ports[i], false, 512, 20);
    for (size_t i = 0; i < 3; i++)
        assert_budget(of_callers[i], false, 20, 20);
    for (size_t i = 0; i < 3; i++)
        assert_budget(of_operators[i], false, 1024, 100);
    for (size_t i = 0; i < 5; i++)
        assert_budget(of_members[i], false, 1024, 20);
    assert_budget("another", false, 100, 20);
    assert_budget("a_detail", true, 10000, 1000);
}
END_TEST

START_TEST(events_beyond_the_last_place_share_its_budget) {
    static char names[130][8];
    for (int i = 0; i < 130; i++)
        snprintf(names[i], sizeof names[i], "kind%d", i);
    for (int i = 0; i < 128; i++)
        ck_assert_uint_eq(passed(names[i], false, 1000, 1), 1);
    ck_assert_uint_eq(passed(names[126], false, 1000, 1000), 99);
    ck_assert_uint_eq(passed(names[128], false, 1000, 50), 50);
    ck_assert_uint_eq(passed(names[129], false, 1000, 1000), 49);
    ck_assert_uint_eq(passed(names[127], false, 1000, 1000), 0);
}
END_TEST

START_TEST(held_lines_are_reported_once_for_each_event) {
    const char *event;
    uint64_t lines;
    ck_assert_uint_eq(passed("quiet", false, 1000, 1), 1);
    ck_assert_uint_eq(passed("refused", false, 1000, 100), 20);
    ck_assert_uint_eq(passed("limit", false, 1000, 100), 20);
    ck_assert(!log_limits_allow("limit", false, 1000));

    ck_assert(log_limits_next_suppressed(&event, &lines));
    ck_assert_str_eq(event, "refused");
    ck_assert_uint_eq(lines, 1);
    ck_assert(log_limits_next_suppressed(&event, &lines));
    ck_assert_str_eq(event, "limit");
    ck_assert_uint_eq(lines, 2);
    ck_assert(!log_limits_next_suppressed(&event, &lines));
}
END_TEST

Suite *log_limits_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("log_limits", &tests);
    tcase_add_test(tests, each_event_has_its_budget);
    tcase_add_test(tests, events_beyond_the_last_place_share_its_budget);
    tcase_add_test(tests, held_lines_are_reported_once_for_each_event);
    return suite;
}
