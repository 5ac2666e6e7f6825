#include "proxy_fixture.h"
#include "suites.h"

/* --- bytes --- */

START_TEST(a_stream_begins_with_what_was_read_and_goes_both_ways) {
    struct call call = open_stream();
    say(call.caller, "to the node");
    hear_text(call.node, "to the node");
    say(call.node, "to the caller");
    hear_text(call.caller, "to the caller");
    ck_assert_uint_eq(proxy_count(proxy), 1);
    hang_up(&call);
    turn_until(base, proxy_count(proxy) == 0);

    const struct proxy_counters counters = proxy_counters(proxy);
    ck_assert_uint_eq(counters.opened, 1);
    ck_assert_uint_eq(counters.bytes_in, 5 + 11);
    ck_assert_uint_eq(counters.bytes_out, 13);
}
END_TEST

START_TEST(what_a_caller_says_while_it_is_connected_is_not_lost) {
    struct call call = make_call();
    say(call.caller, "early");
    ck_assert_ptr_null(open_call(&call));
    say(call.caller, " bird");
    turn_until(base, (call.node = sockets_accept(node_fd)) >= 0);
    hear_text(call.node, "firstearly bird");
    hang_up(&call);
}
END_TEST

START_TEST(the_end_of_one_direction_leaves_the_other_open) {
    struct call call = open_stream();
    say(call.node, "hello");
    hear_text(call.caller, "hello");
    shutdown(call.caller, SHUT_WR);
    turn_until(base, is_over(call.node));
    say(call.node, "still here");
    hear_text(call.caller, "still here");
    ck_assert_uint_eq(proxy_count(proxy), 1);

    shutdown(call.node, SHUT_WR);
    turn_until(base, is_over(call.caller));
    turn_until(base, proxy_count(proxy) == 0);
    hang_up(&call);
}
END_TEST

START_TEST(a_socket_that_breaks_takes_the_other_with_it) {
    struct call call = open_stream();
    int *broken = _i == 0 ? &call.caller : &call.node;
    int other = _i == 0 ? call.node : call.caller;
    sockets_reset(*broken);
    turn_until(base, is_over(other));
    ck_assert_uint_eq(proxy_count(proxy), 0);
    close(other);
}
END_TEST

START_TEST(streams_are_not_mixed_up) {
    struct call calls[8];
    for (int i = 0; i < 8; i++)
        calls[i] = open_stream();
    for (int i = 0; i < 8; i++) {
        char text[2] = {(char)('a' + i), '\0'};
        say(calls[i].caller, text);
        text[0] = (char)('A' + i);
        say(calls[i].node, text);
    }
    for (int i = 0; i < 8; i++) {
        hear_text(calls[i].node, (char[]){(char)('a' + i), '\0'});
        hear_text(calls[i].caller, (char[]){(char)('A' + i), '\0'});
        hang_up(&calls[i]);
    }
}
END_TEST

/* --- reaching the node --- */

static void listen_elsewhere(const char *text) {
    close(node_fd);
    node_fd = sockets_listen(text, &node.node.port);
}

START_TEST(a_node_that_nobody_reaches_costs_its_caller_the_connection) {
    struct call call = make_call();
    close(node_fd);
    node_fd = -1;
    ck_assert_ptr_null(open_call(&call));
    turn_until(base, is_over(call.caller));
    ck_assert_uint_eq(proxy_count(proxy), 0);
    ck_assert_uint_eq(proxy_counters(proxy).unreachable, 1);
    close(call.caller);
}
END_TEST

/* 0 where the allocator is not the C library's: sanitizers look for leaks themselves. */
START_TEST(calls_that_reach_nobody_leave_nothing_behind) {
    size_t before = 0;
    close(node_fd);
    node_fd = -1;
    for (int i = 0; i < 300; i++) {
        struct call call = make_call();
        ck_assert_ptr_null(open_call(&call));
        turn_until(base, is_over(call.caller));
        close(call.caller);
        before = i == 100 ? mallinfo2().uordblks : before;
    }
    ck_assert_uint_le(mallinfo2().uordblks, before + 2000);
}
END_TEST

START_TEST(a_node_on_ipv6_loopback_is_reached) {
    listen_elsewhere("::1");
    if (node_fd < 0)
        return;
    struct call call = open_stream();
    say(call.node, "here");
    hear_text(call.caller, "here");
    hang_up(&call);
}
END_TEST

START_TEST(a_node_on_the_called_address_alone_is_reached) {
    listen_elsewhere("127.0.0.7");
    struct call call = make_call();
    ck_assert(address_parse("127.0.0.7", address_port(&call.called), &call.called));
    ck_assert_ptr_null(open_call(&call));
    answer(&call);
    ck_assert_uint_eq(proxy_counters(proxy).unreachable, 0);
    hang_up(&call);
}
END_TEST

Suite *proxy_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("proxy", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_stream_begins_with_what_was_read_and_goes_both_ways);
    tcase_add_test(tests, what_a_caller_says_while_it_is_connected_is_not_lost);
    tcase_add_test(tests, the_end_of_one_direction_leaves_the_other_open);
    tcase_add_loop_test(tests, a_socket_that_breaks_takes_the_other_with_it, 0, 2);
    tcase_add_test(tests, streams_are_not_mixed_up);
    tcase_add_test(tests, a_node_that_nobody_reaches_costs_its_caller_the_connection);
    tcase_add_test(tests, calls_that_reach_nobody_leave_nothing_behind);
    tcase_add_test(tests, a_node_on_ipv6_loopback_is_reached);
    tcase_add_test(tests, a_node_on_the_called_address_alone_is_reached);
    return suite;
}
