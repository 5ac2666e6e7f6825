#include "names/epmd_service.h"

#include "assertions.h"
#include "some_registry.h"
#include "suites.h"

#include <stdio.h>
#include <string.h>

#define OWN 25672
#define FRONT 4371

static struct some_registry some;
static struct epmd_service service;
static struct registration *rabbit;

/* The caller: on another host, on this one by its own address, and by loopback. */
static const struct epmd_caller far = {.address = {(const uint8_t *)"\xc0\x00\x02\x01", 4},
                                       .now_ms = 100};
static const struct epmd_caller here = {
    .local = true, .address = {(const uint8_t *)"\xc0\x00\x02\x02", 4}, .now_ms = 100};
static const struct epmd_caller near = {.local = true,
                                        .loopback = true,
                                        .address = {(const uint8_t *)"\x7f\x00\x00\x01", 4},
                                        .now_ms = 100};

static struct registration *add_route(const char *name) {
    struct registration *made = some_registration(some.registry, name, OWN);
    made->front_port = FRONT;
    ck_assert(routes_add(service.routes, made));
    return made;
}

static void begin(void) {
    some = some_registry_new();
    service = (struct epmd_service){.registry = some.registry, .routes = routes_new()};
    ck_assert_ptr_nonnull(service.routes);
    rabbit = add_route("rabbit1");
}

static void end(void) {
    routes_free(service.routes);
    some_registry_free(&some);
}

static uint16_t told_port(const struct epmd_caller *caller, const char *name) {
    uint8_t buffer[EPMD_SHORT_REPLY_MAX];
    struct writer reply = writer_of(buffer, sizeof buffer);
    const struct epmd_request request = {.operation = EPMD_PORT_PLEASE2,
                                         .name = bytes_of_text(name)};
    ck_assert_int_eq(epmd_service_answer(&service, &request, caller, &reply).action,
                     EPMD_ACTION_REPLY);
    ck_assert_uint_gt(reply.len, 4);
    ck_assert_uint_eq(buffer[1], 0);
    return (uint16_t)(buffer[2] << 8 | buffer[3]);
}

/* The port that NAMES has for the only name. */
static uint16_t listed_port(const struct epmd_caller *caller) {
    uint8_t buffer[LISTING_PIECE_MIN];
    const struct epmd_request request = {.operation = EPMD_NAMES};
    struct listing listing;
    unsigned port = 0;
    service.remote_names = REMOTE_NAMES_ON;
    struct epmd_answer answer = epmd_service_answer(&service, &request, caller, NULL);
    ck_assert_int_eq(answer.action, EPMD_ACTION_LIST);
    listing_begin(&listing, answer.listing, service.registry, 4370, answer.view);
    size_t len = listing_read(&listing, buffer, sizeof buffer - 1);
    listing_end(&listing);
    buffer[len] = '\0';
    ck_assert_int_eq(sscanf((char *)buffer + 4, "name rabbit1 at port %u\n", &port), 1);
    return (uint16_t)port;
}

static const struct registration *choose(const struct epmd_caller *caller) {
    const struct route_query front = {
        .port = FRONT, .address = caller->address, .now_ms = caller->now_ms};
    return routes_choose(service.routes, &front);
}

START_TEST(a_caller_is_told_the_port_that_it_can_reach) {
    ck_assert_uint_eq(told_port(&far, "rabbit1"), FRONT);
    ck_assert_uint_eq(told_port(&here, "rabbit1"), OWN);
    ck_assert_uint_eq(told_port(&near, "rabbit1"), OWN);
}
END_TEST

START_TEST(a_node_on_loopback_is_far_from_all_but_loopback) {
    rabbit->loopback_only = true;
    ck_assert_uint_eq(told_port(&far, "rabbit1"), FRONT);
    ck_assert_uint_eq(told_port(&here, "rabbit1"), FRONT);
    ck_assert_uint_eq(told_port(&near, "rabbit1"), OWN);
}
END_TEST

START_TEST(a_node_without_a_front_port_is_told_with_its_own_to_all) {
    routes_remove(service.routes, rabbit, 0);
    rabbit->front_port = 0;
    for (int loopback_only = 0; loopback_only < 2; loopback_only++) {
        rabbit->loopback_only = loopback_only == 1;
        ck_assert_uint_eq(told_port(&far, "rabbit1"), OWN);
        ck_assert_uint_eq(told_port(&here, "rabbit1"), OWN);
        ck_assert_uint_eq(told_port(&near, "rabbit1"), OWN);
    }
}
END_TEST

START_TEST(names_and_look_up_say_the_same_port_to_the_same_caller) {
    const struct epmd_caller *callers[] = {&far, &here, &near};
    for (int kind = 0; kind < 4; kind++) {
        rabbit->loopback_only = (kind & 1) != 0;
        rabbit->front_port = (kind & 2) != 0 ? 0 : FRONT;
        for (size_t i = 0; i < 3; i++)
            ck_assert_uint_eq(listed_port(callers[i]), told_port(callers[i], "rabbit1"));
    }
    rabbit->front_port = FRONT;
}
END_TEST

START_TEST(the_registration_itself_keeps_its_own_port) {
    told_port(&far, "rabbit1");
    ck_assert_uint_eq(rabbit->node.port, OWN);
}
END_TEST

START_TEST(who_is_told_the_front_port_is_expected_there) {
    const struct registration *emqx = add_route("emqx1");
    told_port(&far, "emqx1");
    ck_assert_ptr_eq(choose(&far), emqx);
    ck_assert_ptr_eq(choose(&far), rabbit);

    struct epmd_caller later = far;
    later.now_ms += ROUTE_LOOKUP_MS + 1;
    told_port(&far, "emqx1");
    ck_assert_ptr_eq(choose(&later), rabbit);
}
END_TEST

START_TEST(who_is_told_the_nodes_own_port_is_not) {
    add_route("emqx1");
    told_port(&here, "emqx1");
    told_port(&near, "emqx1");
    ck_assert_ptr_eq(choose(&here), rabbit);
    ck_assert_ptr_eq(choose(&near), rabbit);

    add_route("hare1")->loopback_only = true;
    told_port(&here, "hare1");
    assert_bytes(choose(&here)->node.name, LITERAL("hare1"));
}
END_TEST

static struct epmd_answer look_up(const struct epmd_caller *caller, const char *name) {
    static uint8_t buffer[EPMD_SHORT_REPLY_MAX];
    struct writer reply = writer_of(buffer, sizeof buffer);
    const struct epmd_request request = {.operation = EPMD_PORT_PLEASE2,
                                         .name = bytes_of_text(name)};
    return epmd_service_answer(&service, &request, caller, &reply);
}

static bool has_closed_its_side(const void *holder) {
    (void)holder;
    return false;
}

START_TEST(another_name_of_the_port_waits_until_the_first_is_connected) {
    const struct registration *emqx = add_route("emqx1");
    struct lookup_waiter waiter = {.state = LOOKUP_IDLE};
    told_port(&far, "rabbit1");
    told_port(&far, "rabbit1");
    struct epmd_answer answer = look_up(&far, "emqx1");
    ck_assert_int_eq(answer.action, EPMD_ACTION_WAIT);
    ck_assert_ptr_eq(answer.registration, emqx);
    epmd_service_wait(&service, answer.registration, &far, &waiter);
    ck_assert_ptr_eq(choose(&far), rabbit);
    ck_assert_ptr_eq(choose(&far), rabbit);
    ck_assert_ptr_eq(lookup_queue_next_ready(routes_queue(service.routes)), &waiter);
    struct epmd_caller granted = far;
    granted.waited = waiter.state;
    ck_assert_uint_eq(told_port(&granted, "emqx1"), FRONT);
    ck_assert_ptr_eq(choose(&far), emqx);
}
END_TEST

START_TEST(who_is_told_another_port_or_none_or_only_asks_does_not_wait) {
    add_route("emqx1");
    told_port(&far, "rabbit1");
    ck_assert_int_eq(look_up(&far, "nobody").action, EPMD_ACTION_REPLY);
    ck_assert_uint_eq(told_port(&here, "emqx1"), OWN);
    ck_assert_uint_eq(told_port(&near, "emqx1"), OWN);
    struct epmd_caller asks = far;
    asks.may_connect = has_closed_its_side;
    ck_assert_uint_eq(told_port(&asks, "emqx1"), FRONT);
    ck_assert_ptr_eq(choose(&far), rabbit);
    /* and is not counted */
    told_port(&asks, "emqx1");
    told_port(&far, "rabbit1");
    ck_assert_ptr_eq(choose(&far), rabbit);
}
END_TEST

START_TEST(who_cannot_wait_is_answered_and_its_connection_guessed) {
    const struct registration *emqx = add_route("emqx1");
    told_port(&far, "rabbit1");
    struct epmd_caller now = far;
    now.waited = LOOKUP_OVERDUE;
    ck_assert_uint_eq(told_port(&now, "emqx1"), FRONT);
    ck_assert_ptr_eq(choose(&far), rabbit);
    ck_assert_ptr_eq(choose(&far), emqx);
}
END_TEST

START_TEST(a_service_without_fronts_tells_what_was_registered) {
    routes_remove(service.routes, rabbit, 0);
    rabbit->front_port = 0;
    struct epmd_service bare = {.registry = some.registry}, kept = service;
    service = bare;
    ck_assert_uint_eq(told_port(&far, "rabbit1"), OWN);
    service = kept;
}
END_TEST

Suite *epmd_service_fronts_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("epmd_service_fronts", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_caller_is_told_the_port_that_it_can_reach);
    tcase_add_test(tests, a_node_on_loopback_is_far_from_all_but_loopback);
    tcase_add_test(tests, a_node_without_a_front_port_is_told_with_its_own_to_all);
    tcase_add_test(tests, names_and_look_up_say_the_same_port_to_the_same_caller);
    tcase_add_test(tests, the_registration_itself_keeps_its_own_port);
    tcase_add_test(tests, who_is_told_the_front_port_is_expected_there);
    tcase_add_test(tests, another_name_of_the_port_waits_until_the_first_is_connected);
    tcase_add_test(tests, who_is_told_another_port_or_none_or_only_asks_does_not_wait);
    tcase_add_test(tests, who_cannot_wait_is_answered_and_its_connection_guessed);
    tcase_add_test(tests, who_is_told_the_nodes_own_port_is_not);
    tcase_add_test(tests, a_service_without_fronts_tells_what_was_registered);
    return suite;
}
