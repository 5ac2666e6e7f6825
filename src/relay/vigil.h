/*
 * Staying awake between messages. A round trip through the proxy costs two messages, and falling
 * asleep and being woken for each is a good part of what they cost. So, while message follows
 * message within VIGIL_US, the event loop looks for the next one without sleeping, for as long.
 *
 * Only a run of VIGIL_RUN such messages begins it: a call and its answer now and then do not. It
 * ends by itself, and then nothing is left that would wake the daemon. Meanwhile the loop serves
 * everyone, as always, and other processes that have work to do go first. With one CPU it never
 * begins.
 */
#ifndef PORTOLAN_RELAY_VIGIL_H
#define PORTOLAN_RELAY_VIGIL_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#define VIGIL_US 100
#define VIGIL_RUN 32

struct event_base;

struct proxy_vigil {
    struct event event; /* due at once, again and again, while it is awake */
    bool possible, awake;
    unsigned run;    /* messages, up to VIGIL_RUN */
    int64_t last_us; /* when the last one was passed on */
};

/* `base` is borrowed. */
void proxy_vigil_init(struct proxy_vigil *vigil, struct event_base *base);

/* A message was passed on, and there is none left. */
void proxy_vigil_passed(struct proxy_vigil *vigil);

void proxy_vigil_end(struct proxy_vigil *vigil);

#endif
