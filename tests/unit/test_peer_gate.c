#include "net/peer_gate.h"

#include "suites.h"

#include <stdio.h>

static struct peer_gate *gate;

static void begin(void) {
    gate = peer_gate_new();
    ck_assert_ptr_nonnull(gate);
}

static void end(void) {
    peer_gate_free(gate);
}

static struct address peer(unsigned number) {
    struct address address;
    char text[32];
    snprintf(text, sizeof text, "10.0.%u.%u", number / 256, number % 256);
    ck_assert(address_parse(text, 50000, &address));
    return address;
}

/* Each in a second of its own, so that the rate is no matter. */
static bool enters(unsigned number) {
    static int64_t now_ms = 0;
    const struct address address = peer(number);
    bool is_known;
    now_ms += 1000;
    return peer_gate_enter(gate, &address, now_ms, &is_known);
}

static bool is_crowded_for(unsigned number) {
    const struct address address = peer(number);
    return peer_gate_is_crowded(gate, &address);
}

static void know(unsigned number) {
    const struct address address = peer(number);
    peer_gate_know(gate, &address);
}

static void fill_with_strangers(void) {
    for (unsigned i = 0; i < PEER_GATE_STRANGERS; i++)
        ck_assert(enters(1000 + i / PEER_GATE_OF_STRANGER));
}

START_TEST(a_stranger_has_its_share_of_handshakes) {
    const struct address one = peer(1);
    for (int i = 0; i < PEER_GATE_OF_STRANGER; i++)
        ck_assert(enters(1));
    ck_assert(!enters(1));
    ck_assert(!is_crowded_for(1)); /* nobody has to give way to it */
    ck_assert(enters(2));
    peer_gate_leave(gate, &one, false);
    ck_assert(enters(1));
    ck_assert(!enters(1));
}
END_TEST

START_TEST(strangers_leave_places_for_members) {
    know(1);
    fill_with_strangers();
    ck_assert(is_crowded_for(2) && !enters(2));
    for (int i = 0; i < PEER_GATE_MEMBERS; i++)
        ck_assert(!is_crowded_for(1) && enters(1));
    ck_assert(is_crowded_for(1));
    ck_assert(!enters(1));
}
END_TEST

START_TEST(one_that_leaves_makes_room) {
    const struct address first = peer(1000);
    fill_with_strangers();
    ck_assert(!enters(2));
    peer_gate_leave(gate, &first, false);
    ck_assert(!is_crowded_for(2) && enters(2));
}
END_TEST

START_TEST(the_newest_hosts_of_members_are_remembered) {
    for (unsigned i = 0; i <= PEER_GATE_KNOWN; i++)
        know(i);
    know(PEER_GATE_KNOWN); /* again: nobody is forgotten for it */
    const struct address oldest = peer(0), second = peer(1), newest = peer(PEER_GATE_KNOWN);
    bool is_known;
    ck_assert(peer_gate_enter(gate, &oldest, 1000000, &is_known) && !is_known);
    ck_assert(peer_gate_enter(gate, &second, 1000000, &is_known) && is_known);
    ck_assert(peer_gate_enter(gate, &newest, 1000000, &is_known) && is_known);
}
END_TEST

START_TEST(a_host_begins_so_many_in_a_second) {
    const struct address one = peer(1);
    bool is_known;
    for (int i = 0; i < PEER_GATE_A_SECOND; i++) {
        ck_assert(peer_gate_enter(gate, &one, 5000, &is_known));
        peer_gate_leave(gate, &one, is_known);
    }
    ck_assert(!peer_gate_enter(gate, &one, 5999, &is_known));
    ck_assert(peer_gate_enter(gate, &one, 6000, &is_known));
}
END_TEST

Suite *peer_gate_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("peer_gate", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_stranger_has_its_share_of_handshakes);
    tcase_add_test(tests, strangers_leave_places_for_members);
    tcase_add_test(tests, one_that_leaves_makes_room);
    tcase_add_test(tests, the_newest_hosts_of_members_are_remembered);
    tcase_add_test(tests, a_host_begins_so_many_in_a_second);
    return suite;
}
