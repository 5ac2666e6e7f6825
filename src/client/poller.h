/*
 * What an operation waits for: one descriptor at most, and a time.
 *
 * For an event loop both stand behind one descriptor that stays the same from start to end: an
 * epoll set with a timer in it. So a loop has one thing to wait on, deadlines included, whatever
 * sockets come and go behind it. A call that blocks needs neither set nor timer: its poller is
 * never opened, and waits with poll.
 *
 * Edge-triggered loops: each change of what is watched, and each poller_wake_at, is an edge as soon
 * as there is something to do.
 */
#ifndef PORTOLAN_CLIENT_POLLER_H
#define PORTOLAN_CLIENT_POLLER_H

#include <stdint.h>

struct poller {
    int epoll_fd, timer_fd; /* -1: not opened */
    int watched_fd;         /* borrowed; -1: none */
    uint32_t watched_for;
    int64_t wake_at_ms; /* 0: never */
};

/* Closed, watching nothing. */
void poller_init(struct poller *poller);

/* Makes the descriptor for an event loop. 0 or a negative errno; either way poller_close may be
 * called. */
int poller_open(struct poller *poller);

/* Watches this descriptor, and no other, for EPOLLIN or EPOLLOUT. 0 or a negative errno. */
int poller_watch(struct poller *poller, int fd, uint32_t events);

/* To be called before what is watched is closed. */
void poller_forget(struct poller *poller);

/* Readable from then on (clock_monotonic_ms); 1: from now on. 0 or a negative errno. */
int poller_wake_at(struct poller *poller, int64_t at_ms);

/* Blocks until there is something to do; of a poller that was not opened. 0, also when a signal
 * came, or a negative errno: then it did not wait. */
int poller_wait(const struct poller *poller);

/* Leaves what another process shares with this one (fork) as it is. */
void poller_close(struct poller *poller);

#endif
