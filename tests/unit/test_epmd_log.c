/* What the log reports of epmd's requests, and why their connections ended: whole lines. */
#include "base/log.h"
#include "failing_call.h"
#include "front_fixture.h"
#include "scratch.h"
#include "suites.h"

#include <stdio.h>

static struct scratch scratch;
static char log_path[256];
static char peer[ADDRESS_TEXT_SIZE];
static char expected[2048];

static void begin_log(void) {
    begin();
    scratch_make(&scratch);
    strcpy(log_path, scratch_path(&scratch, "log"));
    expected[0] = '\0';
    set_wall_clock(0);
    ck_assert_int_eq(log_open("unit", LOG_LEVEL_TRACE, LOG_FORMAT_TEXT, LOG_TO_FILE, log_path), 0);
}

static void end_log(void) {
    log_open("unit", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TO_CONSOLE, NULL);
    set_wall_clock(-1);
    scratch_remove(&scratch);
    end();
}

static int call(uint16_t port) {
    int fd = sockets_connect(port);
    struct address own = sockets_own_address(fd);
    address_format(&own, peer);
    return fd;
}

#define TIME "1970-01-01T00:00:00.000Z"

static void expect_request(const char *fields) {
    sprintf(expected + strlen(expected), TIME " trace request %s peer=%s\n", fields, peer);
}

static void expect_closed(const char *why) {
    sprintf(expected + strlen(expected), TIME " debug closed peer=%s reason=%s\n", peer, why);
}

static const char *logged(void) {
    static char text[4096];
    struct bytes read = scratch_read(&scratch, "log", text, sizeof text - 1);
    text[read.len] = '\0';
    return text;
}

/* Turns until the log is as long as expected, and then it is what was expected. */
static void assert_logged(void) {
    turn_until(base, strlen(logged()) >= strlen(expected));
    ck_assert_str_eq(logged(), expected);
}

static void assert_answered(struct bytes request, const char *fields) {
    int fd = call(epmd_port);
    say(fd, request);
    expect_request(fields);
    expect_closed("answered");
    assert_logged();
    close(fd);
}

START_TEST(a_request_is_logged_with_its_operation_and_name) {
    assert_answered(LITERAL("\0\1n"), "operation=NAMES name=\"\"");
    assert_answered(LITERAL("\0\1d"), "operation=DUMP name=\"\"");
    assert_answered(LITERAL("\0\7zrabbit"), "operation=PORT_PLEASE2 name=rabbit");
    ck_assert_uint_eq(epmd_server_status(server).counters.requests, 3);
    ck_assert_uint_eq(epmd_server_status(server).counters.accepted, 3);
}
END_TEST

static int register_rabbit(void) {
    int fd = call(epmd_port);
    say(fd, LITERAL("\0\x14x\x04\xd2M\1\0\6\0\5\0\6rabbit\0\1e"));
    turn_until(base, epmd_server_status(server).registered == 1);
    expect_request("operation=ALIVE2 name=rabbit port=1234 type=77 protocol=1 highest_version=6"
                   " lowest_version=5 extra_bytes=1");
    assert_logged();
    return fd;
}

START_TEST(a_registration_is_logged_whole_and_so_is_its_end) {
    close(register_rabbit());
    expect_closed("\"node closed its connection\"");
    assert_logged();
    int fd = register_rabbit();
    say(fd, LITERAL("x"));
    expect_closed("\"node sent a byte\"");
    assert_logged();
    close(fd);
}
END_TEST

START_TEST(a_peer_that_goes_is_told_from_one_that_had_begun) {
    int silent = call(epmd_port);
    turn_until(base, epmd_server_status(server).waiting == 1);
    close(silent);
    expect_closed("\"peer disconnected\"");
    assert_logged();
    int begun = call(epmd_port);
    say(begun, LITERAL("\0"));
    turn_until(base, epmd_server_status(server).waiting == 1);
    close(begun);
    expect_closed("\"peer disconnected in the middle of a request\"");
    assert_logged();
    close(call(epmd_port)); /* before it is accepted */
    expect_closed("\"peer disconnected\"");
    assert_logged();
    ck_assert_uint_eq(server_refused, 0);
}
END_TEST

START_TEST(a_refused_request_is_reported_with_its_reason) {
    const struct {
        struct bytes request;
        const char *why;
    } wrong[] = {
        {LITERAL("\0\0"), "invalid request length"},
        {LITERAL("\0\1nn"), "more bytes than announced"},
        {LITERAL("\0\1?"), "unknown operation"},
        {LITERAL("\0\2x\1"), "request too short"},
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char quoted[64];
        int fd = call(epmd_port);
        say(fd, wrong[i].request);
        snprintf(quoted, sizeof quoted, "\"%s\"", wrong[i].why);
        expect_closed(quoted);
        assert_logged();
        ck_assert_str_eq(reason, wrong[i].why);
        ck_assert_uint_eq(server_refused, i + 1);
        ck_assert_uint_eq(epmd_server_status(server).counters.refused, i + 1);
        close(fd);
    }
}
END_TEST

START_TEST(more_than_was_announced_is_refused_also_in_pieces) {
    int fd = call(epmd_port);
    say(fd, LITERAL("\0\1"));
    turn_until(base, epmd_server_status(server).waiting == 1);
    say(fd, LITERAL("nn"));
    expect_closed("\"more bytes than announced\"");
    assert_logged();
    close(fd);
}
END_TEST

Suite *epmd_log_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("epmd_log", &tests);
    tcase_add_checked_fixture(tests, begin_log, end_log);
    tcase_add_test(tests, a_request_is_logged_with_its_operation_and_name);
    tcase_add_test(tests, a_registration_is_logged_whole_and_so_is_its_end);
    tcase_add_test(tests, a_peer_that_goes_is_told_from_one_that_had_begun);
    tcase_add_test(tests, a_refused_request_is_reported_with_its_reason);
    tcase_add_test(tests, more_than_was_announced_is_refused_also_in_pieces);
    return suite;
}
