#include "relay/busy_poll.h"

#include "base/clock.h"

#include <event2/event.h>
#include <sched.h>

static const struct timeval AT_ONCE = {0, 0};

static bool has_several_cpus(void) {
    cpu_set_t cpus;
    /* it fails where there are more than a set can name */
    return sched_getaffinity(0, sizeof cpus, &cpus) < 0 || CPU_COUNT(&cpus) > 1;
}

static void poll_again(evutil_socket_t fd, short what, void *context) {
    struct busy_poll *busy_poll = context;
    (void)fd;
    (void)what;
    sched_yield(); /* whoever has work to do goes first */
    busy_poll->polling = clock_monotonic_us() - busy_poll->last_us < BUSY_POLL_US &&
                         event_add(&busy_poll->event, &AT_ONCE) == 0;
}

void busy_poll_init(struct busy_poll *busy_poll, struct event_base *base) {
    *busy_poll = (struct busy_poll){.possible = has_several_cpus()};
    event_assign(&busy_poll->event, base, -1, 0, poll_again, busy_poll);
}

void busy_poll_passed(struct busy_poll *busy_poll) {
    if (!busy_poll->possible)
        return;
    const int64_t now_us = clock_monotonic_us();
    if (now_us - busy_poll->last_us >= BUSY_POLL_US)
        busy_poll->run = 0;
    else if (busy_poll->run < BUSY_POLL_RUN)
        busy_poll->run++;
    busy_poll->last_us = now_us;
    if (busy_poll->run == BUSY_POLL_RUN && !busy_poll->polling)
        busy_poll->polling = event_add(&busy_poll->event, &AT_ONCE) == 0;
}

void busy_poll_end(struct busy_poll *busy_poll) {
    if (busy_poll->polling)
        event_del(&busy_poll->event);
    busy_poll->polling = false;
}
