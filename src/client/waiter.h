/*
 * The one descriptor of an operation: an epoll set with a timer in it and what the operation waits
 * for at the moment. So an event loop has one thing to wait on from start to end, deadlines
 * included, whatever sockets come and go behind it.
 */
#ifndef PORTOLAN_CLIENT_WAITER_H
#define PORTOLAN_CLIENT_WAITER_H

#include <stdint.h>

struct waiter {
    int epoll_fd, timer_fd;
    int watched_fd; /* borrowed; -1: none */
    uint32_t watched_for;
};

/* 0 or a negative errno; either way waiter_close may be called. */
int waiter_open(struct waiter *waiter);

/* Watches this descriptor, and no other, for EPOLLIN or EPOLLOUT. 0 or a negative errno. */
int waiter_watch(struct waiter *waiter, int fd, uint32_t events);

/* To be called before what is watched is closed. */
void waiter_forget(struct waiter *waiter);

/* Readable from then on (clock_monotonic_ms); 1: from now on. */
void waiter_wake_at(struct waiter *waiter, int64_t at_ms);

/* Leaves what another process shares with this one (fork) as it is. */
void waiter_close(struct waiter *waiter);

#endif
