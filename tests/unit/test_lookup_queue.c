#include "names/lookup_queue.h"

#include "assertions.h"
#include "failing_allocation.h"
#include "lookup_queue_model.h"
#include "some_registry.h"
#include "suites.h"

#include <stdio.h>
#include <string.h>

#define PORT 4370
#define SOME_HOST LITERAL("\xc0\x00\x02\x01")
#define OTHER_HOST LITERAL("\xc0\x00\x02\x02")
#define SOON 30 /* within any window */

static struct some_registry some;
static struct lookup_queue *queue;
static struct registration *hare, *fox, *owl;
static struct lookup_waiter waiters[4];

static struct registration *at_port(const char *name, uint16_t port) {
    struct registration *made = some_registration(some.registry, name, 25672);
    made->front_port = port;
    return made;
}

static void begin(void) {
    some = some_registry_new();
    queue = lookup_queue_new();
    ck_assert_ptr_nonnull(queue);
    hare = at_port("hare", PORT);
    fox = at_port("fox", PORT);
    owl = at_port("owl", PORT);
    memset(waiters, 0, sizeof waiters);
}

static void end(void) {
    lookup_queue_free(queue);
    some_registry_free(&some);
}

static struct lookup lookup_by(struct registration *wanted, struct bytes address, int64_t now_ms) {
    return (struct lookup){.registration = wanted, .address = address, .now_ms = now_ms};
}

static enum lookup_verdict ask_by(struct registration *wanted, struct bytes address,
                                  int64_t now_ms) {
    const struct lookup lookup = lookup_by(wanted, address, now_ms);
    return lookup_queue_ask(queue, &lookup);
}

static enum lookup_verdict ask(struct registration *wanted, int64_t now_ms) {
    return ask_by(wanted, SOME_HOST, now_ms);
}

static void wait_by(struct registration *wanted, struct bytes address, int64_t now_ms,
                    struct lookup_waiter *waiter) {
    const struct lookup lookup = lookup_by(wanted, address, now_ms);
    ck_assert_int_eq(lookup_queue_ask(queue, &lookup), LOOKUP_WAIT);
    lookup_queue_wait(queue, &lookup, waiter);
}

static void wait_for(struct registration *wanted, int64_t now_ms, int waiter) {
    wait_by(wanted, SOME_HOST, now_ms, &waiters[waiter]);
}

static struct registration *connected(int64_t now_ms) {
    return lookup_queue_connected(queue, PORT, SOME_HOST, now_ms);
}

static void assert_ready(int waiter, enum lookup_state state) {
    ck_assert_ptr_eq(lookup_queue_next_ready(queue), &waiters[waiter]);
    ck_assert_int_eq(waiters[waiter].state, state);
}

static void assert_none_ready(void) {
    ck_assert_ptr_null(lookup_queue_next_ready(queue));
}

static size_t waiting(void) {
    return lookup_queue_counters(queue).waiting;
}

/* --- turns --- */

START_TEST(lookups_of_the_same_name_are_answered_at_once) {
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(ask(hare, 0), LOOKUP_COUNTED);
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_eq(connected(SOON), hare);
    ck_assert_ptr_null(connected(SOON));
}
END_TEST

START_TEST(another_name_waits_until_the_connection_has_come) {
    ck_assert_int_eq(ask(hare, 0), LOOKUP_COUNTED);
    wait_for(fox, 1, 0);
    assert_none_ready();
    ck_assert_ptr_eq(connected(SOON), hare);
    assert_ready(0, LOOKUP_GRANTED);
    assert_none_ready();
    ck_assert_ptr_eq(connected(SOON), fox);
    ck_assert_uint_eq(lookup_queue_counters(queue).held, 1);
}
END_TEST

START_TEST(once_all_connections_have_come_another_name_is_current) {
    ask(hare, 0);
    connected(1);
    ck_assert_int_eq(ask(fox, 2), LOOKUP_COUNTED);
    ck_assert_ptr_eq(connected(3), fox);
}
END_TEST

START_TEST(it_waits_for_all_connections_that_were_counted) {
    ask(hare, 0);
    ask(hare, 0);
    wait_for(fox, 1, 0);
    connected(2);
    assert_none_ready();
    connected(3);
    assert_ready(0, LOOKUP_GRANTED);
}
END_TEST

START_TEST(names_have_their_turn_in_order_and_each_with_all_who_wait_for_it) {
    ask(hare, 0);
    wait_for(fox, 1, 0);
    wait_for(owl, 2, 1);
    wait_for(fox, 3, 2);
    ck_assert_ptr_eq(connected(4), hare);
    assert_ready(0, LOOKUP_GRANTED);
    assert_ready(2, LOOKUP_GRANTED);
    assert_none_ready();
    ck_assert_ptr_eq(connected(5), fox);
    assert_none_ready();
    ck_assert_ptr_eq(connected(6), fox);
    assert_ready(1, LOOKUP_GRANTED);
    ck_assert_ptr_eq(connected(7), owl);
}
END_TEST

START_TEST(the_current_name_queues_too_once_somebody_waits) {
    ask(hare, 0);
    wait_for(fox, 1, 0);
    wait_for(hare, 2, 1);
    connected(3);
    assert_ready(0, LOOKUP_GRANTED);
    assert_none_ready();
    connected(4);
    assert_ready(1, LOOKUP_GRANTED);
}
END_TEST

START_TEST(addresses_and_ports_do_not_wait_for_each_other) {
    struct registration *far = at_port("far1", PORT + 1);
    ask(hare, 0);
    ck_assert_int_eq(ask_by(fox, OTHER_HOST, 0), LOOKUP_COUNTED);
    ck_assert_int_eq(ask(far, 0), LOOKUP_COUNTED);
    ck_assert_ptr_eq(lookup_queue_connected(queue, PORT + 1, SOME_HOST, 1), far);
    ck_assert_ptr_eq(lookup_queue_connected(queue, PORT, OTHER_HOST, 1), fox);
    ck_assert_ptr_eq(connected(1), hare);
}
END_TEST

START_TEST(what_is_longer_than_an_address_is_nobodys) {
    ck_assert_int_eq(ask_by(hare, LITERAL("more than sixteen"), 0), LOOKUP_UNCOUNTED);
    ck_assert_ptr_null(lookup_queue_connected(queue, PORT, LITERAL("more than sixteen"), 0));
}
END_TEST

/* --- time --- */

START_TEST(a_connection_that_does_not_come_is_waited_for_so_long) {
    ask(hare, 1000);
    ask(hare, 1050);
    wait_for(fox, 1060, 0);
    ck_assert_int_eq(lookup_queue_deadline(queue), 1050 + LOOKUP_WINDOW_MIN_MS);
    lookup_queue_tick(queue, 1050 + LOOKUP_WINDOW_MIN_MS - 1);
    assert_none_ready();
    lookup_queue_tick(queue, 1050 + LOOKUP_WINDOW_MIN_MS);
    assert_ready(0, LOOKUP_GRANTED);
    ck_assert_uint_eq(lookup_queue_counters(queue).expired, 2);
    ck_assert_int_eq(lookup_queue_deadline(queue), INT64_MAX);
    ck_assert_ptr_eq(connected(1151), fox);
}
END_TEST

START_TEST(late_connections_do_not_shift_those_of_other_names) {
    int64_t end_ms = LOOKUP_WINDOW_MIN_MS;
    ask(hare, 0);
    wait_for(fox, 1, 0);
    wait_for(owl, 2, 1);
    lookup_queue_tick(queue, end_ms);
    assert_ready(0, LOOKUP_GRANTED);
    /* the hare's comes, and then the fox's: the owl does not take it for its own */
    ck_assert_ptr_eq(connected(end_ms + 5), fox);
    assert_none_ready();
    ck_assert_ptr_eq(connected(end_ms + 6), fox);
    assert_ready(1, LOOKUP_GRANTED);
    ck_assert_ptr_eq(connected(end_ms + 7), owl);
    ck_assert_ptr_null(connected(end_ms + 8));
}
END_TEST

START_TEST(late_connections_are_not_expected_for_ever) {
    int64_t now_ms = LOOKUP_WINDOW_MIN_MS;
    ask(hare, 0);
    wait_for(fox, 1, 0);
    lookup_queue_tick(queue, now_ms);
    assert_ready(0, LOOKUP_GRANTED);
    connected(now_ms + 1);
    wait_for(owl, now_ms + 2, 1);
    ck_assert_int_eq(lookup_queue_deadline(queue), now_ms + LOOKUP_WINDOW_MIN_MS);
    now_ms += LOOKUP_LATE_MS;
    lookup_queue_tick(queue, now_ms);
    assert_ready(1, LOOKUP_GRANTED);
    connected(now_ms + 1);
    ck_assert_int_eq(ask(fox, now_ms + 2), LOOKUP_COUNTED);
}
END_TEST

START_TEST(a_caller_that_takes_its_time_has_more_of_it) {
    ask(hare, 0);
    connected(40);
    ask(hare, 1000);
    wait_for(fox, 1001, 0);
    ck_assert_int_eq(lookup_queue_deadline(queue), 1000 + LOOKUP_WINDOW_MIN_MS); /* long ago */
    lookup_queue_leave(&waiters[0]);
    connected(1040);
    ask(hare, 1050);
    wait_for(fox, 1051, 0);
    ck_assert_int_eq(lookup_queue_deadline(queue), 1050 + LOOKUP_DELAYS * 40);
    lookup_queue_leave(&waiters[0]);
}
END_TEST

START_TEST(as_long_as_connections_come_others_are_waited_for) {
    for (int i = 0; i < 20; i++)
        ask(hare, 0);
    wait_for(fox, 1, 0);
    int64_t now_ms = 0;
    while (now_ms + 60 < LOOKUP_WINDOW_MAX_MS) {
        now_ms += 60;
        lookup_queue_tick(queue, now_ms);
        ck_assert_ptr_eq(connected(now_ms), hare);
        assert_none_ready();
    }
    ck_assert_int_eq(lookup_queue_deadline(queue), LOOKUP_WINDOW_MAX_MS);
    lookup_queue_tick(queue, LOOKUP_WINDOW_MAX_MS);
    assert_ready(0, LOOKUP_GRANTED);
}
END_TEST

START_TEST(a_caller_far_away_has_more_time) {
    static const int64_t trips[][2] = {{0, 100}, {33, 100}, {60, 180}, {166, 498}, {900, 500}};
    for (size_t i = 0; i < sizeof trips / sizeof trips[0]; i++) {
        int64_t now_ms = (int64_t)(i + 1) * 10000;
        struct lookup lookup = lookup_by(hare, SOME_HOST, now_ms);
        lookup.round_trip_ms = trips[i][0];
        ck_assert_int_eq(lookup_queue_ask(queue, &lookup), LOOKUP_COUNTED);
        wait_for(fox, now_ms, 0);
        ck_assert_int_eq(lookup_queue_deadline(queue), now_ms + trips[i][1]);
        lookup_queue_leave(&waiters[0]);
    }
}
END_TEST

START_TEST(a_late_connection_is_the_current_names_where_nobody_waits) {
    ask(hare, 0);
    ck_assert_ptr_eq(connected(LOOKUP_WINDOW_MIN_MS + LOOKUP_LATE_MS - 1), hare);
    ask(hare, 1000);
    ck_assert_ptr_null(connected(1000 + LOOKUP_WINDOW_MIN_MS + LOOKUP_LATE_MS));
}
END_TEST

START_TEST(what_was_missing_in_an_old_turn_is_not_missing_in_the_next) {
    ask(hare, 0);
    ask(hare, LOOKUP_WINDOW_MIN_MS);
    wait_for(fox, LOOKUP_WINDOW_MIN_MS + 1, 0);
    ck_assert_ptr_eq(connected(LOOKUP_WINDOW_MIN_MS + 2), hare);
    lookup_queue_tick(queue, 2 * LOOKUP_WINDOW_MIN_MS);
    assert_ready(0, LOOKUP_GRANTED);
    ck_assert_uint_eq(lookup_queue_counters(queue).expired, 1);
}
END_TEST

/* Callers far away that never connect, each with a name of its own. */
START_TEST(nobody_waits_for_ever) {
    struct lookup_waiter many[10] = {{.queue = NULL}};
    struct lookup lookup = {.address = SOME_HOST, .round_trip_ms = LOOKUP_WINDOW_MAX_MS};
    size_t granted = 0, overdue = 0;
    ask(hare, 0);
    for (size_t i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%zu", i);
        lookup.registration = at_port(name, PORT);
        ck_assert_int_eq(lookup_queue_ask(queue, &lookup), LOOKUP_WAIT);
        lookup_queue_wait(queue, &lookup, &many[i]);
    }
    for (int64_t now_ms = 0; now_ms <= LOOKUP_WAIT_MAX_MS; now_ms++) {
        const struct lookup_waiter *ready;
        lookup_queue_tick(queue, now_ms);
        while ((ready = lookup_queue_next_ready(queue)) != NULL) {
            granted += ready->state == LOOKUP_GRANTED;
            overdue += ready->state == LOOKUP_OVERDUE;
        }
    }
    ck_assert_uint_eq(granted, LOOKUP_WAIT_MAX_MS / LOOKUP_WINDOW_MAX_MS);
    ck_assert_uint_eq(granted + overdue, 10);
    ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* --- leaving --- */

START_TEST(one_that_goes_away_is_not_waited_for) {
    ask(hare, 0);
    wait_for(fox, 1, 0);
    wait_for(owl, 2, 1);
    lookup_queue_leave(&waiters[0]);
    lookup_queue_leave(&waiters[0]);
    connected(3);
    assert_ready(1, LOOKUP_GRANTED);
    ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(one_that_is_ready_may_go_away_too) {
    ask(hare, 0);
    wait_for(fox, 1, 0);
    connected(2);
    lookup_queue_leave(&waiters[0]);
    assert_none_ready();
}
END_TEST

START_TEST(with_the_last_who_waits_the_current_name_is_free_again) {
    ask(hare, 0);
    wait_for(fox, 1, 0);
    lookup_queue_leave(&waiters[0]);
    ck_assert_int_eq(ask(hare, 2), LOOKUP_COUNTED);
    ck_assert_int_eq(lookup_queue_deadline(queue), INT64_MAX);
}
END_TEST

START_TEST(a_node_that_leaves_is_waited_for_by_nobody) {
    ask(hare, 0);
    wait_for(fox, 1, 0);
    wait_for(owl, 2, 1);
    wait_for(hare, 3, 2);
    lookup_queue_forget(queue, fox, 4);
    assert_ready(0, LOOKUP_CANCELLED);
    assert_none_ready();
    lookup_queue_forget(queue, hare, 5);
    assert_ready(2, LOOKUP_CANCELLED);
    assert_ready(1, LOOKUP_GRANTED);
    ck_assert_ptr_eq(connected(6), owl);
    lookup_queue_forget(queue, owl, 7);
    ck_assert_ptr_null(connected(8));
}
END_TEST

START_TEST(the_connection_of_a_node_that_left_is_not_expected_late) {
    ask(hare, 0);
    wait_for(fox, 1, 0);
    lookup_queue_forget(queue, hare, 2);
    assert_ready(0, LOOKUP_GRANTED);
    ck_assert_uint_eq(lookup_queue_counters(queue).expired, 0);
    ck_assert_ptr_eq(connected(3), fox);
    ck_assert_int_eq(ask(owl, 4), LOOKUP_COUNTED); /* so the turn is over at once */
}
END_TEST

START_TEST(what_waits_at_the_end_is_left_alone) {
    ask(hare, 0);
    wait_for(fox, 1, 0);
    ask_by(hare, OTHER_HOST, 0);
    wait_by(fox, OTHER_HOST, 1, &waiters[1]);
    lookup_queue_connected(queue, PORT, OTHER_HOST, 2);
    lookup_queue_free(queue);
    lookup_queue_leave(&waiters[0]);
    lookup_queue_leave(&waiters[1]);
    queue = lookup_queue_new();
}
END_TEST

/* --- limits --- */

START_TEST(only_so_many_wait_of_one_address) {
    struct lookup_waiter many[LOOKUP_WAITERS_OF_ADDRESS] = {{.queue = NULL}};
    ask(hare, 0);
    for (size_t i = 0; i < LOOKUP_WAITERS_OF_ADDRESS; i++)
        wait_by(fox, SOME_HOST, 0, &many[i]);
    ck_assert_int_eq(ask(fox, 0), LOOKUP_UNCOUNTED);
    ck_assert_int_eq(ask(hare, 0), LOOKUP_UNCOUNTED);
    ck_assert_uint_eq(lookup_queue_counters(queue).unheld, 2);
    /* at another port too */
    struct registration *one = at_port("one1", PORT + 1), *two = at_port("two1", PORT + 1);
    ck_assert_int_eq(ask(one, 0), LOOKUP_COUNTED);
    ck_assert_int_eq(ask(two, 0), LOOKUP_UNCOUNTED);
    /* but another address may */
    ask_by(hare, OTHER_HOST, 0);
    ck_assert_int_eq(ask_by(fox, OTHER_HOST, 0), LOOKUP_WAIT);
    for (size_t i = 0; i < LOOKUP_WAITERS_OF_ADDRESS; i++)
        lookup_queue_leave(&many[i]);
    ck_assert_int_eq(ask(fox, 0), LOOKUP_WAIT);
}
END_TEST

static struct bytes network_address(uint8_t bytes[16], size_t network, size_t host) {
    memset(bytes, 0, 16);
    memcpy(bytes, "\x20\x01\x0d\xb8", 4);
    memcpy(bytes + 4, &network, 4);
    memcpy(bytes + 8, &host, 8);
    return bytes_of(bytes, 16);
}

START_TEST(one_network_cannot_have_all_the_pairs) {
    uint8_t bytes[16];
    for (size_t host = 0; host < LOOKUP_PAIRS_MAX / 4; host++)
        ck_assert_int_eq(ask_by(hare, network_address(bytes, 1, host), 0), LOOKUP_COUNTED);
    ck_assert_int_eq(ask_by(hare, network_address(bytes, 1, 9999), 0), LOOKUP_UNCOUNTED);
    ck_assert_int_eq(ask_by(hare, network_address(bytes, 2, 0), 0), LOOKUP_COUNTED);
    for (size_t network = 3; lookup_queue_counters(queue).pairs < LOOKUP_PAIRS_MAX; network++)
        ck_assert_int_eq(ask_by(hare, network_address(bytes, network, 0), 0), LOOKUP_COUNTED);
    ck_assert_int_eq(ask(hare, 0), LOOKUP_UNCOUNTED);
    /* and they do not stay */
    ck_assert_int_eq(ask(hare, LOOKUP_WINDOW_MIN_MS + LOOKUP_LATE_MS), LOOKUP_COUNTED);
    ck_assert_uint_eq(lookup_queue_counters(queue).pairs, 1);
}
END_TEST

START_TEST(without_memory_a_lookup_is_answered_uncounted) {
    unsigned n = 1;
    for (;; n++) {
        fail_nth_allocation(n);
        enum lookup_verdict verdict = ask(hare, 0);
        if (!allocation_failed())
            break;
        ck_assert_int_eq(verdict, LOOKUP_UNCOUNTED);
        ck_assert_uint_eq(lookup_queue_counters(queue).pairs, 0);
    }
    ck_assert_uint_gt(n, 2);
    fail_nth_allocation(1);
    struct lookup_queue *none = lookup_queue_new();
    ck_assert(allocation_failed());
    ck_assert_ptr_null(none);
    lookup_queue_free(none);
}
END_TEST

Suite *lookup_queue_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("lookup_queue", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, lookups_of_the_same_name_are_answered_at_once);
    tcase_add_test(tests, another_name_waits_until_the_connection_has_come);
    tcase_add_test(tests, once_all_connections_have_come_another_name_is_current);
    tcase_add_test(tests, it_waits_for_all_connections_that_were_counted);
    tcase_add_test(tests, names_have_their_turn_in_order_and_each_with_all_who_wait_for_it);
    tcase_add_test(tests, the_current_name_queues_too_once_somebody_waits);
    tcase_add_test(tests, addresses_and_ports_do_not_wait_for_each_other);
    tcase_add_test(tests, what_is_longer_than_an_address_is_nobodys);
    tcase_add_test(tests, a_connection_that_does_not_come_is_waited_for_so_long);
    tcase_add_test(tests, late_connections_do_not_shift_those_of_other_names);
    tcase_add_test(tests, late_connections_are_not_expected_for_ever);
    tcase_add_test(tests, a_caller_that_takes_its_time_has_more_of_it);
    tcase_add_test(tests, as_long_as_connections_come_others_are_waited_for);
    tcase_add_test(tests, a_caller_far_away_has_more_time);
    tcase_add_test(tests, a_late_connection_is_the_current_names_where_nobody_waits);
    tcase_add_test(tests, what_was_missing_in_an_old_turn_is_not_missing_in_the_next);
    tcase_add_test(tests, nobody_waits_for_ever);
    tcase_add_test(tests, one_that_goes_away_is_not_waited_for);
    tcase_add_test(tests, one_that_is_ready_may_go_away_too);
    tcase_add_test(tests, with_the_last_who_waits_the_current_name_is_free_again);
    tcase_add_test(tests, a_node_that_leaves_is_waited_for_by_nobody);
    tcase_add_test(tests, the_connection_of_a_node_that_left_is_not_expected_late);
    tcase_add_test(tests, what_waits_at_the_end_is_left_alone);
    tcase_add_test(tests, only_so_many_wait_of_one_address);
    tcase_add_test(tests, one_network_cannot_have_all_the_pairs);
    tcase_add_test(tests, without_memory_a_lookup_is_answered_uncounted);
    lookup_queue_model_add(tests);
    return suite;
}
