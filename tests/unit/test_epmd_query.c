#include "epmd/query.h"

#include "assertions.h"
#include "base/clock.h"
#include "fake_server.h"
#include "suites.h"

#include <event2/event.h>
#include <string.h>

/* "w", result, port 4390, hidden, protocol, versions, name, no extra */
#define HERE "w\x00\x11\x26\x48\x00\x00\x06\x00\x05\x00\x06rabbit\x00\x00"
#define RABBIT bytes_of_text("rabbit")
#define PATIENCE_MS 60000 /* for what comes at once */

static struct event_base *base;
static struct fake_server server;
static struct epmd_query *query;
static unsigned answers;
static enum epmd_query_result result;
static uint16_t port;

static void begin(void) {
    base = event_base_new();
    answers = 0;
    port = 0;
}

static void end(void) {
    event_base_free(base);
}

static void on_answered(void *context, enum epmd_query_result said, const struct epmd_node *node) {
    ck_assert_ptr_eq(context, &answers);
    answers++;
    result = said;
    if (said == EPMD_QUERY_PORT) {
        port = node->port;
        ck_assert_uint_eq(node->type, EPMD_NODE_HIDDEN);
    }
    epmd_query_free(query); /* as a caller may */
}

static void ask_port(uint16_t epmd_port, struct bytes name, int64_t time_ms) {
    struct address epmd = address_loopback_v4(epmd_port);
    query = epmd_query_start(base, &epmd, name, time_ms, on_answered, &answers);
    ck_assert_ptr_nonnull(query);
    ck_assert_int_ge(event_base_dispatch(base), 0); /* until there is nothing to wait for */
    ck_assert_uint_eq(answers, 1);
}

/* Asks somebody who says that. */
static enum epmd_query_result ask(struct fake_script script, int64_t time_ms) {
    answers = 0;
    fake_server_start(&server, script);
    ask_port(server.port, RABBIT, time_ms);
    fake_server_stop(&server);
    return result;
}

START_TEST(the_port_is_told) {
    ck_assert_int_eq(ask((struct fake_script){.answer = LITERAL(HERE)}, PATIENCE_MS),
                     EPMD_QUERY_PORT);
    ck_assert_uint_eq(port, 4390);
    assert_bytes(bytes_of(server.request, server.request_len), LITERAL("\x00\x07zrabbit"));
}
END_TEST

START_TEST(the_answer_may_come_byte_by_byte_and_be_followed_by_anything) {
    ck_assert_int_eq(
        ask((struct fake_script){.answer = LITERAL(HERE), .byte_delay_us = 500, .end = FAKE_HOLDS},
            PATIENCE_MS),
        EPMD_QUERY_PORT);
    ck_assert_int_eq(
        ask((struct fake_script){.answer = LITERAL(HERE "!"), .end = FAKE_REPEATS, .tail = 1},
            PATIENCE_MS),
        EPMD_QUERY_PORT);
    ck_assert_uint_eq(port, 4390);
}
END_TEST

START_TEST(an_unknown_name_and_a_port_that_is_none_are_told_alike) {
    ck_assert_int_eq(ask((struct fake_script){.answer = LITERAL("w\x01")}, PATIENCE_MS),
                     EPMD_QUERY_UNKNOWN);
    struct bytes zero = LITERAL("w\x00\x00\x00\x48\x00\x00\x06\x00\x05\x00\x06rabbit\x00\x00");
    ck_assert_int_eq(ask((struct fake_script){.answer = zero}, PATIENCE_MS), EPMD_QUERY_UNKNOWN);
}
END_TEST

START_TEST(an_answer_that_is_cut_anywhere_is_malformed) {
    const struct bytes whole = LITERAL(HERE);
    for (size_t len = 1; len < whole.len; len++)
        ck_assert_int_eq(
            ask((struct fake_script){.answer = bytes_of(whole.data, len)}, PATIENCE_MS),
            EPMD_QUERY_MALFORMED);
}
END_TEST

START_TEST(nobody_makes_it_read_more_than_an_answer_has) {
    static uint8_t flood[70000];
    memset(flood, 'w', sizeof flood); /* every length in it is 0x7777 */
    flood[1] = 0;
    struct fake_script script = {.answer = bytes_of(flood, sizeof flood)};
    ck_assert_int_eq(ask(script, PATIENCE_MS), EPMD_QUERY_MALFORMED);

    /* the right name, and more extra data than a node may have */
    const struct bytes head =
        LITERAL("w\x00\x11\x26\x48\x00\x00\x06\x00\x05\x00\x06rabbit\xff\xff");
    memcpy(flood, head.data, head.len);
    ck_assert_int_eq(ask(script, PATIENCE_MS), EPMD_QUERY_MALFORMED);

    memcpy(flood, "HTTP/1.1", 8);
    ck_assert_int_eq(ask(script, PATIENCE_MS), EPMD_QUERY_MALFORMED);
}
END_TEST

START_TEST(who_breaks_off_or_is_not_there_is_no_epmd) {
    ck_assert_int_eq(ask((struct fake_script){.end = FAKE_CLOSES}, PATIENCE_MS),
                     EPMD_QUERY_UNREACHABLE);
    ck_assert_int_eq(ask((struct fake_script){.end = FAKE_RESETS}, PATIENCE_MS),
                     EPMD_QUERY_UNREACHABLE);
    answers = 0;
    ask_port(fake_closed_port(), RABBIT, PATIENCE_MS);
    ck_assert_int_eq(result, EPMD_QUERY_UNREACHABLE);
}
END_TEST

START_TEST(silence_and_trickling_end_at_the_deadline) {
    int64_t began_ms = clock_monotonic_ms();
    ck_assert_int_eq(ask((struct fake_script){.end = FAKE_HOLDS}, 50), EPMD_QUERY_TIMED_OUT);
    ck_assert_int_ge(clock_monotonic_ms() - began_ms, 50);

    struct fake_script trickle = {.answer = LITERAL(HERE), .byte_delay_us = 20000};
    ck_assert_int_eq(ask(trickle, 50), EPMD_QUERY_TIMED_OUT);

    answers = 0;
    ask_port(fake_deaf_port(), RABBIT, 50);
    ck_assert_int_eq(result, EPMD_QUERY_TIMED_OUT);
}
END_TEST

START_TEST(a_name_too_long_for_epmd_is_asked_of_nobody) {
    static const char name[2000];
    ask_port(fake_closed_port(), bytes_of(name, sizeof name), PATIENCE_MS);
    ck_assert_int_eq(result, EPMD_QUERY_UNKNOWN);
}
END_TEST

START_TEST(a_question_may_be_given_up) {
    struct address epmd = address_loopback_v4(fake_deaf_port());
    query = epmd_query_start(base, &epmd, RABBIT, PATIENCE_MS, on_answered, &answers);
    event_base_loop(base, EVLOOP_ONCE); /* it is connecting */
    epmd_query_free(query);
    ck_assert_int_eq(event_base_dispatch(base), 1); /* nothing is left to wait for */
    ck_assert_uint_eq(answers, 0);
}
END_TEST

Suite *epmd_query_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("epmd_query", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, the_port_is_told);
    tcase_add_test(tests, the_answer_may_come_byte_by_byte_and_be_followed_by_anything);
    tcase_add_test(tests, an_unknown_name_and_a_port_that_is_none_are_told_alike);
    tcase_add_test(tests, an_answer_that_is_cut_anywhere_is_malformed);
    tcase_add_test(tests, nobody_makes_it_read_more_than_an_answer_has);
    tcase_add_test(tests, who_breaks_off_or_is_not_there_is_no_epmd);
    tcase_add_test(tests, silence_and_trickling_end_at_the_deadline);
    tcase_add_test(tests, a_name_too_long_for_epmd_is_asked_of_nobody);
    tcase_add_test(tests, a_question_may_be_given_up);
    return suite;
}
