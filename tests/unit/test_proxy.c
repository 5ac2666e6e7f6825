#include "net/proxy.h"

#include "assertions.h"
#include "base/clock.h"
#include "failing_allocation.h"
#include "sockets_fixture.h"
#include "some_registry.h"
#include "suites.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define FIRST LITERAL("first")

static struct event_base *base;
static struct proxy *proxy;
static struct proxy_options options;
static struct registration node;
static struct address local_peer, far_peer;
static int node_fd; /* where the node listens */
static int descriptors_before;

static void begin(void) {
    uint16_t port = 0;
    signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    descriptors_before = sockets_count_descriptors();
    options = (struct proxy_options){.streams_max = 100, .peer_streams = 2};
    proxy = proxy_new(base, &options);
    ck_assert(base != NULL && proxy != NULL);
    node_fd = sockets_listen("127.0.0.1", &port);
    node = (struct registration){.node = some_node("rabbit1", port)};
    local_peer = address_loopback_v4(50000);
    ck_assert(address_parse("192.0.2.1", 50000, &far_peer));
}

static void end(void) {
    proxy_free(proxy);
    if (node_fd >= 0)
        close(node_fd);
    ck_assert_int_eq(sockets_count_descriptors(), descriptors_before);
    event_base_free(base);
}

/* A caller, its stream and the node's end of it. */
struct call {
    int proxys, caller, node;
    struct address called;
    struct proxy_call asked;
};

static struct call make_call(void) {
    int ends[2];
    sockets_tcp_pair(ends);
    return (struct call){.proxys = ends[0],
                         .caller = ends[1],
                         .node = -1,
                         .called = sockets_own_address(ends[0]),
                         .asked = {.fd = ends[0],
                                   .peer = &local_peer,
                                   .first = FIRST,
                                   .caller = LITERAL("emqx1@far"),
                                   .registration = &node}};
}

static const char *open_call(struct call *call) {
    call->asked.called = &call->called;
    return proxy_open(proxy, &call->asked);
}

static void hear(int fd, const void *expected, size_t len) {
    static uint8_t heard[65536];
    size_t got = 0;
    while (got < len) {
        ssize_t now = 0;
        turn_until(base, (now = sockets_read(fd, heard, sizeof heard)) != 0);
        ck_assert_int_gt(now, 0);
        ck_assert_uint_le(got + (size_t)now, len);
        ck_assert_int_eq(memcmp(heard, (const uint8_t *)expected + got, (size_t)now), 0);
        got += (size_t)now;
    }
}

static void say(int fd, const char *text) {
    ck_assert_uint_eq(sockets_send(fd, text, strlen(text)), strlen(text));
}

static void hear_text(int fd, const char *text) {
    hear(fd, text, strlen(text));
}

static bool is_over(int fd) {
    uint8_t byte;
    return sockets_read(fd, &byte, 1) < 0;
}

static void answer(struct call *call) {
    turn_until(base, (call->node = sockets_accept(node_fd)) >= 0);
    hear_text(call->node, "first");
}

static struct call open_stream(void) {
    struct call call = make_call();
    ck_assert_ptr_null(open_call(&call));
    answer(&call);
    return call;
}

static void hang_up(const struct call *call) {
    close(call->caller);
    if (call->node >= 0)
        close(call->node);
}

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
    assert_refused(&calls[2], "too many streams of this address");
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
    ck_assert(proxy_connects(proxy, LITERAL("emqx1@far"), &node));
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

    ck_assert(proxy_connects(proxy, LITERAL("emqx1@far"), &node));
    ck_assert(!proxy_connects(proxy, LITERAL("emqx1@far"), &other));
    ck_assert(!proxy_connects(proxy, LITERAL("emqx1@fa"), &node));
    ck_assert(!proxy_connects(proxy, LITERAL(""), &node));
    proxy_node_left(proxy, &node);
    ck_assert(!proxy_connects(proxy, LITERAL("emqx1@far"), &node));
    hang_up(&call);
    hang_up(&hidden);
}
END_TEST

static unsigned visits;

static void check_view(void *context, const struct proxy_stream_view *view) {
    const struct call *call = context;
    visits++;
    assert_bytes(view->node, LITERAL("rabbit1"));
    assert_bytes(view->caller, LITERAL("emqx1@far"));
    ck_assert(address_same_host(view->peer, &local_peer));
    ck_assert_uint_eq(view->port, address_port(&call->called));
    ck_assert(view->open && !view->tls);
    ck_assert_uint_eq(view->bytes_in, 5);
    ck_assert_uint_eq(view->bytes_out, 4);
}

START_TEST(a_stream_can_be_seen) {
    struct call call = open_stream();
    say(call.node, "seen");
    hear_text(call.caller, "seen");
    visits = 0;
    proxy_each(proxy, check_view, &call);
    ck_assert_uint_eq(visits, 1);
    hang_up(&call);
}
END_TEST

/* What the caller does after the node's answer tells whether the guess was right. */
static uint64_t count_misled(bool guessed, bool tls, bool answered, bool goes_on) {
    uint64_t before = proxy_counters(proxy).misled;
    struct call call = make_call();
    call.asked.guessed = guessed;
    call.asked.tls = tls;
    ck_assert_ptr_null(open_call(&call));
    answer(&call);
    if (answered) {
        say(call.node, "ok");
        hear_text(call.caller, "ok");
    }
    if (goes_on) {
        say(call.caller, "well");
        hear_text(call.node, "well");
    }
    hang_up(&call);
    turn_until(base, proxy_count(proxy) == 0);
    return proxy_counters(proxy).misled - before;
}

START_TEST(guesses_are_counted_and_so_are_callers_who_turned_away) {
    ck_assert_uint_eq(count_misled(true, false, true, false), 1);
    ck_assert_uint_eq(count_misled(true, false, true, true), 0);
    ck_assert_uint_eq(count_misled(true, false, false, false), 0);
    ck_assert_uint_eq(count_misled(true, true, true, false), 0);
    ck_assert_uint_eq(count_misled(false, false, true, false), 0);
    ck_assert_uint_eq(proxy_counters(proxy).guessed, 4);
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
    tcase_add_test(tests, a_node_on_ipv6_loopback_is_reached);
    tcase_add_test(tests, a_node_on_the_called_address_alone_is_reached);
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
