/* A daemon's control socket, as far as its clients can tell: a thread that answers lines. */
#ifndef PORTOLAN_TESTS_UNIT_LINE_SERVER_H
#define PORTOLAN_TESTS_UNIT_LINE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct line_server {
    const char *path;
    const char *format;      /* of an answer; its %u is the number of the request, from 1 */
    unsigned per_connection; /* closes after so many answers; 0: never */
    unsigned closes_first;   /* so many connections are closed without a word */
    unsigned deaf_ms;        /* nothing is accepted for so long */
    atomic_uint connections, requests;
    int listening_fd;
    pthread_t thread;
};

/* The members above `connections` are the caller's to set. */
void line_server_start(struct line_server *server);

/* After all clients have closed. */
void line_server_stop(struct line_server *server);

#endif
