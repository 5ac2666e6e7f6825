/* Why a stream ended, as the log reports it: whole lines. */
#include "base/log.h"
#include "failing_call.h"
#include "proxy_fixture.h"
#include "scratch.h"
#include "suites.h"

#include <stdio.h>

static struct scratch scratch;
static char log_path[256];

static void begin_log(void) {
    begin();
    scratch_make(&scratch);
    strcpy(log_path, scratch_path(&scratch, "log"));
    set_wall_clock(0);
    ck_assert_int_eq(log_open("unit", LOG_LEVEL_TRACE, LOG_FORMAT_TEXT, LOG_TO_FILE, log_path), 0);
    descriptors_before++;
}

static void end_log(void) {
    log_open("unit", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TO_CONSOLE, NULL);
    set_wall_clock(-1);
    scratch_remove(&scratch);
    descriptors_before--;
    end();
}

static void assert_closed(const char *why) {
    char text[1024], expected[256];
    snprintf(expected, sizeof expected,
             "1970-01-01T00:00:00.000Z debug stream_closed node=rabbit1 caller=emqx1@far"
             " peer=127.0.0.1:50000 reason=\"%s\"\n",
             why);
    turn_until(base, proxy_count(proxy) == 0);
    struct bytes read = scratch_read(&scratch, "log", text, sizeof text - 1);
    text[read.len] = '\0';
    ck_assert_str_eq(text, expected);
}

START_TEST(both_sides_closed) {
    struct call call = open_stream();
    say(call.node, "hello");
    hear_text(call.caller, "hello");
    hang_up(&call);
    assert_closed("both sides closed");
}
END_TEST

START_TEST(the_caller_went_first) {
    struct call call = open_stream();
    hang_up(&call);
    assert_closed("the caller disconnected before the node responded");
    ck_assert_uint_eq(proxy_counters(proxy).unanswered, 1);
}
END_TEST

START_TEST(a_socket_broke) {
    struct call call = open_stream();
    sockets_reset(call.caller);
    turn_until(base, is_over(call.node));
    assert_closed("socket error");
    close(call.node);
}
END_TEST

START_TEST(nothing_reaches_the_node) {
    struct call call = make_call();
    close(node_fd);
    node_fd = -1;
    ck_assert_ptr_null(open_call(&call));
    turn_until(base, is_over(call.caller));
    assert_closed("no address of this host reaches the node");
    ck_assert_uint_eq(proxy_counters(proxy).unreachable, 1);
    close(call.caller);
}
END_TEST

START_TEST(the_daemon_stops) {
    struct call call = open_stream();
    proxy_free(proxy);
    proxy = proxy_new(base, &options);
    assert_closed("the daemon is stopping");
    hang_up(&call);
}
END_TEST

Suite *proxy_log_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("proxy_log", &tests);
    tcase_add_checked_fixture(tests, begin_log, end_log);
    tcase_add_test(tests, both_sides_closed);
    tcase_add_test(tests, the_caller_went_first);
    tcase_add_test(tests, a_socket_broke);
    tcase_add_test(tests, nothing_reaches_the_node);
    tcase_add_test(tests, the_daemon_stops);
    return suite;
}
