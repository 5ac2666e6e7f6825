#include "loop/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <time.h>

struct timeval loop_timeval(int64_t ms) {
    int64_t rest_ms = ms < 0 ? 0 : ms;
    return (struct timeval){.tv_sec = (time_t)(rest_ms / 1000),
                            .tv_usec = (suseconds_t)(rest_ms % 1000 * 1000)};
}

bool loop_set_timer(struct event *event, int64_t ms) {
    const struct timeval time = loop_timeval(ms);
    return event_add(event, &time) == 0;
}

/* What is active already needs no memory. */
void loop_set_timer_or_now(struct event *event, int64_t ms) {
    if (!loop_set_timer(event, ms))
        event_active(event, EV_TIMEOUT, 0);
}

void loop_free_event(struct event *event) {
    if (event != NULL)
        event_free(event);
}

int loop_open_reserve(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool loop_is_out_of_descriptors(int error) {
    return error == EMFILE || error == ENFILE;
}

static int64_t processor_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void count_turn(struct loop_turns *turns, int64_t took_us) {
    if (took_us > turns->longest_us)
        turns->longest_us = took_us;
    if (took_us > LOOP_LONG_TURN_US)
        turns->long_turns++;
}

bool loop_run(struct event_base *base, struct loop_turns *turns) {
    int64_t counted_us = clock_monotonic_us(), used_us = processor_us();
    int result;
    turns->budget.limit_us = TURN_BUDGET_US;
    do {
        result = event_base_loop(base, EVLOOP_ONCE);
        turn_budget_renew(&turns->budget);
        int64_t now_us = clock_monotonic_us();
        if (now_us - counted_us < LOOP_TURN_COUNTED_US)
            continue;
        int64_t now_used_us = processor_us();
        count_turn(turns, now_used_us - used_us);
        counted_us = now_us;
        used_us = now_used_us;
    } while (result == 0 && !event_base_got_exit(base) && !event_base_got_break(base));
    return result >= 0; /* 1: nothing is left to wait for */
}
