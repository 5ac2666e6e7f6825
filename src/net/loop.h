/* Small helpers for whoever has events and descriptors in the event loop. */
#ifndef PORTOLAN_NET_LOOP_H
#define PORTOLAN_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

struct event;

/* As libevent takes it; negative times count as 0. */
struct timeval loop_timeval(int64_t ms);

/* Lets the event come in so many milliseconds, whenever it was to come before. False when out of
 * memory. */
bool loop_set_timer(struct event *event, int64_t ms);

/* NULL is fine. */
void loop_free_event(struct event *event);

/* A descriptor that keeps a place, to be closed when all others are taken. -1: none was left. */
int loop_open_reserve(void);

/* accept4 and socket fail so when this process or the system has no descriptor left. */
bool loop_is_out_of_descriptors(int error);

#endif
