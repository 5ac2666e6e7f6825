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
static bool enters(unsigned number, bool of_member) {
    static int64_t now_ms = 0;
    const struct address address = peer(number);
    now_ms += 1000;
    return peer_gate_enter(gate, &address, of_member, now_ms);
}

static void fill_with_strangers(void) {
    for (unsigned i = 0; i < PEER_GATE_STRANGERS; i++)
        ck_assert(enters(1000 + i / PEER_GATE_OF_STRANGER, false));
}

START_TEST(a_stranger_has_its_share_of_handshakes) {
    const struct address one = peer(1);
    for (int i = 0; i < PEER_GATE_OF_STRANGER; i++)
        ck_assert(enters(1, false));
    ck_assert(!enters(1, false));
    ck_assert(!peer_gate_is_crowded(gate, false)); /* nobody has to give way to it */
    ck_assert(enters(2, false));
    peer_gate_leave(gate, &one, false);
    ck_assert(enters(1, false));
    ck_assert(!enters(1, false));
}
END_TEST

START_TEST(strangers_leave_places_for_members) {
    fill_with_strangers();
    ck_assert(peer_gate_is_crowded(gate, false) && !enters(2, false));
    for (int i = 0; i < PEER_GATE_MEMBERS; i++)
        ck_assert(!peer_gate_is_crowded(gate, true) && enters(1, true));
    ck_assert(peer_gate_is_crowded(gate, true));
    ck_assert(!enters(1, true));
}
END_TEST

START_TEST(one_that_leaves_makes_room) {
    const struct address first = peer(1000);
    fill_with_strangers();
    ck_assert(!enters(2, false));
    peer_gate_leave(gate, &first, false);
    ck_assert(!peer_gate_is_crowded(gate, false) && enters(2, false));
}
END_TEST

START_TEST(a_host_begins_so_many_in_a_second) {
    const struct address one = peer(1);
    for (int i = 0; i < PEER_GATE_A_SECOND; i++) {
        ck_assert(peer_gate_enter(gate, &one, false, 5000));
        peer_gate_leave(gate, &one, false);
    }
    ck_assert(!peer_gate_enter(gate, &one, false, 5999));
    ck_assert(peer_gate_enter(gate, &one, false, 6000));
}
END_TEST

Suite *peer_gate_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("peer_gate", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_stranger_has_its_share_of_handshakes);
    tcase_add_test(tests, strangers_leave_places_for_members);
    tcase_add_test(tests, one_that_leaves_makes_room);
    tcase_add_test(tests, a_host_begins_so_many_in_a_second);
    return suite;
}
