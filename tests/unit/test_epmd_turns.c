/* What the epmd server does when a turn of the loop has no time for all connections: with a budget
 * of no time each turn serves one or two. */
#include "front_fixture.h"
#include "suites.h"
#include "turns_fixture.h"

#define CALLERS 8

static int callers[CALLERS];

static void configure(int64_t packet_timeout_ms) {
    const struct epmd_server_options budgeted = {.packet_timeout_ms = packet_timeout_ms,
                                                 .budget = &budget};
    epmd_server_configure(server, &budgeted);
}

static void begin_turns(void) {
    begin();
    budget = (struct turn_budget){.limit_us = 0};
    configure(60000);
}

static size_t waiting(void) {
    return epmd_server_status(server).waiting;
}

static void call(void) {
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = sockets_connect(epmd_port);
        say(callers[i], LITERAL("\x00"));
        turns_until(waiting() == i + 1);
    }
}

static void hang_up(void) {
    for (int i = 0; i < CALLERS; i++)
        close(callers[i]);
}

/* Turns until nobody waits, and sees that none of them ends many. */
static void assert_end_one_by_one(void) {
    int64_t until_ms = clock_monotonic_ms() + SOCKETS_DEADLINE_MS;
    while (waiting() > 0) {
        size_t before = waiting();
        turn();
        ck_assert_uint_ge(waiting() + 2, before);
        ck_assert_int_lt(clock_monotonic_ms(), until_ms);
    }
}

START_TEST(callers_that_hang_up_together_are_seen_to_over_several_turns) {
    call();
    hang_up();
    assert_end_one_by_one();
}
END_TEST

START_TEST(callers_whose_time_is_over_are_closed_over_several_turns) {
    configure(50);
    call();
    assert_end_one_by_one();
    ck_assert_uint_eq(epmd_server_status(server).counters.timed_out, CALLERS);
    hang_up();
}
END_TEST

/* --- replies that wait until they are safe --- */

#define NUMBER 7

static uint64_t on_awaits(void *context, const struct registration *registration) {
    (void)context;
    (void)registration;
    return NUMBER;
}

/* ALIVE2 of node0@..., node1@..., on port 1234. */
static void ask_to_register(int fd, char digit) {
    uint8_t request[] = "\0\x12x\x04\xd2M\0\0\x06\0\x05\0\x05node?\0\0";
    request[sizeof request - 4] = (uint8_t)digit;
    say(fd, bytes_of(request, sizeof request - 1));
}

static struct epmd_server *make_waiting_server(void) {
    const struct epmd_server_options budgeted = {.packet_timeout_ms = 60000, .budget = &budget};
    const struct epmd_server_hooks hooks = {.registered = ignore_registered,
                                            .awaits = on_awaits,
                                            .unregistered = ignore_unregistered,
                                            .refused = on_server_refused,
                                            .killed = ignore_killed};
    struct epmd_server *made = epmd_server_new(base, &service, NULL, &budgeted, &hooks);
    ck_assert_ptr_nonnull(made);
    return made;
}

static int count_answered(void) {
    uint8_t reply[16];
    int count = 0;
    for (int i = 0; i < CALLERS; i++)
        count += sockets_read(callers[i], reply, sizeof reply) > 0;
    return count;
}

START_TEST(replies_that_have_waited_go_out_over_several_turns) {
    struct epmd_server *waiting_server = make_waiting_server();
    for (size_t i = 0; i < CALLERS; i++) {
        int ends[2];
        sockets_tcp_pair(ends);
        callers[i] = ends[1];
        ask_to_register(callers[i], (char)('0' + i));
        const struct accepted accepted = {
            .fd = ends[0], .role = LISTENER_EPMD, .peer = address_loopback_v4(50000)};
        epmd_server_open(waiting_server, &accepted);
        turns_until(epmd_server_status(waiting_server).registered == i + 1);
    }
    turn_budget_renew(&budget);
    ck_assert_int_eq(count_answered(), 0);
    epmd_server_settled(waiting_server, NUMBER);
    int answered = count_answered();
    ck_assert_int_le(answered, 2);
    for (int turns = 0; turns < 2 * CALLERS; turns++) {
        turn();
        int now = count_answered();
        ck_assert_int_le(now, 2);
        answered += now;
    }
    ck_assert_int_eq(answered, CALLERS);
    epmd_server_free(waiting_server);
    hang_up();
}
END_TEST

Suite *epmd_turns_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("epmd_turns", &tests);
    tcase_add_checked_fixture(tests, begin_turns, end);
    tcase_add_test(tests, callers_that_hang_up_together_are_seen_to_over_several_turns);
    tcase_add_test(tests, callers_whose_time_is_over_are_closed_over_several_turns);
    tcase_add_test(tests, replies_that_have_waited_go_out_over_several_turns);
    return suite;
}
