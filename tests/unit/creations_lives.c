/*
 * No two lives of a name share a creation, whatever happens: random histories of registrations,
 * saves and crashes. The clock stands still over a crash, which is the hardest case, or jumps, but
 * stays within the 38 hours in which its ticks come round.
 */
#include "assertions.h"
#include "erlang/epmd_wire.h"
#include "saved_creations.h"
#include "seeded.h"

#include <stdio.h>
#include <stdlib.h>

#define OLD_VERSION (EPMD_WIDE_CREATION_VERSION - 1)
#define OLDER_NAMES 30
#define GIVEN_MAX (1 << 18)
#define A_RESTART 4 /* ticks; the shortest */

struct history {
    struct seeded random;
    int64_t clock; /* in ticks */
    struct creations *creations;
    unsigned unsaved_for; /* registrations since the last save that was called for */
    uint32_t last_old[OLDER_NAMES];
    size_t given;
};

static struct saved_creations saved;
static uint32_t given[GIVEN_MAX]; /* all 32-bit creations of a history */

static void start_daemon(struct history *history) {
    history->creations = creations_at(history->clock);
    if (saved.len > 0)
        ck_assert(saved_creations_restore(&saved, history->creations));
    saved_creations_take(&saved, history->creations);
    history->unsaved_for = 0;
}

static void crash(struct history *history) {
    creations_free(history->creations);
    start_daemon(history);
}

/* What a daemon does after a registration; a slow one comes to it only after `delay` more. */
static void save_if_wanted(struct history *history, unsigned delay) {
    if (!creations_unsaved(history->creations) || history->unsaved_for++ < delay)
        return;
    saved_creations_take(&saved, history->creations);
    history->unsaved_for = 0;
}

/* Called millions of times: an assertion of check's that holds costs more than all the rest. */
static void register_wide(struct history *history) {
    uint32_t creation =
        creations_next(history->creations, LITERAL("new"), EPMD_WIDE_CREATION_VERSION);
    if (creation < 4 || history->given == GIVEN_MAX)
        ck_abort_msg("creation %u, given before %zu", creation, history->given);
    given[history->given++] = creation;
}

static void register_old(struct history *history) {
    char name[16];
    size_t which = seeded_below(&history->random, OLDER_NAMES);
    snprintf(name, sizeof name, "old%zu", which);
    uint32_t creation = creations_next(history->creations, bytes_of_text(name), OLD_VERSION);
    ck_assert_uint_ge(creation, 1);
    ck_assert_uint_le(creation, 3);
    ck_assert_uint_ne(creation, history->last_old[which]);
    history->last_old[which] = creation;
}

static int by_value(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

static void assert_none_given_twice(size_t count) {
    qsort(given, count, sizeof given[0], by_value);
    for (size_t i = 1; i < count; i++) {
        if (given[i] == given[i - 1])
            ck_abort_msg("%u was given twice", given[i]);
    }
}

static struct history begin_history(const char *name, int round, int64_t clock) {
    struct history history = {.random = seeded_stream(name), .clock = clock};
    history.random.state += (uint64_t)round;
    saved.len = 0;
    start_daemon(&history);
    return history;
}

static void end_history(struct history *history) {
    ck_assert_ptr_null(creations_check(history->creations));
    creations_free(history->creations);
    assert_none_given_twice(history->given);
}

/* A mixed population, and a daemon that saves as soon as it should. */
static void play_prompt_saves(int round, int64_t clock) {
    struct history history = begin_history("prompt saves", round, clock);
    for (int step = 0; step < 400; step++) {
        size_t burst =
            1 + seeded_below(&history.random, seeded_chance(&history.random, 5) ? 900 : 9);
        bool old = seeded_chance(&history.random, 40);
        for (size_t i = 0; i < (old ? burst % 20 : burst); i++) {
            if (old)
                register_old(&history);
            else
                register_wide(&history);
            save_if_wanted(&history, 0);
        }
        if (seeded_chance(&history.random, 10))
            crash(&history);
        if (seeded_chance(&history.random, 2))
            history.clock += (int64_t)seeded_below(&history.random, 10);
    }
    end_history(&history);
}

/* New nodes only, and a daemon whose saves come late, or are under way when it dies. */
static void play_late_saves(int round, int64_t clock) {
    struct history history = begin_history("late saves", round, clock);
    unsigned delay = (unsigned)seeded_below(&history.random, CREATIONS_BLOCK / 4);
    for (int step = 0; step < 60; step++) {
        size_t burst = seeded_below(&history.random, 2000);
        for (size_t i = 0; i < burst; i++) {
            register_wide(&history);
            save_if_wanted(&history, delay);
        }
        if (seeded_chance(&history.random, 30))
            crash(&history);
    }
    end_history(&history);
}

/* The state survives, the clock does not: it stands anywhere in the day before `latest`. */
static void play_clock_jumps(int round, int64_t latest) {
    const size_t day = (size_t)24 * 3600 * 1000000 / CREATIONS_TICK_US;
    struct history history = begin_history("clock jumps", round, latest);
    for (int step = 0; step < 200; step++) {
        size_t burst = seeded_below(&history.random, 20);
        for (size_t i = 0; i < burst; i++) {
            register_wide(&history);
            save_if_wanted(&history, 0);
        }
        /* often back to where numbers have been given before */
        if (seeded_chance(&history.random, 30))
            history.clock = latest - (int64_t)(day / 4 * seeded_below(&history.random, 5));
        crash(&history);
    }
    end_history(&history);
}

/* Nothing can be saved: the time that the registrations took keeps the lives apart. */
static void play_without_state(int round, int64_t clock) {
    struct history history = begin_history("no state", round, clock);
    for (int step = 0; step < 200; step++) {
        size_t burst = seeded_below(&history.random, 500);
        for (size_t i = 0; i < burst; i++)
            register_wide(&history);
        history.clock += (int64_t)(burst + A_RESTART + seeded_below(&history.random, 3));
        saved.len = 0;
        crash(&history);
    }
    end_history(&history);
}

#define SOME_CLOCK INT64_C(1772360430)
#define CLOCK_START (INT64_C(1) << 32) /* the ticks come round to 0 */

START_TEST(no_creation_repeats_over_crashes) {
    for (int round = 0; round < 20; round++) {
        play_prompt_saves(round, SOME_CLOCK);
        play_prompt_saves(round, 0);
    }
}
END_TEST

START_TEST(no_creation_repeats_though_saves_come_late) {
    for (int round = 0; round < 20; round++)
        play_late_saves(round, SOME_CLOCK);
}
END_TEST

START_TEST(no_creation_repeats_where_the_counter_starts_over) {
    for (int round = 0; round < 20; round++) {
        play_prompt_saves(round, CLOCK_START - 1 - 100 * round);
        play_late_saves(round, CLOCK_START - 1 - 1000 * round);
        play_without_state(round, CLOCK_START - 1 - 1000 * round);
    }
}
END_TEST

START_TEST(no_creation_repeats_just_after_the_counter_started_over) {
    for (int round = 0; round < 20; round++) {
        play_prompt_saves(round, CLOCK_START + round);
        play_late_saves(round, CLOCK_START + round);
    }
}
END_TEST

START_TEST(no_creation_repeats_though_nothing_is_saved) {
    for (int round = 0; round < 20; round++)
        play_without_state(round, SOME_CLOCK);
}
END_TEST

START_TEST(no_creation_repeats_though_the_clock_is_set_back) {
    for (int round = 0; round < 20; round++)
        play_clock_jumps(round, 13000 * CLOCK_START + SOME_CLOCK);
}
END_TEST

void creations_lives_add(TCase *tests) {
    tcase_add_test(tests, no_creation_repeats_over_crashes);
    tcase_add_test(tests, no_creation_repeats_though_saves_come_late);
    tcase_add_test(tests, no_creation_repeats_where_the_counter_starts_over);
    tcase_add_test(tests, no_creation_repeats_just_after_the_counter_started_over);
    tcase_add_test(tests, no_creation_repeats_though_nothing_is_saved);
    tcase_add_test(tests, no_creation_repeats_though_the_clock_is_set_back);
}
