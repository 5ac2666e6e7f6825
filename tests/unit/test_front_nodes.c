#include "front_fixture.h"

#include "front/assignment.h"
#include "suites.h"

/* --- ports --- */

START_TEST(a_port_is_open_as_long_as_a_node_is_behind_it) {
    uint16_t port = (uint16_t)(own_port + 1);
    const struct some_listening_node one = make_node("rabbit1"), other = make_node("emqx1");
    ck_assert_uint_eq(one.registration->front_port, port);
    ck_assert_uint_eq(other.registration->front_port, port);
    ck_assert(listens(port));
    ck_assert_uint_eq(shared, 1);
    end_node(&one);
    ck_assert(listens(port));
    end_node(&other);
    ck_assert(!listens(port));
    ck_assert(listens(own_port));
}
END_TEST

START_TEST(the_daemons_own_ports_stay_open) {
    const char *const names[] = {"rabbit", "rabbit4"};
    const uint16_t ports[] = {own_port, other_port};
    for (int i = 0; i < 2; i++) {
        const struct some_listening_node node = make_node(names[i]);
        ck_assert_uint_eq(node.registration->front_port, ports[i]);
        end_node(&node);
        ck_assert(listens(ports[i]));
    }
    /* and there is room for others still */
    const struct some_listening_node another = make_node("rabbit1");
    ck_assert_uint_eq(another.registration->front_port, own_port + 1);
    end_node(&another);
}
END_TEST

START_TEST(a_node_that_needs_no_front_port_has_none) {
    struct registration *shell = some_registration(some.registry, "remsh1", 1234);
    struct registration *there =
        some_registration(some.registry, "rabbit1", (uint16_t)(own_port + 1));
    front_registered(front, shell);
    front_registered(front, there);
    ck_assert_uint_eq(shell->front_port, 0);
    ck_assert_uint_eq(there->front_port, 0);
    ck_assert(!listens((uint16_t)(own_port + 1)));
    ck_assert_uint_eq(port_failed, 0);
    unregister(shell);
    unregister(there);
}
END_TEST

START_TEST(where_a_node_listens_is_known) {
    const struct some_listening_node node = make_node("rabbit1");
    ck_assert(node.registration->loopback_only);
    uint16_t port = 0;
    int fd = sockets_listen("0.0.0.0", &port);
    struct registration *open = some_registration(some.registry, "emqx1", port);
    front_registered(front, open);
    ck_assert(!open->loopback_only);
    close(fd);
    unregister(open);
    end_node(&node);
}
END_TEST

static void assert_short_of(const char *name, uint16_t own, const char *why) {
    struct registration *node = some_registration(some.registry, name, own);
    unsigned before = port_failed;
    front_registered(front, node);
    ck_assert_uint_eq(port_failed, before + 1);
    ck_assert_str_eq(reason, why);
    ck_assert_uint_eq(node->front_port, 0);
    unregister(node);
}

START_TEST(a_port_that_somebody_has_is_not_opened) {
    uint16_t port = (uint16_t)(own_port + 1);
    int fd = sockets_listen("127.0.0.1", &port);
    assert_short_of("rabbit1", 1234, strerror(EADDRINUSE));
    close(fd);
}
END_TEST

START_TEST(a_node_that_leads_the_proxy_to_itself_is_not_put_behind_a_port) {
    assert_short_of("rabbit1", own_port, "it claims a port of this daemon");
    assert_short_of("rabbit1", epmd_port, "it claims a port of this daemon");
}
END_TEST

START_TEST(front_ports_are_bounded) {
    front_free(front);
    options.ports_max = 1;
    make_front();
    const struct some_listening_node one = make_node("rabbit1");
    assert_short_of("rabbit2", 1234,
                    "1 front ports are open, and more would need too many descriptors");
    end_node(&one);
    const struct some_listening_node two = make_node("rabbit2");
    ck_assert_uint_ne(two.registration->front_port, 0);
    end_node(&two);
}
END_TEST

START_TEST(a_port_where_only_epmd_is_spoken_is_no_front_port) {
    assert_short_of("rabbit3", 1234, "this daemon serves only the epmd protocol there");
    ck_assert(listens(epmd_port));
    /* and the count of those that are open is right */
    const struct some_listening_node one = make_node("rabbit1");
    ck_assert_uint_ne(one.registration->front_port, 0);
    end_node(&one);
}
END_TEST

START_TEST(without_memory_a_node_has_no_front_port_and_nothing_is_left_open) {
    struct registration *node = some_registration(some.registry, "rabbit1", 1234);
    int before = sockets_count_descriptors();
    for (unsigned n = 1;; n++) {
        fail_nth_allocation(n);
        front_registered(front, node);
        if (!allocation_failed())
            break;
        ck_assert_uint_eq(node->front_port, 0);
        ck_assert_uint_eq(port_failed, n);
        ck_assert(!listens((uint16_t)(own_port + 1)));
        ck_assert_int_eq(sockets_count_descriptors(), before);
    }
    ck_assert_uint_gt(port_failed, 2);
    ck_assert_uint_eq(node->front_port, own_port + 1);
    unregister(node);
}
END_TEST

/* --- trying again --- */

START_TEST(a_port_that_was_taken_is_opened_when_it_is_free) {
    uint16_t port = (uint16_t)(own_port + 1);
    int fd = sockets_listen("127.0.0.1", &port);
    const struct some_listening_node one = make_node("rabbit1"), other = make_node("hare1");
    ck_assert_uint_eq(port_failed, 2);
    ck_assert(in_use);
    close(fd);
    turn_until(base, recovered == 2);
    ck_assert_uint_eq(route_changes, 2);
    ck_assert_uint_eq(opened_port, port);
    ck_assert_uint_eq(one.registration->front_port, port);
    ck_assert_uint_eq(other.registration->front_port, port);
    ck_assert(one.registration->loopback_only);
    ck_assert_uint_eq(shared, 1);
    ck_assert_uint_eq(port_failed, 2); /* told once, however often it was tried */
    end_node(&one);
    end_node(&other);
    ck_assert_uint_eq(closed_port, port);
}
END_TEST

START_TEST(for_want_of_descriptors_or_memory_it_is_tried_again_too) {
    front_free(front);
    options.ports_max = 1;
    make_front();
    const struct some_listening_node one = make_node("rabbit1"), two = make_node("rabbit2");
    ck_assert_uint_eq(port_failed, 1);
    ck_assert(!in_use);
    end_node(&one);
    turn_until(base, recovered == 1);
    ck_assert_uint_eq(two.registration->front_port, own_port + 2);
    end_node(&two);

    struct registration *poor = some_registration(some.registry, "rabbit1", 1234);
    fail_nth_allocation(1);
    front_registered(front, poor);
    ck_assert(allocation_failed());
    ck_assert_uint_eq(poor->front_port, 0);
    turn_until(base, recovered == 2);
    ck_assert_uint_eq(poor->front_port, own_port + 1);
    unregister(poor);
}
END_TEST

START_TEST(a_node_that_led_to_this_daemon_is_tried_again_when_it_does_no_longer) {
    const struct some_listening_node one = make_node("rabbit1");
    struct registration *other =
        some_registration(some.registry, "rabbit2", (uint16_t)(own_port + 1));
    front_registered(front, other);
    ck_assert_uint_eq(port_failed, 1);
    end_node(&one);
    turn_until(base, recovered == 1);
    ck_assert_uint_eq(other->front_port, own_port + 2);
    unregister(other);
}
END_TEST

START_TEST(a_node_that_has_left_is_not_tried_again) {
    uint16_t port = (uint16_t)(own_port + 1);
    int fd = sockets_listen("127.0.0.1", &port);
    const struct some_listening_node gone = make_node("rabbit1"), stays = make_node("hare1");
    end_node(&gone);
    close(fd);
    turn_until(base, recovered == 1);
    ck_assert_uint_eq(routes_count(front_routes(front), port), 1);
    end_node(&stays);
}
END_TEST

START_TEST(many_names_are_tried_in_steps) {
    uint16_t port = (uint16_t)(own_port + 1);
    int fd = sockets_listen("127.0.0.1", &port);
    struct registration *nodes[3 * FRONT_STEP];
    const size_t count = sizeof nodes / sizeof nodes[0];
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%zu-1", i);
        nodes[i] = some_registration(some.registry, name, 1234);
        front_registered(front, nodes[i]);
    }
    ck_assert_uint_eq(port_failed, count);
    close(fd);
    turn_until(base, recovered == count);
    for (size_t i = 0; i < count; i++)
        unregister(nodes[i]);
    ck_assert(!listens(port));
}
END_TEST

/* --- on and off --- */

START_TEST(many_names_move_in_steps) {
    struct registration *nodes[3 * FRONT_STEP];
    const size_t count = sizeof nodes / sizeof nodes[0];
    const struct routes *routes = front_routes(front);
    turn_proxy(false);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%zu-1", i);
        nodes[i] = some_registration(some.registry, name, 1234);
        front_registered(front, nodes[i]);
    }
    turn_proxy(true);
    ck_assert_uint_eq(route_changes, FRONT_STEP);
    ck_assert_uint_eq(shared, 0);
    turn_until(base, shared == count - 1);
    ck_assert_uint_eq(route_changes, count);
    ck_assert_uint_eq(routes_count(routes, (uint16_t)(own_port + 1)), count);

    /* in the midst of one walk the next one begins */
    options.rule.offset_max = 0;
    front_configure(front, &options);
    options.rule.offset_max = 99;
    front_configure(front, &options);
    turn_until(base, shared == 2 * (count - 1));
    ck_assert_uint_eq(routes_count(routes, (uint16_t)(own_port + 1)), count);
    for (size_t i = 0; i < count; i++)
        unregister(nodes[i]);
}
END_TEST

START_TEST(nodes_move_when_the_largest_offset_changes) {
    const struct some_listening_node one = make_node("rabbit1"), two = make_node("hare2");
    options.rule.offset_max = 1;
    front_configure(front, &options);
    ck_assert_uint_eq(one.registration->front_port, own_port + 1);
    ck_assert_uint_eq(two.registration->front_port, own_port);
    ck_assert_uint_eq(route_changes, 1);
    ck_assert(!listens((uint16_t)(own_port + 2)));
    options.rule.offset_max = 2;
    front_configure(front, &options);
    ck_assert_uint_eq(two.registration->front_port, own_port + 2);
    ck_assert_uint_eq(route_changes, 2);
    end_node(&one);
    end_node(&two);
}
END_TEST

START_TEST(without_the_proxy_nobody_is_behind_a_port) {
    const struct some_listening_node node = make_node("rabbit1");
    turn_proxy(false);
    ck_assert_uint_eq(node.registration->front_port, 0);
    ck_assert(!node.registration->loopback_only);
    ck_assert(!listens((uint16_t)(own_port + 1)));

    int fd = sockets_connect(own_port);
    say(fd, SEND_NAME);
    turn_until(base, is_over(fd));
    ck_assert_str_eq(reason, "the proxy is off");
    close(fd);
    turn_proxy(true);
    ck_assert_uint_eq(node.registration->front_port, own_port + 1);
    end_node(&node);
}
END_TEST

START_TEST(the_first_registered_stays_the_owner_when_the_proxy_comes_back) {
    const struct some_listening_node first = make_node("rabbit1"), second = make_node("emqx1");
    first.registration->since_ms = 100;
    second.registration->since_ms = 200;
    turn_proxy(false);
    turn_proxy(true);
    const struct routes *ports = front_routes(front);
    ck_assert_ptr_eq(routes_at(ports, (uint16_t)(own_port + 1), 0), first.registration);
    ck_assert_ptr_eq(routes_at(ports, (uint16_t)(own_port + 1), 1), second.registration);
    ck_assert_uint_eq(shared, 2);
    ck_assert_uint_eq(route_changes, 4);
    end_node(&first);
    end_node(&second);
}
END_TEST

START_TEST(streams_stay_when_the_proxy_is_turned_off) {
    const struct some_listening_node node = make_node("rabbit1");
    int fd = sockets_connect((uint16_t)(own_port + 1));
    say(fd, SEND_NAME);
    int far = answered_by(&node);
    hear(far, SEND_NAME);
    turn_proxy(false);
    say(fd, LITERAL("still"));
    hear(far, LITERAL("still"));
    close(fd);
    close(far);
    end_node(&node);
}
END_TEST

Suite *front_nodes_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("front_nodes", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_port_is_open_as_long_as_a_node_is_behind_it);
    tcase_add_test(tests, the_daemons_own_ports_stay_open);
    tcase_add_test(tests, a_node_that_needs_no_front_port_has_none);
    tcase_add_test(tests, where_a_node_listens_is_known);
    tcase_add_test(tests, a_port_that_somebody_has_is_not_opened);
    tcase_add_test(tests, a_node_that_leads_the_proxy_to_itself_is_not_put_behind_a_port);
    tcase_add_test(tests, front_ports_are_bounded);
    tcase_add_test(tests, a_port_where_only_epmd_is_spoken_is_no_front_port);
    tcase_add_test(tests, without_memory_a_node_has_no_front_port_and_nothing_is_left_open);
    tcase_add_test(tests, a_port_that_was_taken_is_opened_when_it_is_free);
    tcase_add_test(tests, for_want_of_descriptors_or_memory_it_is_tried_again_too);
    tcase_add_test(tests, a_node_that_led_to_this_daemon_is_tried_again_when_it_does_no_longer);
    tcase_add_test(tests, a_node_that_has_left_is_not_tried_again);
    tcase_add_test(tests, many_names_are_tried_in_steps);
    tcase_add_test(tests, many_names_move_in_steps);
    tcase_add_test(tests, nodes_move_when_the_largest_offset_changes);
    tcase_add_test(tests, without_the_proxy_nobody_is_behind_a_port);
    tcase_add_test(tests, the_first_registered_stays_the_owner_when_the_proxy_comes_back);
    tcase_add_test(tests, streams_stay_when_the_proxy_is_turned_off);
    return suite;
}
