/*
 * A server in a thread that answers every connection with the same bytes, well or badly. It never
 * understands what it is asked.
 */
#ifndef PORTOLAN_TESTS_UNIT_FAKE_SERVER_H
#define PORTOLAN_TESTS_UNIT_FAKE_SERVER_H

#include "base/bytes.h"

#include <pthread.h>
#include <stdatomic.h>

enum fake_end {
    FAKE_CLOSES,
    FAKE_HOLDS,   /* until the client closes */
    FAKE_REPEATS, /* the last `tail` bytes of the answer, until the client closes */
    FAKE_RESETS,
};

struct fake_script {
    struct bytes answer;    /* borrowed */
    unsigned byte_delay_us; /* 0: all at once; else byte by byte */
    enum fake_end end;
    size_t tail;
    const char *path; /* a Unix socket here; NULL: 127.0.0.1 */
};

struct fake_server {
    struct fake_script script;
    uint16_t port;
    atomic_uint connections; /* accepted so far */
    uint8_t request[4096];   /* the last one, once the server was stopped */
    size_t request_len;
    int listening_fd;
    pthread_t thread;
};

void fake_server_start(struct fake_server *server, struct fake_script script);

/* After all clients have closed. */
void fake_server_stop(struct fake_server *server);

/* A port of 127.0.0.1 on which nobody listens; one that listens and accepts nothing any more. */
uint16_t fake_closed_port(void);
uint16_t fake_deaf_port(void);

#endif
