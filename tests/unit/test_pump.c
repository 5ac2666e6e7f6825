#include "relay/pump.h"

#include "base/clock.h"
#include "failing_allocation.h"
#include "seeded.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PIECE_MAX 200000
#define WHOLE (3 * 1024 * 1024)
#define PIPE_MAX (1024 * 1024)
#define KERNEL_MAX (2 * 1024 * 1024) /* what two Unix sockets may hold */

/* near -> pump.from, pump.to -> far */
static struct event_base *base;
static struct relay_shared *store;
static struct relay_pump pump;
static int near, far, ends[2];
static unsigned ended, broke;
static size_t wrote, got;
static struct seeded chance;
static int descriptors_before;

/* What is written is the same 251 bytes again and again. */
#define PERIOD 251
static uint8_t pattern[PIECE_MAX + PERIOD];

static void on_changed(void *context, bool broken) {
    ck_assert_ptr_eq(context, &pump);
    if (broken) {
        broke++;
        relay_pump_stop(&pump);
    } else {
        ended++;
    }
}

static void join(void (*pair)(int ends[2])) {
    int in[2], out[2];
    pair(in);
    pair(out);
    near = in[0];
    ends[0] = in[1];
    ends[1] = out[0];
    far = out[1];
    relay_pump_init(&pump, store, ends[0], ends[1], on_changed, &pump);
    ended = broke = 0;
    wrote = got = 0;
}

static void begin(void) {
    base = event_base_new();
    store = calloc(1, sizeof *store);
    ck_assert(base != NULL && store != NULL);
    store->base = base;
    signal(SIGPIPE, SIG_IGN); /* as the daemon does: splice has no MSG_NOSIGNAL */
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i % PERIOD);
    chance = seeded_stream("pump");
    descriptors_before = sockets_count_descriptors();
    join(sockets_pair);
}

static void leave(void) {
    relay_pump_stop(&pump);
    close(ends[0]);
    close(ends[1]);
    if (near >= 0)
        close(near);
    if (far >= 0)
        close(far);
}

static void end(void) {
    leave();
    relay_shared_clear(store);
    ck_assert_int_eq(sockets_count_descriptors(), descriptors_before);
    free(store);
    event_base_free(base);
}

static size_t write_some(size_t len) {
    size_t sent = sockets_send(near, pattern + wrote % PERIOD, len);
    wrote += sent;
    return sent;
}

/* False at the end of the stream. */
static bool read_some(size_t size) {
    static uint8_t piece[PIECE_MAX];
    ssize_t len = sockets_read(far, piece, size);
    if (len > 0)
        ck_assert_int_eq(memcmp(piece, pattern + got % PERIOD, (size_t)len), 0);
    got += len > 0 ? (size_t)len : 0;
    return len >= 0;
}

static size_t some_size(void) {
    return 1 + seeded_below(&chance, seeded_chance(&chance, 50) ? PIECE_MAX : 400);
}

static bool holds_nothing(void) {
    return pump.pipe.out < 0 && pump.pipe.in < 0 && pump.piped == 0 && pump.pending == NULL;
}

static bool is_idle(void) {
    event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 1);
    event_base_loop(base, EVLOOP_NONBLOCK);
    return event_base_get_max_events(base, EVENT_BASE_COUNT_ACTIVE, 1) == 0;
}

/* Writes and reads pieces of all sizes until the whole has come, and the end with it. */
static void play_whole(void) {
    bool open = true;
    ck_assert(relay_pump_start(&pump));
    int64_t until = clock_monotonic_ms() + SOCKETS_DEADLINE_MS;
    while (open) {
        ck_assert_int_lt(clock_monotonic_ms(), until);
        if (wrote < WHOLE && seeded_chance(&chance, 60))
            write_some(some_size());
        if (wrote >= WHOLE && near >= 0) {
            close(near);
            near = -1;
        }
        event_base_loop(base, EVLOOP_NONBLOCK);
        if (seeded_chance(&chance, 60))
            open = read_some(some_size());
    }
    ck_assert_uint_eq(got, wrote);
    ck_assert_uint_eq(pump.moved, wrote);
    ck_assert_int_eq(pump.state, PUMP_ENDED);
    ck_assert(ended == 1 && broke == 0);
    ck_assert(holds_nothing());
}

START_TEST(bytes_come_whole_and_in_order) {
    store->copies = (_i & 1) != 0;
    leave();
    join((_i & 2) != 0 ? sockets_pair : sockets_tcp_pair);
    play_whole();
    ck_assert(store->copies ? store->pipe_count == 0 : store->pipe_count == 1);
}
END_TEST

/* Fills it until nothing moves any more. */
static void fill(void) {
    ck_assert(relay_pump_start(&pump));
    turn_until(base, write_some(PIECE_MAX) == 0 && is_idle() && write_some(1) == 0);
    ck_assert_int_eq(pump.state, PUMP_WRITING);
}

START_TEST(a_reader_that_does_not_read_stops_the_writer) {
    store->copies = _i == 1;
    fill();
    ck_assert_uint_le(wrote, KERNEL_MAX + PIPE_MAX + RELAY_SCRATCH_SIZE);
    ck_assert_uint_le(pump.pending_len, RELAY_SCRATCH_SIZE);
    ck_assert_uint_le(pump.piped, PIPE_MAX);
    ck_assert(!store->copies || pump.piped == 0);

    turn_until(base, (read_some(PIECE_MAX), got == wrote));
    ck_assert(holds_nothing());
    ck_assert_int_eq(pump.state, PUMP_READING);
    ck_assert_uint_eq(write_some(10), 10);
    turn_until(base, (read_some(PIECE_MAX), got == wrote));
}
END_TEST

START_TEST(what_is_held_at_the_writers_end_is_passed_on_before_the_end) {
    store->copies = _i == 1;
    fill();
    close(near);
    near = -1;
    ck_assert(is_idle());
    ck_assert_uint_eq(ended, 0);

    turn_until(base, !read_some(PIECE_MAX));
    ck_assert_uint_eq(got, wrote);
    ck_assert(ended == 1 && broke == 0);
    ck_assert(is_idle());
}
END_TEST

START_TEST(what_was_read_before_goes_first) {
    uint8_t first[300];
    memcpy(first, pattern, sizeof first);
    ck_assert(relay_pump_prepend(&pump, bytes_of(first, sizeof first)));
    wrote = sizeof first;
    write_some(100);
    ck_assert_int_eq(pump.state, PUMP_STOPPED);

    ck_assert(relay_pump_start(&pump));
    turn_until(base, (read_some(PIECE_MAX), got == 400));
    ck_assert(holds_nothing());
}
END_TEST

START_TEST(small_messages_take_no_pipe) {
    ck_assert(relay_pump_start(&pump));
    for (int i = 0; i < 50; i++) {
        write_some(1 + seeded_below(&chance, 4000));
        turn_until(base, (read_some(PIECE_MAX), got == wrote));
        ck_assert(holds_nothing());
    }
    ck_assert_uint_eq(store->pipe_count, 0);
    ck_assert(is_idle());
}
END_TEST

START_TEST(after_a_transfer_an_idle_pump_holds_nothing) {
    store->copies = _i == 1;
    ck_assert(relay_pump_start(&pump));
    for (int i = 0; i < 3; i++) {
        for (size_t target = wrote + WHOLE; wrote < target;) {
            write_some(PIECE_MAX);
            event_base_loop(base, EVLOOP_NONBLOCK);
            read_some(PIECE_MAX);
        }
        turn_until(base, (read_some(PIECE_MAX), got == wrote));
        ck_assert(is_idle());
        ck_assert(holds_nothing());
        ck_assert_int_eq(pump.state, PUMP_READING);
    }
    ck_assert_uint_le(store->pipe_count, 1);
}
END_TEST

START_TEST(a_reader_that_is_gone_breaks_the_pump) {
    store->copies = (_i & 1) != 0;
    if ((_i & 2) != 0)
        fill();
    else
        ck_assert(relay_pump_start(&pump));
    close(far);
    far = -1;
    write_some(100);
    turn_until(base, broke == 1);
    ck_assert_uint_eq(ended, 0);
    ck_assert(holds_nothing());
    ck_assert(is_idle());
}
END_TEST

START_TEST(a_writer_that_resets_breaks_the_pump) {
    leave();
    join(sockets_tcp_pair);
    ck_assert(relay_pump_start(&pump));
    sockets_reset(near);
    near = -1;
    turn_until(base, broke == 1);
    ck_assert_uint_eq(ended, 0);
}
END_TEST

START_TEST(a_pump_that_is_stopped_while_it_holds_bytes_drops_them) {
    store->copies = _i == 1;
    fill();
    relay_pump_stop(&pump);
    ck_assert(holds_nothing());
    ck_assert_int_eq(pump.state, PUMP_ENDED);
    /* a pipe with bytes in it is nobody else's */
    ck_assert_uint_eq(store->pipe_count, 0);
    relay_pump_stop(&pump);
    ck_assert(is_idle());
    ck_assert(ended == 0 && broke == 0);
}
END_TEST

START_TEST(where_no_pipe_can_be_had_bytes_are_copied) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 1, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    play_whole();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(store->pipe_count, 0);
    ck_assert(!store->copies);
}
END_TEST

START_TEST(one_pipe_serves_one_transfer_after_another) {
    play_whole();
    ck_assert_uint_eq(store->pipe_count, 1);
    int first = store->pipes[0].out;
    leave();
    join(sockets_pair);
    play_whole();
    ck_assert_uint_eq(store->pipe_count, 1);
    ck_assert_int_eq(store->pipes[0].out, first);
}
END_TEST

#define MANY (RELAY_PIPES_MAX + 4)

START_TEST(the_pipes_that_wait_are_bounded) {
    static struct relay_pump pumps[MANY];
    static uint8_t piece[PIECE_MAX];
    int in[MANY][2], out[MANY][2];
    for (size_t i = 0; i < MANY; i++) {
        sockets_pair(in[i]);
        sockets_pair(out[i]);
        relay_pump_init(&pumps[i], store, in[i][1], out[i][0], on_changed, &pump);
        ck_assert(relay_pump_start(&pumps[i]));
        turn_until(base, sockets_send(in[i][0], piece, sizeof piece) == 0 && is_idle());
        ck_assert_int_ge(pumps[i].pipe.out, 0);
    }
    ck_assert_uint_eq(store->pipe_count, 0);

    for (size_t i = 0; i < MANY; i++) {
        turn_until(base, (sockets_read(out[i][1], piece, sizeof piece), pumps[i].pipe.out < 0));
        ck_assert_uint_eq(store->pipe_count, i < RELAY_PIPES_MAX ? i + 1 : RELAY_PIPES_MAX);
    }
    for (size_t i = 0; i < MANY; i++) {
        relay_pump_stop(&pumps[i]);
        for (int side = 0; side < 2; side++) {
            close(in[i][side]);
            close(out[i][side]);
        }
    }
}
END_TEST

START_TEST(without_memory_for_what_is_not_taken_the_pump_breaks) {
    store->copies = true;
    ck_assert(relay_pump_start(&pump));
    int64_t until = clock_monotonic_ms() + SOCKETS_DEADLINE_MS;
    while (broke == 0) {
        ck_assert_int_lt(clock_monotonic_ms(), until);
        write_some(PIECE_MAX);
        fail_nth_allocation(1);
        event_base_loop(base, EVLOOP_NONBLOCK);
        ck_assert_uint_eq(broke, allocation_failed() ? 1 : 0);
    }
    ck_assert(holds_nothing());

    relay_pump_init(&pump, store, ends[0], ends[1], on_changed, &pump);
    fail_nth_allocation(1);
    bool pending = relay_pump_prepend(&pump, bytes_of_text("first"));
    ck_assert(allocation_failed());
    ck_assert(!pending);
}
END_TEST

Suite *pump_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("pump", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, bytes_come_whole_and_in_order, 0, 4);
    tcase_add_loop_test(tests, a_reader_that_does_not_read_stops_the_writer, 0, 2);
    tcase_add_loop_test(tests, what_is_held_at_the_writers_end_is_passed_on_before_the_end, 0, 2);
    tcase_add_test(tests, what_was_read_before_goes_first);
    tcase_add_test(tests, small_messages_take_no_pipe);
    tcase_add_loop_test(tests, after_a_transfer_an_idle_pump_holds_nothing, 0, 2);
    tcase_add_loop_test(tests, a_reader_that_is_gone_breaks_the_pump, 0, 4);
    tcase_add_test(tests, a_writer_that_resets_breaks_the_pump);
    tcase_add_loop_test(tests, a_pump_that_is_stopped_while_it_holds_bytes_drops_them, 0, 2);
    tcase_add_test(tests, where_no_pipe_can_be_had_bytes_are_copied);
    tcase_add_test(tests, one_pipe_serves_one_transfer_after_another);
    tcase_add_test(tests, the_pipes_that_wait_are_bounded);
    tcase_add_test(tests, without_memory_for_what_is_not_taken_the_pump_breaks);
    return suite;
}
