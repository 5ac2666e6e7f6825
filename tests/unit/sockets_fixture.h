/* Sockets and an event loop for tests of what moves bytes. Nothing here waits without an end. */
#ifndef PORTOLAN_TESTS_UNIT_SOCKETS_FIXTURE_H
#define PORTOLAN_TESTS_UNIT_SOCKETS_FIXTURE_H

#include "net/address.h"

#include <event2/event.h>

#define SOCKETS_DEADLINE_MS 20000

/* Turns the loop until this holds; fails the test at the deadline. */
#define turn_until(base, condition)                                                                \
    do {                                                                                           \
        int64_t until_ = clock_monotonic_ms() + SOCKETS_DEADLINE_MS;                               \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_monotonic_ms() < until_, "never came: %s", #condition);            \
            sockets_turn(base);                                                                    \
        }                                                                                          \
    } while (0)

/* One turn of the loop: a millisecond at most when there is nothing to do. */
void sockets_turn(struct event_base *base);

/* Connected to each other, non-blocking: of the Unix family, and of TCP on 127.0.0.1. */
void sockets_pair(int ends[2]);
void sockets_tcp_pair(int ends[2]);

/* Listens at this address ("127.0.0.1", "::1"); -1 where the host has none. 0 for any port. */
int sockets_listen(const char *text, uint16_t *port);
int sockets_accept(int listening_fd);
int sockets_connect(uint16_t port);

struct address sockets_own_address(int fd);

/* Sends what goes at once, reads what is there; 0 for none, -1 at the end or when it is broken. */
size_t sockets_send(int fd, const void *data, size_t len);
ssize_t sockets_read(int fd, void *data, size_t size);

/* The peer sees a reset. */
void sockets_reset(int fd);

int sockets_count_descriptors(void);

/* Those of them that a program which this process starts would get. */
int sockets_count_inherited(void);

#endif
