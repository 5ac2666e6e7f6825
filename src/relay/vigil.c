#include "relay/vigil.h"

#include "base/clock.h"

#include <event2/event.h>
#include <sched.h>

static const struct timeval AT_ONCE = {0, 0};

static bool has_several_cpus(void) {
    cpu_set_t cpus;
    /* it fails where there are more than a set can name */
    return sched_getaffinity(0, sizeof cpus, &cpus) < 0 || CPU_COUNT(&cpus) > 1;
}

static void look_again(evutil_socket_t fd, short what, void *context) {
    struct proxy_vigil *vigil = context;
    (void)fd;
    (void)what;
    sched_yield(); /* whoever has work to do goes first */
    vigil->awake =
        clock_monotonic_us() - vigil->last_us < VIGIL_US && event_add(&vigil->event, &AT_ONCE) == 0;
}

void proxy_vigil_init(struct proxy_vigil *vigil, struct event_base *base) {
    *vigil = (struct proxy_vigil){.possible = has_several_cpus()};
    event_assign(&vigil->event, base, -1, 0, look_again, vigil);
}

void proxy_vigil_passed(struct proxy_vigil *vigil) {
    if (!vigil->possible)
        return;
    const int64_t now_us = clock_monotonic_us();
    if (now_us - vigil->last_us >= VIGIL_US)
        vigil->run = 0;
    else if (vigil->run < VIGIL_RUN)
        vigil->run++;
    vigil->last_us = now_us;
    if (vigil->run == VIGIL_RUN && !vigil->awake)
        vigil->awake = event_add(&vigil->event, &AT_ONCE) == 0;
}

void proxy_vigil_end(struct proxy_vigil *vigil) {
    if (vigil->awake)
        event_del(&vigil->event);
    vigil->awake = false;
}
