/* What those who watch are sent, member by member, and its time. */
#include "failing_call.h"
#include "net/address.h"
#include "service/events.h"
#include "suites.h"

#include <stdlib.h>

#define WALL_MS INT64_C(1772360430123) /* 2026-03-01T10:20:30.123Z */

static json_t *last;
static unsigned count;
static bool watched;

static bool is_watched(void *context) {
    (void)context;
    return watched;
}

static void publish(void *context, json_t *event) {
    (void)context;
    json_decref(last);
    last = event;
    count++;
}

static struct events events = {.watched = is_watched, .publish = publish};

static void setup(void) {
    last = NULL;
    count = 0;
    watched = true;
    set_wall_clock(WALL_MS);
}

static void teardown(void) {
    json_decref(last);
    set_wall_clock(-1);
}

static void assert_sent(const char *text) {
    char *sent = json_dumps(last, JSON_COMPACT);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(sent, text);
    free(sent);
}

#define HEAD(kind) "{\"v\":1,\"event\":\"" kind "\",\"at\":\"2026-03-01T10:20:30.123Z\""

static const struct registration rabbit = {
    .node = {.name = {(const uint8_t *)"rabbit", 6}, .port = 25672, .type = 77},
    .creation = 1772360430,
};

START_TEST(a_time_has_milliseconds_and_is_utc) {
    static const struct {
        int64_t wall_ms;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00.000Z"},       {999, "1970-01-01T00:00:00.999Z"},
        {1000, "1970-01-01T00:00:01.000Z"},    {INT64_C(1709251199007), "2024-02-29T23:59:59.007Z"},
        {WALL_MS, "2026-03-01T10:20:30.123Z"},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        json_t *text = events_json_time(times[i].wall_ms);
        ck_assert_str_eq(json_string_value(text), times[i].text);
        json_decref(text);
    }
}
END_TEST

START_TEST(a_registration_and_its_end) {
    events_registered(&events, &rabbit);
    assert_sent(HEAD("registered") ",\"name\":\"rabbit\",\"port\":25672,\"creation\":1772360430,"
                                   "\"type\":\"normal\"}");
    count = 0;
    events_unregistered(&events, &rabbit, "it went");
    assert_sent(HEAD("unregistered") ",\"name\":\"rabbit\",\"port\":25672,\"creation\":1772360430,"
                                     "\"reason\":\"it went\"}");
}
END_TEST

START_TEST(a_refusal_has_a_name_where_there_is_one) {
    struct address peer;
    ck_assert(address_parse("192.0.2.1", 40000, &peer));
    struct epmd_refusal refusal = {.what = "request", .reason = "too long", .peer = &peer};
    events_refused(&events, &refusal);
    assert_sent(HEAD("refused") ",\"what\":\"request\",\"reason\":\"too long\","
                                "\"peer\":\"192.0.2.1:40000\"}");
    count = 0;
    refusal.node = &rabbit.node;
    events_refused(&events, &refusal);
    assert_sent(HEAD("refused") ",\"what\":\"request\",\"reason\":\"too long\","
                                "\"peer\":\"192.0.2.1:40000\",\"name\":\"rabbit\",\"port\":25672}");
}
END_TEST

START_TEST(a_lease_and_its_end) {
    events_leased(&events, bytes_of_text("rabbit"), 6369);
    assert_sent(HEAD("leased") ",\"name\":\"rabbit\",\"port\":6369}");
    count = 0;
    struct port_lease_ending ending = {
        .lease = {.name = bytes_of_text("rabbit"), .port = 6369},
        .end = PORT_LEASE_MOVED,
    };
    events_lease_ended(&events, &ending);
    assert_sent(HEAD("lease_ended") ",\"name\":\"rabbit\",\"port\":6369,\"reason\":\"moved\"}");
    count = 0;
    ending.other_port = 25672;
    ending.other_name = bytes_of_text("tool");
    events_lease_ended(&events, &ending);
    assert_sent(HEAD("lease_ended") ",\"name\":\"rabbit\",\"port\":6369,\"reason\":\"moved\","
                                    "\"other_port\":25672,\"other_name\":\"tool\"}");
}
END_TEST

START_TEST(bytes_that_are_no_text_are_escaped) {
    json_t *text = events_json_text(bytes_of("a\xff\0b", 4));
    ck_assert_str_eq(json_string_value(text), "a\\u00ff\\u0000b");
    json_decref(text);
}
END_TEST

START_TEST(nothing_is_made_while_nobody_watches) {
    const struct events nobody = {.watched = NULL};
    watched = false;
    ck_assert(!events_is_watched(&events) && !events_is_watched(&nobody));
    events_registered(&events, &rabbit);
    events_unregistered(&events, &rabbit, "it went");
    events_leased(&events, bytes_of_text("rabbit"), 6369);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(an_event_without_memory_is_lost_and_reported_as_that) {
    events_publish(&events, "leased", NULL);
    ck_assert_uint_eq(count, 1);
    ck_assert_ptr_null(last);
}
END_TEST

Suite *events_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("events", &tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_time_has_milliseconds_and_is_utc);
    tcase_add_test(tests, a_registration_and_its_end);
    tcase_add_test(tests, a_refusal_has_a_name_where_there_is_one);
    tcase_add_test(tests, a_lease_and_its_end);
    tcase_add_test(tests, bytes_that_are_no_text_are_escaped);
    tcase_add_test(tests, nothing_is_made_while_nobody_watches);
    tcase_add_test(tests, an_event_without_memory_is_lost_and_reported_as_that);
    return suite;
}
