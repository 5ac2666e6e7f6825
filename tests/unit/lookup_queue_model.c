/*
 * Random histories of callers of a few addresses that look nodes up and connect. Two kinds: those
 * of callers that connect within their time, where no connection may ever be taken for another's;
 * and those of callers that come late, never, or go away, of nodes that leave, and of too many at
 * once, where what the header promises of order, time and number must hold all the same.
 */
#include "lookup_queue_model.h"

#include "names/lookup_queue.h"
#include "seeded.h"

#include <stdlib.h>

#define CALLS 400
#define ADDRESSES 3
#define PORTS 2
#define NODES 8 /* half of them behind each port */
#define BASE 4370

enum call_state { CALL_NONE, CALL_WAITS, CALL_TOLD };

struct call {
    enum call_state state;
    size_t node, address;
    int64_t connects_ms; /* when told; INT64_MAX: never */
    struct lookup_waiter waiter;
};

struct play {
    struct seeded random;
    bool prompt; /* all connect within their time */
    struct lookup_queue *queue;
    struct registration nodes[NODES];
    struct call calls[CALLS];
    int64_t now_ms;
    size_t connections;
};

static struct bytes address_of(size_t which) {
    static const uint8_t bytes[ADDRESSES][4] = {{192, 0, 2, 1}, {192, 0, 2, 2}, {192, 0, 2, 3}};
    return bytes_of(bytes[which], 4);
}

static uint16_t port_of(const struct play *play, const struct call *call) {
    return play->nodes[call->node].front_port;
}

static bool same_pair(const struct play *play, const struct call *a, const struct call *b) {
    return a->address == b->address && port_of(play, a) == port_of(play, b);
}

static void tell(struct play *play, struct call *call) {
    size_t longest = play->prompt ? LOOKUP_WINDOW_MIN_MS : 2 * LOOKUP_WAIT_MAX_MS;
    call->state = CALL_TOLD;
    call->connects_ms = play->now_ms + (int64_t)seeded_below(&play->random, longest);
    if (!play->prompt && seeded_chance(&play->random, 20))
        call->connects_ms = INT64_MAX;
}

/* --- what holds --- */

static size_t waiting(const struct play *play, size_t address) {
    size_t count = 0;
    for (size_t i = 0; i < CALLS; i++) {
        const struct call *call = &play->calls[i];
        count += call->state == CALL_WAITS && (address == ADDRESSES || call->address == address);
    }
    return count;
}

static void assert_numbers(const struct play *play) {
    const struct lookup_counters counters = lookup_queue_counters(play->queue);
    ck_assert_uint_eq(counters.waiting, waiting(play, ADDRESSES));
    ck_assert_uint_le(counters.pairs, ADDRESSES * PORTS);
    for (size_t address = 0; address < ADDRESSES; address++)
        ck_assert_uint_le(waiting(play, address), LOOKUP_WAITERS_OF_ADDRESS);
    if (play->prompt)
        ck_assert_uint_eq(counters.expired, 0);
    const char *broken = lookup_queue_check(play->queue);
    ck_assert_msg(broken == NULL, "%s", broken);
}

/* Of those whose turn it is, the first has waited longer than all who wait still, and no one of
 * the same name does. */
static void assert_in_turn(const struct play *play, const struct call *granted) {
    int64_t first_ms = INT64_MAX;
    for (size_t i = 0; i < CALLS; i++) {
        const struct call *other = &play->calls[i];
        if (other->state == CALL_WAITS && other->waiter.state == LOOKUP_GRANTED &&
            same_pair(play, granted, other) && other->waiter.since_ms < first_ms)
            first_ms = other->waiter.since_ms;
    }
    for (size_t i = 0; i < CALLS; i++) {
        const struct call *other = &play->calls[i];
        if (other->state != CALL_WAITS || other->waiter.state != LOOKUP_WAITING ||
            !same_pair(play, granted, other))
            continue;
        ck_assert_uint_ne(other->node, granted->node);
        ck_assert_int_ge(other->waiter.since_ms, first_ms);
    }
}

/* --- steps --- */

static void drain(struct play *play) {
    struct lookup_waiter *waiter;
    while ((waiter = lookup_queue_next_ready(play->queue)) != NULL) {
        struct call *call = (struct call *)(void *)((char *)waiter - offsetof(struct call, waiter));
        ck_assert_int_eq(call->state, CALL_WAITS);
        int64_t waited_ms = play->now_ms - waiter->since_ms;
        ck_assert_int_le(waited_ms, LOOKUP_WAIT_MAX_MS);
        call->state = CALL_NONE;
        if (waiter->state == LOOKUP_OVERDUE)
            ck_assert_int_eq(waited_ms, LOOKUP_WAIT_MAX_MS);
        if (waiter->state != LOOKUP_GRANTED)
            continue;
        tell(play, call);
    }
}

static void check_turns(struct play *play) {
    for (size_t i = 0; i < CALLS; i++) {
        const struct call *call = &play->calls[i];
        if (call->state == CALL_WAITS && call->waiter.state == LOOKUP_GRANTED)
            assert_in_turn(play, call);
    }
    drain(play);
}

static void start(struct play *play) {
    struct call *call = &play->calls[seeded_below(&play->random, CALLS)];
    if (call->state != CALL_NONE)
        return;
    *call = (struct call){.node = seeded_below(&play->random, NODES),
                          .address = seeded_below(&play->random, ADDRESSES)};
    const struct lookup lookup = {.registration = &play->nodes[call->node],
                                  .address = address_of(call->address),
                                  .now_ms = play->now_ms};
    switch (lookup_queue_ask(play->queue, &lookup)) {
    case LOOKUP_COUNTED:
        tell(play, call);
        return;
    case LOOKUP_WAIT:
        lookup_queue_wait(play->queue, &lookup, &call->waiter);
        call->state = CALL_WAITS;
        return;
    case LOOKUP_UNCOUNTED:
        ck_assert_uint_eq(waiting(play, call->address), LOOKUP_WAITERS_OF_ADDRESS);
        return;
    }
}

static void connect_those_whose_time_it_is(struct play *play) {
    for (size_t i = 0; i < CALLS; i++) {
        struct call *call = &play->calls[i];
        if (call->state != CALL_TOLD || call->connects_ms > play->now_ms)
            continue;
        const struct registration *met = lookup_queue_connected(
            play->queue, port_of(play, call), address_of(call->address), play->now_ms);
        if (play->prompt)
            ck_assert_ptr_eq(met, &play->nodes[call->node]);
        call->state = CALL_NONE;
        play->connections++;
        check_turns(play);
    }
}

static void disturb(struct play *play) {
    struct call *call = &play->calls[seeded_below(&play->random, CALLS)];
    if (call->state == CALL_WAITS) {
        lookup_queue_leave(&call->waiter);
        call->state = CALL_NONE;
    }
    if (seeded_chance(&play->random, 5))
        lookup_queue_forget(play->queue, &play->nodes[seeded_below(&play->random, NODES)],
                            play->now_ms);
    check_turns(play);
}

static void play_history(int round, bool prompt, unsigned calls_percent, int steps) {
    struct play *play = calloc(1, sizeof *play);
    ck_assert_ptr_nonnull(play);
    play->random = seeded_stream("lookup_queue");
    play->random.state += (uint64_t)round;
    play->prompt = prompt;
    play->queue = lookup_queue_new();
    for (size_t i = 0; i < NODES; i++)
        play->nodes[i].front_port = (uint16_t)(BASE + i % PORTS);
    for (int step = 0; step < steps; step++) {
        play->now_ms++;
        if (lookup_queue_deadline(play->queue) <= play->now_ms)
            lookup_queue_tick(play->queue, play->now_ms);
        check_turns(play);
        ck_assert_int_gt(lookup_queue_deadline(play->queue), play->now_ms);
        connect_those_whose_time_it_is(play);
        if (seeded_chance(&play->random, calls_percent))
            start(play);
        if (!prompt && seeded_chance(&play->random, 5))
            disturb(play);
        assert_numbers(play);
    }
    ck_assert_uint_gt(play->connections, 0);
    for (size_t i = 0; i < CALLS; i++)
        lookup_queue_leave(&play->calls[i].waiter);
    lookup_queue_free(play->queue);
    free(play);
}

START_TEST(no_connection_within_its_time_is_taken_for_anothers) {
    for (int round = 0; round < 10; round++)
        play_history(round, true, 5, 5000);
}
END_TEST

START_TEST(unruly_callers_get_order_time_and_number) {
    for (int round = 10; round < 20; round++)
        play_history(round, false, round % 2 == 0 ? 90 : 20, 5000);
}
END_TEST

void lookup_queue_model_add(TCase *tests) {
    tcase_add_test(tests, no_connection_within_its_time_is_taken_for_anothers);
    tcase_add_test(tests, unruly_callers_get_order_time_and_number);
}
