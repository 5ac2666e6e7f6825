#include "link/handshake_limit.h"

#include "suites.h"

#include <stdio.h>

static struct handshake_limit *limit;

static void begin(void) {
    limit = handshake_limit_new();
    ck_assert_ptr_nonnull(limit);
}

static void end(void) {
    handshake_limit_free(limit);
}

static struct address peer(unsigned number) {
    struct address address;
    char text[32];
    snprintf(text, sizeof text, "10.0.%u.%u", number / 256, number % 256);
    ck_assert(address_parse(text, 50000, &address));
    return address;
}

/* Each in a second of its own, so that the rate does not matter. */
static bool enters(unsigned number, bool from_member) {
    static int64_t now_ms = 0;
    const struct address address = peer(number);
    now_ms += 1000;
    return handshake_limit_enter(limit, &address, from_member, now_ms);
}

static void fill_with_strangers(void) {
    for (unsigned i = 0; i < HANDSHAKES_STRANGERS; i++)
        ck_assert(enters(1000 + i / HANDSHAKES_OF_STRANGER, false));
}

START_TEST(a_stranger_has_its_share_of_handshakes) {
    const struct address one = peer(1);
    for (int i = 0; i < HANDSHAKES_OF_STRANGER; i++)
        ck_assert(enters(1, false));
    ck_assert(!enters(1, false));
    ck_assert(!handshake_limit_needs_victim(limit, false)); /* nobody has to give way to it */
    ck_assert(enters(2, false));
    handshake_limit_leave(limit, &one, false);
    ck_assert(enters(1, false));
    ck_assert(!enters(1, false));
}
END_TEST

START_TEST(strangers_leave_places_for_members) {
    fill_with_strangers();
    ck_assert(handshake_limit_needs_victim(limit, false) && !enters(2, false));
    for (int i = 0; i < HANDSHAKES_MEMBERS; i++)
        ck_assert(!handshake_limit_needs_victim(limit, true) && enters(1, true));
    ck_assert(handshake_limit_needs_victim(limit, true));
    ck_assert(!enters(1, true));
}
END_TEST

START_TEST(one_that_leaves_makes_room) {
    const struct address first = peer(1000);
    fill_with_strangers();
    ck_assert(!enters(2, false));
    handshake_limit_leave(limit, &first, false);
    ck_assert(!handshake_limit_needs_victim(limit, false) && enters(2, false));
}
END_TEST

START_TEST(a_host_begins_so_many_in_a_second) {
    const struct address one = peer(1);
    for (int i = 0; i < HANDSHAKES_A_SECOND; i++) {
        ck_assert(handshake_limit_enter(limit, &one, false, 5000));
        handshake_limit_leave(limit, &one, false);
    }
    ck_assert(!handshake_limit_enter(limit, &one, false, 5999));
    ck_assert(handshake_limit_enter(limit, &one, false, 6000));
}
END_TEST

Suite *handshake_limit_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("handshake_limit", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_stranger_has_its_share_of_handshakes);
    tcase_add_test(tests, strangers_leave_places_for_members);
    tcase_add_test(tests, one_that_leaves_makes_room);
    tcase_add_test(tests, a_host_begins_so_many_in_a_second);
    return suite;
}
