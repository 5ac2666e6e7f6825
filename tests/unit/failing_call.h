/*
 * System calls that fail when a test wants them to. The test program is linked with
 * -Wl,--wrap=NAME for each. What fails is a call of the thread that asked for it; others go on.
 */
#ifndef PORTOLAN_TESTS_UNIT_FAILING_CALL_H
#define PORTOLAN_TESTS_UNIT_FAILING_CALL_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

enum failing_call {
    CALL_SOCKET,
    CALL_CONNECT,
    CALL_SEND,
    CALL_RECV,
    CALL_POLL,
    CALL_EPOLL_CREATE,
    CALL_EPOLL_CTL,
    CALL_TIMERFD_CREATE,
    CALL_TIMERFD_SETTIME,
    CALL_EVENTFD,
    CALL_PTHREAD_CREATE,
    FAILING_CALLS,
};

/* 1: the next one, with this errno. Several kinds of call may be planned to fail. */
void fail_nth_call(enum failing_call call, unsigned n, int error);

/* Whether all came to that; all succeed from here on. */
bool call_failed(void);

/* In place of getaddrinfo, in all threads; NULL: the real one. */
typedef int address_finder(const char *host, struct addrinfo **found);
void find_addresses_by(address_finder *finder);

/* What the wall clock shows to all threads until the next call; negative: the time. */
void set_wall_clock(int64_t ms);

#endif
