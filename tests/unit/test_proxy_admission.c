#include "proxy_fixture.h"
#include "suites.h"

#define SOMEBODY 61234

static struct local_users users;
static unsigned refusals;
static char refusal[256];

static void on_refused(void *context, const struct registration *registration, const char *reason,
                       const struct address *peer) {
    ck_assert_ptr_eq(context, &refusals);
    ck_assert_ptr_eq(registration, &node);
    ck_assert(address_same_host(peer, &local_peer));
    snprintf(refusal, sizeof refusal, "%s", reason);
    refusals++;
}

static void begin_checking(void) {
    begin();
    users = (struct local_users){.diag = sock_diag_new(), .descriptors = user_share_new(4, NULL)};
    options.users = &users;
    options.check_owner = true;
    options.peer_streams = 0;
    options.refused = on_refused;
    options.context = &refusals;
    proxy_configure(proxy, &options);
    node.user = geteuid();
    refusals = 0;
}

static void end_checking(void) {
    proxy_free(proxy);
    proxy = NULL;
    sock_diag_free(users.diag);
    user_share_free(users.descriptors);
    end();
}

/* --- whose the listener is --- */

static void assert_not_led(const char *reason) {
    struct call call = make_call();
    ck_assert_ptr_null(open_call(&call));
    turn_until(base, is_over(call.caller));
    ck_assert_uint_eq(proxy_count(proxy), 0);
    ck_assert_uint_eq(refusals, 1);
    ck_assert_msg(strstr(refusal, reason) != NULL, "%s", refusal);
    ck_assert_uint_eq(proxy_counters(proxy).not_owned, 1);
    ck_assert_uint_eq(proxy_counters(proxy).unreachable, 0);
    int met = sockets_accept(node_fd);
    if (met >= 0) {
        turn_until(base, is_over(met)); /* and not a byte before */
        close(met);
    }
    close(call.caller);
}

START_TEST(a_node_of_the_user_who_listens_is_reached) {
    struct call call = open_stream();
    hang_up(&call);
    ck_assert_uint_eq(refusals, 0);
}
END_TEST

START_TEST(a_port_where_another_user_listens_is_not_led_to) {
    node.user = geteuid() + 1;
    assert_not_led("listens on its port");
}
END_TEST

START_TEST(a_node_of_nobody_is_not_led_to) {
    node.user = USER_NOBODY;
    assert_not_led("user who registered the node is unknown");
}
END_TEST

START_TEST(without_the_check_whoever_listens_is_reached) {
    options.check_owner = false;
    proxy_configure(proxy, &options);
    node.user = USER_NOBODY;
    struct call call = open_stream();
    hang_up(&call);
}
END_TEST

/* 127.0.0.1 is somebody else's, and the node listens on ::1. */
START_TEST(an_address_of_another_user_is_passed_over) {
    if (geteuid() != 0) {
        printf("skipped: it takes root to become another user\n");
        return;
    }
    uint16_t port = node.node.port;
    close(node_fd);
    node_fd = -1;
    ck_assert_int_eq(seteuid(SOMEBODY), 0);
    int other = sockets_listen("127.0.0.1", &port);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_ge(other, 0);
    node_fd = sockets_listen("::1", &port);
    if (node_fd >= 0) {
        struct call call = open_stream();
        int met = sockets_accept(other);
        turn_until(base, is_over(met));
        close(met);
        hang_up(&call);
    }
    close(other);
}
END_TEST

START_TEST(ports_of_root_are_led_to_for_roots_nodes_alone) {
    struct call call = make_call();
    node.user = SOMEBODY;
    node.node.port = 1023;
    const char *reason = open_call(&call);
    ck_assert_ptr_nonnull(reason);
    ck_assert_ptr_nonnull(strstr(reason, "1024"));
    ck_assert_uint_eq(proxy_counters(proxy).not_owned, 1);
    close(call.proxys);
    close(call.caller);
}
END_TEST

/* --- shares --- */

START_TEST(the_nodes_of_a_user_have_a_share_of_the_streams) {
    struct call calls[3];
    options.user_streams = 2;
    options.check_owner = false;
    proxy_configure(proxy, &options);
    node.user = SOMEBODY;
    for (int i = 0; i < 2; i++)
        calls[i] = open_stream();
    calls[2] = make_call();
    const char *reason = open_call(&calls[2]);
    ck_assert_ptr_nonnull(reason);
    ck_assert_ptr_nonnull(strstr(reason, "limits.user_share"));
    node.user = geteuid(); /* who is free */
    ck_assert_ptr_null(open_call(&calls[2]));
    answer(&calls[2]);
    for (int i = 0; i < 3; i++)
        hang_up(&calls[i]);
    turn_until(base, proxy_count(proxy) == 0);

    node.user = SOMEBODY;
    calls[0] = open_stream();
    hang_up(&calls[0]);
}
END_TEST

/* There are four, and a stream takes two. */
START_TEST(a_stream_takes_of_the_descriptors_of_its_nodes_user) {
    struct call calls[3];
    options.check_owner = false;
    proxy_configure(proxy, &options);
    node.user = SOMEBODY;
    for (int i = 0; i < 2; i++)
        calls[i] = open_stream();
    calls[2] = make_call();
    ck_assert_ptr_nonnull(open_call(&calls[2]));
    hang_up(&calls[0]);
    turn_until(base, proxy_count(proxy) == 1);
    ck_assert_ptr_null(open_call(&calls[2]));
    answer(&calls[2]);
    hang_up(&calls[1]);
    hang_up(&calls[2]);
    turn_until(base, proxy_count(proxy) == 0);
    ck_assert(user_share_take(users.descriptors, SOMEBODY, 4));
}
END_TEST

/* --- streams that nobody needs --- */

START_TEST(a_caller_that_goes_before_the_node_answers_ends_its_stream) {
    struct call call = open_stream();
    if (_i == 0)
        close(call.caller);
    else
        shutdown(call.caller, SHUT_WR);
    turn_until(base, proxy_count(proxy) == 0);
    turn_until(base, is_over(call.node));
    ck_assert_uint_eq(proxy_counters(proxy).unanswered, 1);
    if (_i != 0)
        close(call.caller);
    close(call.node);
}
END_TEST

START_TEST(a_caller_that_goes_while_nobody_accepts_ends_its_stream) {
    struct call call = make_call();
    ck_assert_ptr_null(open_call(&call));
    close(call.caller);
    turn_until(base, proxy_count(proxy) == 0);
    ck_assert_uint_eq(proxy_counters(proxy).unanswered, 1);
}
END_TEST

START_TEST(an_answer_that_was_not_passed_on_yet_is_one) {
    struct call call = open_stream();
    say(call.node, "late");
    shutdown(call.caller, SHUT_WR);
    hear_text(call.caller, "late");
    ck_assert_uint_eq(proxy_count(proxy), 1);
    hang_up(&call);
}
END_TEST

START_TEST(a_node_that_never_answers_is_given_up) {
    options.answer_ms = 50;
    proxy_configure(proxy, &options);
    struct call silent = open_stream(), lively = open_stream();
    say(lively.node, "hello");
    hear_text(lively.caller, "hello");
    turn_until(base, proxy_count(proxy) == 1);
    turn_until(base, is_over(silent.caller));
    ck_assert_uint_eq(proxy_counters(proxy).unanswered, 1);
    say(lively.node, "again");
    hear_text(lively.caller, "again");
    hang_up(&silent);
    hang_up(&lively);
}
END_TEST

/* 0: the caller has ended, 1: the node. */
START_TEST(a_half_open_stream_lasts_as_long_as_it_is_used) {
    options.half_open_ms = 300;
    proxy_configure(proxy, &options);
    struct call call = open_stream();
    int ended = _i == 0 ? call.caller : call.node, other = _i == 0 ? call.node : call.caller;
    say(call.node, "hello");
    hear_text(call.caller, "hello");
    shutdown(ended, SHUT_WR);
    turn_until(base, is_over(other));

    int64_t until_ms = clock_monotonic_ms() + 700;
    while (clock_monotonic_ms() < until_ms) {
        say(other, "tick");
        hear_text(ended, "tick");
    }
    ck_assert_uint_eq(proxy_count(proxy), 1);
    turn_until(base, proxy_count(proxy) == 0);
    ck_assert(is_over(ended));
    hang_up(&call);
}
END_TEST

/* What the caller does not take waits in the proxy. */
START_TEST(a_half_open_stream_whose_reader_reads_nothing_ends) {
    static const char piece[65536];
    options.half_open_ms = 200;
    proxy_configure(proxy, &options);
    struct call call = open_stream();
    say(call.node, "hello");
    hear_text(call.caller, "hello");
    shutdown(call.caller, SHUT_WR);
    turn_until(base, is_over(call.node));
    while (sockets_send(call.node, piece, sizeof piece) > 0)
        sockets_turn(base);
    turn_until(base, proxy_count(proxy) == 0);
    hang_up(&call);
}
END_TEST

Suite *proxy_admission_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("proxy_admission", &tests);
    tcase_add_checked_fixture(tests, begin_checking, end_checking);
    tcase_add_test(tests, a_node_of_the_user_who_listens_is_reached);
    tcase_add_test(tests, a_port_where_another_user_listens_is_not_led_to);
    tcase_add_test(tests, a_node_of_nobody_is_not_led_to);
    tcase_add_test(tests, without_the_check_whoever_listens_is_reached);
    tcase_add_test(tests, an_address_of_another_user_is_passed_over);
    tcase_add_test(tests, ports_of_root_are_led_to_for_roots_nodes_alone);
    tcase_add_test(tests, the_nodes_of_a_user_have_a_share_of_the_streams);
    tcase_add_test(tests, a_stream_takes_of_the_descriptors_of_its_nodes_user);
    tcase_add_loop_test(tests, a_caller_that_goes_before_the_node_answers_ends_its_stream, 0, 2);
    tcase_add_test(tests, a_caller_that_goes_while_nobody_accepts_ends_its_stream);
    tcase_add_test(tests, an_answer_that_was_not_passed_on_yet_is_one);
    tcase_add_test(tests, a_node_that_never_answers_is_given_up);
    tcase_add_loop_test(tests, a_half_open_stream_lasts_as_long_as_it_is_used, 0, 2);
    tcase_add_test(tests, a_half_open_stream_whose_reader_reads_nothing_ends);
    return suite;
}
