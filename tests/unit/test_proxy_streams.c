#include "proxy_fixture.h"
#include "suites.h"

/* --- limits --- */

static void assert_refused(struct call *call, const char *reason) {
    uint64_t before = proxy_counters(proxy).limited;
    size_t count = proxy_count(proxy);
    const char *said = open_call(call);
    ck_assert_ptr_nonnull(said);
    ck_assert_str_eq(said, reason);
    ck_assert_uint_eq(proxy_counters(proxy).limited, before + 1);
    ck_assert_uint_eq(proxy_count(proxy), count);
    /* the descriptor is the caller's still */
    close(call->proxys);
    close(call->caller);
}

START_TEST(streams_are_bounded_and_the_bound_can_change) {
    options.streams_max = 1;
    proxy_configure(proxy, &options);
    struct call first = open_stream(), second = make_call();
    assert_refused(&second, "too many streams");

    options.streams_max = 2;
    proxy_configure(proxy, &options);
    second = open_stream();
    options.streams_max = 1;
    proxy_configure(proxy, &options);
    ck_assert_uint_eq(proxy_count(proxy), 2);
    hang_up(&first);
    hang_up(&second);
    turn_until(base, proxy_count(proxy) == 0);
    first = open_stream();
    hang_up(&first);
}
END_TEST

static struct call far_call(void) {
    struct call call = make_call();
    call.asked.peer = &far_peer;
    return call;
}

START_TEST(another_host_has_its_share_and_gets_it_back) {
    struct call calls[3];
    for (int i = 0; i < 2; i++) {
        calls[i] = far_call();
        ck_assert_ptr_null(open_call(&calls[i]));
        answer(&calls[i]);
    }
    calls[2] = far_call();
    assert_refused(&calls[2], "too many streams from this address");
    ck_assert(address_parse("192.0.2.2", 50000, &far_peer));
    calls[2] = far_call();
    ck_assert_ptr_null(open_call(&calls[2]));
    answer(&calls[2]);

    ck_assert(address_parse("192.0.2.1", 50000, &far_peer));
    hang_up(&calls[0]);
    turn_until(base, proxy_count(proxy) == 2);
    calls[0] = far_call();
    ck_assert_ptr_null(open_call(&calls[0]));
    answer(&calls[0]);
    for (int i = 0; i < 3; i++)
        hang_up(&calls[i]);
}
END_TEST

START_TEST(callers_of_this_host_have_no_share) {
    struct call calls[4];
    for (int i = 0; i < 4; i++)
        calls[i] = open_stream();
    for (int i = 0; i < 4; i++)
        hang_up(&calls[i]);
}
END_TEST

/* --- the node's registration --- */

START_TEST(a_node_that_left_keeps_its_streams_until_its_socket_ends) {
    struct call call = open_stream();
    proxy_node_left(proxy, &node);
    say(call.node, "goodbye");
    hear_text(call.caller, "goodbye");
    ck_assert_uint_eq(proxy_count(proxy), 1);

    /* the caller has not ended its side */
    close(call.node);
    turn_until(base, is_over(call.caller));
    turn_until(base, proxy_count(proxy) == 0);
    close(call.caller);
}
END_TEST

START_TEST(a_node_whose_socket_has_ended_takes_its_streams_along) {
    struct call call = open_stream();
    shutdown(call.node, SHUT_WR);
    turn_until(base, is_over(call.caller));
    ck_assert_uint_eq(proxy_count(proxy), 1);
    proxy_node_left(proxy, &node);
    ck_assert_uint_eq(proxy_count(proxy), 0);
    hang_up(&call);
}
END_TEST

START_TEST(a_node_that_left_is_not_connected_any_more) {
    struct call call = make_call();
    ck_assert_ptr_null(open_call(&call));
    ck_assert_uint_eq(proxy_count(proxy), 1);
    proxy_node_left(proxy, &node);
    ck_assert_uint_eq(proxy_count(proxy), 0);
    turn_until(base, is_over(call.caller));
    close(call.caller);
}
END_TEST

START_TEST(another_nodes_end_touches_nobody) {
    struct call call = open_stream();
    const struct registration other = node;
    shutdown(call.node, SHUT_WR);
    turn_until(base, is_over(call.caller));
    proxy_node_left(proxy, &other);
    ck_assert_uint_eq(proxy_count(proxy), 1);
    ck_assert(proxy_connects(proxy, LITERAL("emqx1@far"), &local_peer, &node));
    hang_up(&call);
}
END_TEST

/* --- questions --- */

START_TEST(who_is_connected_with_whom_is_known) {
    const struct registration other = node;
    struct call call = open_stream(), hidden = make_call();
    hidden.asked.caller = LITERAL("");
    hidden.asked.tls = true;
    ck_assert_ptr_null(open_call(&hidden));
    answer(&hidden);

    ck_assert(proxy_connects(proxy, LITERAL("emqx1@far"), &local_peer, &node));
    ck_assert(!proxy_connects(proxy, LITERAL("emqx1@far"), &local_peer, &other));
    ck_assert(!proxy_connects(proxy, LITERAL("emqx1@fa"), &local_peer, &node));
    ck_assert(!proxy_connects(proxy, LITERAL(""), &local_peer, &node));
    ck_assert(!proxy_connects(proxy, LITERAL("emqx1@far"), &far_peer, &node));
    proxy_node_left(proxy, &node);
    ck_assert(!proxy_connects(proxy, LITERAL("emqx1@far"), &local_peer, &node));
    hang_up(&call);
    hang_up(&hidden);
}
END_TEST

static void check_view(const struct call *call, const struct proxy_stream_view *view) {
    assert_bytes(view->node, LITERAL("rabbit1"));
    assert_bytes(view->caller, LITERAL("emqx1@far"));
    ck_assert(address_same_host(view->peer, &local_peer));
    ck_assert_uint_eq(view->port, address_port(&call->called));
    ck_assert(view->open && !view->tls);
    ck_assert_uint_eq(view->bytes_in, 5);
    ck_assert_uint_eq(view->bytes_out, 4);
}

START_TEST(a_stream_can_be_seen) {
    struct proxy_cursor cursor;
    struct proxy_stream_view view;
    struct call call = open_stream();
    say(call.node, "seen");
    hear_text(call.caller, "seen");
    proxy_cursor_begin(&cursor, proxy);
    ck_assert(proxy_cursor_peek(&cursor, &view));
    check_view(&call, &view);
    proxy_cursor_advance(&cursor);
    ck_assert(!proxy_cursor_peek(&cursor, &view));
    proxy_cursor_end(&cursor);
    hang_up(&call);
}
END_TEST

/* What the caller does after the node's answer tells whether the guess was right. */
static uint64_t count_misrouted(bool guessed, bool tls, bool answered, const char *said) {
    uint64_t before = proxy_counters(proxy).misrouted;
    struct call call = make_call();
    call.asked.guessed = guessed;
    call.asked.tls = tls;
    ck_assert_ptr_null(open_call(&call));
    answer(&call);
    if (answered) {
        say(call.node, "ok");
        hear_text(call.caller, "ok");
    }
    if (said != NULL) {
        say(call.caller, said);
        hear_text(call.node, said);
    }
    hang_up(&call);
    turn_until(base, proxy_count(proxy) == 0);
    return proxy_counters(proxy).misrouted - before;
}

START_TEST(guesses_are_counted_and_so_are_callers_who_turned_away) {
    ck_assert_uint_eq(count_misrouted(true, false, true, NULL), 1);
    ck_assert_uint_eq(count_misrouted(true, false, true, "..strue"), 1); /* to "alive" */
    ck_assert_uint_eq(count_misrouted(true, false, true, "as long as its reply is"), 0);
    ck_assert_uint_eq(count_misrouted(true, false, false, NULL), 0);
    ck_assert_uint_eq(count_misrouted(true, true, true, NULL), 0);
    ck_assert_uint_eq(count_misrouted(false, false, true, NULL), 0);
    ck_assert_uint_eq(proxy_counters(proxy).guessed, 5);
}
END_TEST

/* --- what it costs --- */

/* 0 where the allocator is not the C library's, as under sanitizers. */
static size_t allocated(void) {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

#define STREAMS 40
#define STREAM_MAX 2048

START_TEST(an_idle_stream_costs_two_descriptors_and_little_memory) {
    static uint8_t much[400000];
    struct call calls[STREAMS];
    struct call warm = open_stream();
    size_t before = allocated();
    int descriptors = sockets_count_descriptors();
    for (int i = 0; i < STREAMS; i++)
        calls[i] = open_stream();
    size_t opened = allocated();
    ck_assert_uint_le(opened, before + STREAMS * STREAM_MAX);

    for (int i = 0; i < STREAMS; i++) {
        size_t sent = 0, got = 0;
        while (got < sizeof much) {
            static uint8_t heard[65536];
            sent += sockets_send(calls[i].caller, much + sent, sizeof much - sent);
            event_base_loop(base, EVLOOP_NONBLOCK);
            ssize_t len = sockets_read(calls[i].node, heard, sizeof heard);
            got += len > 0 ? (size_t)len : 0;
        }
    }
    sockets_turn(base);
    ck_assert_uint_le(allocated(), before + STREAMS * STREAM_MAX);
    /* four a stream, for the test has the other ends; and a few pipes that wait */
    ck_assert_int_le(sockets_count_descriptors(), descriptors + 4 * STREAMS + 2);
    for (int i = 0; i < STREAMS; i++)
        hang_up(&calls[i]);
    hang_up(&warm);
}
END_TEST

START_TEST(without_memory_a_caller_is_refused_and_not_counted) {
    options.peer_streams = 1;
    proxy_configure(proxy, &options);
    for (unsigned n = 1;; n++) {
        struct call call = far_call();
        fail_nth_allocation(n);
        const char *reason = open_call(&call);
        bool failed = allocation_failed();
        if (failed && reason != NULL) {
            ck_assert_uint_eq(proxy_count(proxy), 0);
            close(call.proxys);
            close(call.caller);
            continue;
        }
        ck_assert_ptr_null(reason);
        ck_assert_uint_eq(proxy_count(proxy), failed ? 0 : 1);
        if (!failed)
            answer(&call);
        hang_up(&call);
        turn_until(base, proxy_count(proxy) == 0);
        if (!failed)
            break;
    }
    ck_assert_uint_ge(proxy_counters(proxy).limited, 3);
    struct event_base *other = event_base_new();
    for (unsigned n = 1; n < 3; n++) {
        fail_nth_allocation(n);
        struct proxy *none = proxy_new(other, &options);
        ck_assert(allocation_failed());
        ck_assert_ptr_null(none);
    }
    event_base_free(other);
}
END_TEST

START_TEST(streams_in_every_state_end_with_the_proxy) {
    struct call open = open_stream(), half = open_stream(), connecting = make_call();
    say(half.node, "hello");
    hear_text(half.caller, "hello");
    shutdown(half.caller, SHUT_WR);
    turn_until(base, is_over(half.node));
    ck_assert_ptr_null(open_call(&connecting));
    ck_assert_uint_eq(proxy_count(proxy), 3);
    proxy_free(proxy);
    proxy = NULL;
    ck_assert(is_over(open.caller));
    ck_assert(is_over(open.node));
    ck_assert(is_over(half.caller));
    ck_assert(is_over(connecting.caller));
    hang_up(&open);
    hang_up(&half);
    hang_up(&connecting);
}
END_TEST

Suite *proxy_streams_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("proxy_streams", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, streams_are_bounded_and_the_bound_can_change);
    tcase_add_test(tests, another_host_has_its_share_and_gets_it_back);
    tcase_add_test(tests, callers_of_this_host_have_no_share);
    tcase_add_test(tests, a_node_that_left_keeps_its_streams_until_its_socket_ends);
    tcase_add_test(tests, a_node_whose_socket_has_ended_takes_its_streams_along);
    tcase_add_test(tests, a_node_that_left_is_not_connected_any_more);
    tcase_add_test(tests, another_nodes_end_touches_nobody);
    tcase_add_test(tests, who_is_connected_with_whom_is_known);
    tcase_add_test(tests, a_stream_can_be_seen);
    tcase_add_test(tests, guesses_are_counted_and_so_are_callers_who_turned_away);
    tcase_add_test(tests, an_idle_stream_costs_two_descriptors_and_little_memory);
    tcase_add_test(tests, without_memory_a_caller_is_refused_and_not_counted);
    tcase_add_test(tests, streams_in_every_state_end_with_the_proxy);
    return suite;
}
