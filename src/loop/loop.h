/* Small helpers for whoever has events and descriptors in the event loop. */
#ifndef PORTOLAN_LOOP_LOOP_H
#define PORTOLAN_LOOP_LOOP_H

#include "base/turn_budget.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

struct event;
struct event_base;

/*
 * How long the turns of a loop take: what is done between two waits, in processor time of this
 * thread, for on a busy machine the clock on the wall says more of others. A turn shorter than
 * LOOP_TURN_COUNTED_US may be counted to the one behind it: then no clock of the kernel is asked
 * for each, and the figure is too high by that at most.
 */
#define LOOP_LONG_TURN_US 10000
#define LOOP_TURN_COUNTED_US 1000
struct loop_turns {
    int64_t longest_us;
    uint64_t long_turns;       /* of more than LOOP_LONG_TURN_US */
    struct turn_budget budget; /* of the turn under way, for all who ask for it */
};

/* Runs the loop until it is told to end. False when it cannot. */
bool loop_run(struct event_base *base, struct loop_turns *turns);

/* As libevent takes it; negative times count as 0. */
struct timeval loop_timeval(int64_t ms);

/* Lets the event come in so many milliseconds, whenever it was to come before. False when out of
 * memory. */
bool loop_set_timer(struct event *event, int64_t ms) __attribute__((warn_unused_result));

/* The same for an event that may come early: out of memory it comes at once. */
void loop_set_timer_or_now(struct event *event, int64_t ms);

/* NULL is fine. */
void loop_free_event(struct event *event);

/* A descriptor that keeps a place, to be closed when all others are taken. -1: none was left. */
int loop_open_reserve(void);

/* accept4 and socket fail so when this process or the system has no descriptor left. */
bool loop_is_out_of_descriptors(int error);

#endif
