/*
 * Busy polling between messages. A round trip through the proxy costs two messages, and falling
 * asleep and being woken for each is a good part of what they cost. So, while message follows
 * message within BUSY_POLL_US, the event loop looks for the next one without sleeping, for as long.
 *
 * Only a run of BUSY_POLL_RUN such messages begins it: a call and its answer now and then do not.
 * It ends by itself, and then nothing is left that would wake the daemon. Meanwhile the loop serves
 * everyone, as always, and other processes that have work to do go first. With one CPU it never
 * begins.
 */
#ifndef PORTOLAN_RELAY_BUSY_POLL_H
#define PORTOLAN_RELAY_BUSY_POLL_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#define BUSY_POLL_US 100
#define BUSY_POLL_RUN 32

struct event_base;

struct busy_poll {
    struct event event; /* due at once, again and again, while it is polling */
    bool possible, polling;
    unsigned run;    /* messages, up to BUSY_POLL_RUN */
    int64_t last_us; /* when the last one was passed on */
};

/* `base` is borrowed. */
void busy_poll_init(struct busy_poll *busy_poll, struct event_base *base);

/* A message was passed on, and there is none left. */
void busy_poll_passed(struct busy_poll *busy_poll);

void busy_poll_end(struct busy_poll *busy_poll);

#endif
