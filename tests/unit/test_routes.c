#include "names/routes.h"

#include "assertions.h"
#include "failing_allocation.h"
#include "routes_model.h"
#include "some_registry.h"
#include "suites.h"

#include <string.h>

#define PORT 4371
#define SOME_HOST LITERAL("\xc0\x00\x02\x01")
#define OTHER_HOST LITERAL("\xc0\x00\x02\x02")
#define SOME_HOST_V6 LITERAL("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01")
#define SAME_NET_V6 LITERAL("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02")

static struct some_registry some;
static struct routes *ports;
static struct registration *rabbit, *emqx, *hare;
static const struct registration *connected[2];

static struct registration *add_route(const char *name, uint16_t port) {
    struct registration *made = some_registration(some.registry, name, 25672);
    made->front_port = port;
    ck_assert(routes_add(ports, made));
    return made;
}

static void begin(void) {
    some = some_registry_new();
    ports = routes_new();
    ck_assert_ptr_nonnull(ports);
    rabbit = add_route("rabbit1", PORT);
    emqx = add_route("emqx1", PORT);
    hare = add_route("hare1", PORT);
    connected[0] = connected[1] = NULL;
}

static void end(void) {
    routes_free(ports);
    some_registry_free(&some);
}

static bool is_connected(void *context, const struct registration *registration) {
    ck_assert_ptr_eq(context, &connected);
    return registration == connected[0] || registration == connected[1];
}

static struct registration *choose_at(uint16_t port, struct bytes address, int64_t now_ms) {
    const struct route_query caller = {.port = port,
                                       .address = address,
                                       .now_ms = now_ms,
                                       .is_connected = is_connected,
                                       .context = &connected};
    return routes_choose(ports, &caller);
}

static struct registration *choose(struct bytes address, int64_t now_ms) {
    return choose_at(PORT, address, now_ms);
}

static void look_up(struct registration *registration, struct bytes address, int64_t now_ms) {
    routes_looked_up(ports, registration, address, now_ms);
}

/* --- the rule --- */

#define OWN 4377

static uint16_t derive(const char *name, uint16_t port, uint16_t base) {
    const struct registration registration = {.node = some_node(name, port)};
    const struct front_port_rule rule = {
        .base = base, .offset_max = 99, .own = OWN, .epmd_port = 4369};
    return front_port_derive(&registration, &rule);
}

START_TEST(the_rule_gives_base_and_offset) {
    ck_assert_uint_eq(derive("rabbit", 25672, 4370), 4370);
    ck_assert_uint_eq(derive("rabbit12", 25672, 4370), 4382);
    ck_assert_uint_eq(derive("rabbit99", 25672, 4370), 4469);
    ck_assert_uint_eq(derive("rabbit35", 25672, 65500), 65535);
    ck_assert_uint_eq(derive("rabbit60001", 25672, 4370), 4371);
}
END_TEST

START_TEST(what_nobody_can_reach_has_no_front_port) {
    ck_assert_uint_eq(derive("remsh1", 25672, 4370), 0);
    ck_assert_uint_eq(derive("rabbit1", 0, 4370), 0);
}
END_TEST

START_TEST(digits_that_are_no_number_of_a_node_open_no_port) {
    ck_assert_uint_eq(derive("rabbit100", 25672, 4370), OWN);
    ck_assert_uint_eq(derive("app-7b77bc47b4-54123", 25672, 4370), OWN);
    ck_assert_uint_eq(derive("vmq_1302", 25672, 4370), OWN);
    ck_assert_uint_eq(derive("epmd-starter-3710", 25672, 4370), OWN);
    ck_assert_uint_eq(derive("backup20261125", 25672, 4370), OWN);
}
END_TEST

START_TEST(a_port_that_is_not_a_nodes_to_have_is_not_opened) {
    ck_assert_uint_eq(derive("rabbit36", 25672, 65500), OWN); /* over the last port */
    ck_assert_uint_eq(derive("rabbit3", 25672, 1020), OWN);   /* of the system's services */
    ck_assert_uint_eq(derive("rabbit4", 25672, 1020), 1024);
    ck_assert_uint_eq(derive("rabbit69", 25672, 4300), OWN); /* epmd's */
    ck_assert_uint_eq(derive("rabbit70", 25672, 4300), 4370);
}
END_TEST

START_TEST(a_node_that_listens_on_the_port_of_the_whole_rule_is_left_alone) {
    ck_assert_uint_eq(derive("emqx7", 4377, 4370), 0);
    ck_assert_uint_eq(derive("emqx150", 4520, 4370), 0);
}
END_TEST

/* --- owners --- */

START_TEST(without_a_lookup_the_first_registered_is_called) {
    ck_assert_ptr_eq(choose(SOME_HOST, 0), rabbit);
    ck_assert_ptr_eq(choose(SOME_HOST, 0), rabbit);
    routes_remove(ports, rabbit, 0);
    ck_assert_ptr_eq(choose(SOME_HOST, 0), emqx);
}
END_TEST

START_TEST(who_registered_first_is_the_owner_in_whatever_order_they_come) {
    routes_remove(ports, rabbit, 0);
    routes_remove(ports, hare, 0);
    hare->since_ms = 100;
    emqx->since_ms = 200;
    rabbit->since_ms = 300;
    ck_assert(routes_add(ports, rabbit));
    ck_assert(routes_add(ports, hare));
    ck_assert_ptr_eq(routes_at(ports, PORT, 0), hare);
    ck_assert_ptr_eq(routes_at(ports, PORT, 1), emqx);
    ck_assert_ptr_eq(routes_at(ports, PORT, 2), rabbit);
}
END_TEST

/* A node has its type from its registration on. */
static void come_again(struct registration *registration, uint8_t type) {
    routes_remove(ports, registration, 0);
    registration->node.type = type;
    ck_assert(routes_add(ports, registration));
}

START_TEST(a_hidden_node_owns_a_port_only_when_all_are_hidden) {
    come_again(rabbit, EPMD_NODE_HIDDEN);
    come_again(emqx, EPMD_NODE_HIDDEN_C);
    come_again(hare, EPMD_NODE_NORMAL);
    ck_assert_ptr_eq(choose(SOME_HOST, 0), hare);
    come_again(hare, EPMD_NODE_HIDDEN);
    ck_assert_ptr_eq(choose(SOME_HOST, 0), rabbit);
}
END_TEST

START_TEST(a_node_the_caller_is_connected_to_is_passed_over) {
    connected[0] = rabbit;
    ck_assert_ptr_eq(choose(SOME_HOST, 0), emqx);
    connected[1] = emqx;
    ck_assert_ptr_eq(choose(SOME_HOST, 0), hare);
}
END_TEST

START_TEST(where_all_are_connected_the_owner_is_called_again) {
    routes_remove(ports, hare, 0);
    connected[0] = rabbit;
    connected[1] = emqx;
    ck_assert_ptr_eq(choose(SOME_HOST, 0), rabbit);
}
END_TEST

START_TEST(what_nobody_knows_of_connections_passes_over_nobody) {
    const struct route_query caller = {.port = PORT, .address = SOME_HOST};
    connected[0] = rabbit;
    ck_assert_ptr_eq(routes_choose(ports, &caller), rabbit);
}
END_TEST

START_TEST(a_port_with_nobody_behind_it_has_no_choice) {
    ck_assert_ptr_null(choose_at(PORT + 1, SOME_HOST, 0));
}
END_TEST

/* --- look-ups --- */

START_TEST(a_connection_is_for_who_was_looked_up) {
    look_up(hare, SOME_HOST, 100);
    ck_assert_ptr_eq(choose(SOME_HOST, 110), hare);
    /* once */
    ck_assert_ptr_eq(choose(SOME_HOST, 111), rabbit);
}
END_TEST

START_TEST(a_hidden_node_that_was_looked_up_is_called) {
    hare->node.type = EPMD_NODE_HIDDEN;
    look_up(hare, SOME_HOST, 100);
    ck_assert_ptr_eq(choose(SOME_HOST, 110), hare);
}
END_TEST

START_TEST(connections_come_in_the_order_of_their_lookups) {
    look_up(hare, SOME_HOST, 100);
    look_up(emqx, SOME_HOST, 101);
    ck_assert_ptr_eq(choose(SOME_HOST, 100 + ROUTE_FRESH_MS), hare);
    ck_assert_ptr_eq(choose(SOME_HOST, 101 + ROUTE_FRESH_MS), emqx);
}
END_TEST

START_TEST(of_stale_lookups_the_newest_counts) {
    look_up(hare, SOME_HOST, 100);
    look_up(emqx, SOME_HOST, 101);
    ck_assert_ptr_eq(choose(SOME_HOST, 102 + ROUTE_FRESH_MS), emqx);
    ck_assert_ptr_eq(choose(SOME_HOST, 103 + ROUTE_FRESH_MS), hare);
}
END_TEST

START_TEST(a_fresh_lookup_goes_before_a_stale_one) {
    look_up(hare, SOME_HOST, 0);
    look_up(emqx, SOME_HOST, ROUTE_FRESH_MS);
    ck_assert_ptr_eq(choose(SOME_HOST, ROUTE_FRESH_MS + 1), emqx);
}
END_TEST

START_TEST(a_lookup_is_forgotten_in_time) {
    look_up(hare, SOME_HOST, 0);
    look_up(hare, SOME_HOST, 1);
    ck_assert_ptr_eq(choose(SOME_HOST, ROUTE_LOOKUP_MS + 1), hare);
    look_up(hare, SOME_HOST, ROUTE_LOOKUP_MS + 1);
    ck_assert_ptr_eq(choose(SOME_HOST, 2 * ROUTE_LOOKUP_MS + 2), rabbit);
}
END_TEST

START_TEST(a_lookup_of_another_host_says_nothing) {
    look_up(hare, OTHER_HOST, 100);
    ck_assert_ptr_eq(choose(SOME_HOST, 110), rabbit);
    ck_assert_ptr_eq(choose(OTHER_HOST, 110), hare);
}
END_TEST

START_TEST(addresses_of_ipv6_are_told_apart_whole) {
    look_up(hare, SOME_HOST_V6, 100);
    look_up(emqx, SAME_NET_V6, 100);
    ck_assert_ptr_eq(choose(SAME_NET_V6, 110), emqx);
    ck_assert_ptr_eq(choose(SOME_HOST_V6, 110), hare);
    /* an address that is the beginning of another is another */
    look_up(hare, SOME_HOST_V6, 110);
    ck_assert_ptr_eq(choose(bytes_of(SOME_HOST_V6.data, 4), 110), rabbit);
}
END_TEST

START_TEST(what_is_longer_than_an_address_is_no_callers) {
    look_up(hare, LITERAL("more than sixteen"), 100);
    ck_assert_ptr_eq(choose(LITERAL("more than sixteen"), 110), rabbit);
}
END_TEST

START_TEST(a_lookup_at_another_port_says_nothing) {
    struct registration *far = add_route("far2", PORT + 1), *first = add_route("a2", PORT + 1);
    look_up(first, SOME_HOST, 100);
    ck_assert_ptr_eq(choose(SOME_HOST, 110), rabbit);
    ck_assert_ptr_eq(choose_at(PORT + 1, SOME_HOST, 110), first);
    ck_assert_ptr_eq(choose_at(PORT + 1, SOME_HOST, 110), far);
}
END_TEST

START_TEST(a_lookup_of_a_connected_node_goes_behind_one_of_another) {
    connected[0] = hare;
    look_up(hare, SOME_HOST, 100);
    look_up(emqx, SOME_HOST, 101);
    ck_assert_ptr_eq(choose(SOME_HOST, 110), emqx);
    /* as the only one it counts still: the connection that we know may be a dying one */
    ck_assert_ptr_eq(choose(SOME_HOST, 110), hare);
}
END_TEST

START_TEST(the_lookups_of_a_node_leave_with_it) {
    look_up(hare, SOME_HOST, 100);
    look_up(emqx, SOME_HOST, 101);
    look_up(hare, SOME_HOST, 102);
    routes_remove(ports, hare, 0);
    ck_assert_ptr_eq(choose(SOME_HOST, 110), emqx);
    ck_assert_ptr_eq(choose(SOME_HOST, 110), rabbit);
}
END_TEST

START_TEST(where_there_is_no_choice_no_lookup_is_kept) {
    routes_remove(ports, rabbit, 0);
    routes_remove(ports, emqx, 0);
    look_up(hare, SOME_HOST, 100);
    emqx->front_port = PORT;
    ck_assert(routes_add(ports, emqx));
    connected[0] = NULL;
    look_up(emqx, SOME_HOST, 101);
    ck_assert_ptr_eq(choose(SOME_HOST, 110), emqx);
}
END_TEST

START_TEST(of_too_many_lookups_the_oldest_are_forgotten) {
    look_up(hare, OTHER_HOST, 0);
    look_up(emqx, OTHER_HOST, 0);
    for (int i = 0; i < ROUTE_LOOKUPS_MAX - 1; i++)
        look_up(hare, SOME_HOST, 0);
    ck_assert_ptr_eq(choose(OTHER_HOST, 0), emqx);
    ck_assert_ptr_eq(choose(OTHER_HOST, 0), rabbit);
}
END_TEST

/* --- the list of ports --- */

START_TEST(ports_are_told_in_order_and_vanish_with_their_last_node) {
    struct registration *low = add_route("low", 80), *high = add_route("high", 65535);
    ck_assert_uint_eq(routes_next_port(ports, 0), 80);
    ck_assert_uint_eq(routes_next_port(ports, 80), PORT);
    ck_assert_uint_eq(routes_next_port(ports, PORT), 65535);
    ck_assert_uint_eq(routes_next_port(ports, 65535), 0);

    routes_remove(ports, low, 0);
    routes_remove(ports, high, 0);
    ck_assert_uint_eq(routes_next_port(ports, 0), PORT);
    ck_assert_uint_eq(routes_next_port(ports, PORT), 0);
    ck_assert_uint_eq(routes_count(ports, 80), 0);
    ck_assert_ptr_null(routes_at(ports, 80, 0));
}
END_TEST

START_TEST(a_node_that_is_not_there_may_be_taken_away) {
    struct registration *other = some_registration(some.registry, "other", 1);
    routes_remove(ports, other, 0);
    other->front_port = PORT;
    routes_remove(ports, other, 0);
    ck_assert_uint_eq(routes_count(ports, PORT), 3);
    ck_assert_ptr_eq(routes_at(ports, PORT, 2), hare);
}
END_TEST

START_TEST(without_memory_a_node_is_not_add_route_its_port) {
    struct registration *late = some_registration(some.registry, "late9", 1);
    late->front_port = PORT + 9;
    for (unsigned n = 1;; n++) {
        fail_nth_allocation(n);
        bool added = routes_add(ports, late);
        if (!allocation_failed()) {
            ck_assert_uint_gt(n, 1);
            ck_assert(added);
            break;
        }
        ck_assert(!added);
        ck_assert_uint_eq(routes_count(ports, PORT + 9), 0);
        ck_assert_uint_eq(routes_next_port(ports, PORT), 0);
    }
    ck_assert_ptr_eq(choose_at(PORT + 9, SOME_HOST, 0), late);
}
END_TEST

START_TEST(without_memory_the_first_port_of_all_is_not_there) {
    for (unsigned n = 1;; n++) {
        struct routes *fresh = routes_new();
        fail_nth_allocation(n);
        bool added = routes_add(fresh, rabbit);
        bool failed = allocation_failed();
        ck_assert_int_ne(added, failed);
        ck_assert_uint_eq(routes_next_port(fresh, 0), failed ? 0 : PORT);
        routes_free(fresh);
        if (!failed)
            break;
    }
    fail_nth_allocation(1);
    struct routes *none = routes_new();
    ck_assert(allocation_failed());
    ck_assert_ptr_null(none);
    routes_free(none);
}
END_TEST

START_TEST(without_memory_for_a_lookup_the_owner_is_called) {
    fail_nth_allocation(1);
    look_up(hare, SOME_HOST, 100);
    ck_assert(allocation_failed());
    ck_assert_ptr_eq(choose(SOME_HOST, 110), rabbit);
}
END_TEST

Suite *routes_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("routes", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, the_rule_gives_base_and_offset);
    tcase_add_test(tests, what_nobody_can_reach_has_no_front_port);
    tcase_add_test(tests, digits_that_are_no_number_of_a_node_open_no_port);
    tcase_add_test(tests, a_port_that_is_not_a_nodes_to_have_is_not_opened);
    tcase_add_test(tests, a_node_that_listens_on_the_port_of_the_whole_rule_is_left_alone);
    tcase_add_test(tests, without_a_lookup_the_first_registered_is_called);
    tcase_add_test(tests, who_registered_first_is_the_owner_in_whatever_order_they_come);
    tcase_add_test(tests, a_hidden_node_owns_a_port_only_when_all_are_hidden);
    tcase_add_test(tests, a_node_the_caller_is_connected_to_is_passed_over);
    tcase_add_test(tests, where_all_are_connected_the_owner_is_called_again);
    tcase_add_test(tests, what_nobody_knows_of_connections_passes_over_nobody);
    tcase_add_test(tests, a_port_with_nobody_behind_it_has_no_choice);
    tcase_add_test(tests, a_connection_is_for_who_was_looked_up);
    tcase_add_test(tests, a_hidden_node_that_was_looked_up_is_called);
    tcase_add_test(tests, connections_come_in_the_order_of_their_lookups);
    tcase_add_test(tests, of_stale_lookups_the_newest_counts);
    tcase_add_test(tests, a_fresh_lookup_goes_before_a_stale_one);
    tcase_add_test(tests, a_lookup_is_forgotten_in_time);
    tcase_add_test(tests, a_lookup_of_another_host_says_nothing);
    tcase_add_test(tests, addresses_of_ipv6_are_told_apart_whole);
    tcase_add_test(tests, what_is_longer_than_an_address_is_no_callers);
    tcase_add_test(tests, a_lookup_at_another_port_says_nothing);
    tcase_add_test(tests, a_lookup_of_a_connected_node_goes_behind_one_of_another);
    tcase_add_test(tests, the_lookups_of_a_node_leave_with_it);
    tcase_add_test(tests, where_there_is_no_choice_no_lookup_is_kept);
    tcase_add_test(tests, of_too_many_lookups_the_oldest_are_forgotten);
    tcase_add_test(tests, ports_are_told_in_order_and_vanish_with_their_last_node);
    tcase_add_test(tests, a_node_that_is_not_there_may_be_taken_away);
    tcase_add_test(tests, without_memory_a_node_is_not_add_route_its_port);
    tcase_add_test(tests, without_memory_the_first_port_of_all_is_not_there);
    tcase_add_test(tests, without_memory_for_a_lookup_the_owner_is_called);
    routes_model_add(tests);
    return suite;
}
