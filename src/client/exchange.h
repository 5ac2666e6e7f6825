/*
 * One request and its answer over one stream socket, without blocking.
 *
 *   connecting  ->  sending  ->  receiving  ->  (the owner has seen enough)
 *
 * The exchange owns its socket and the bytes of the answer; the request is borrowed. It does not
 * know what it carries: the owner looks at the answer after each EXCHANGE_RECEIVED, and steps until
 * EXCHANGE_WAIT: only then has all been read that is there, and a new event will come for more.
 */
#ifndef PORTOLAN_CLIENT_EXCHANGE_H
#define PORTOLAN_CLIENT_EXCHANGE_H

#include "base/bytes.h"

#include <sys/socket.h>

enum exchange_state { EXCHANGE_IDLE, EXCHANGE_CONNECTING, EXCHANGE_SENDING, EXCHANGE_RECEIVING };

struct exchange {
    enum exchange_state state;
    int fd;    /* -1 while idle */
    int error; /* errno of EXCHANGE_FAILED */
    struct bytes request;
    bool half_closes; /* its side with the request, in one segment; set after exchange_open */
    size_t sent;
    uint8_t *reply;
    size_t reply_len, reply_capacity;
    size_t reply_max; /* one byte more ends the exchange with EXCHANGE_TOO_LARGE */
};

enum exchange_event {
    EXCHANGE_WAIT,     /* for what exchange_interest says */
    EXCHANGE_RECEIVED, /* the answer has grown */
    EXCHANGE_ENDED,    /* the peer has sent all it will */
    EXCHANGE_FAILED,   /* `error` says why */
    EXCHANGE_TOO_LARGE,
    EXCHANGE_NO_MEMORY,
};

void exchange_init(struct exchange *exchange);

/* Begins. 0, or a negative errno: then the exchange is idle. -EAGAIN: the queue of a Unix socket is
 * full, and nothing will tell when it is not. */
int exchange_open(struct exchange *exchange, const struct sockaddr *peer, socklen_t peer_len,
                  struct bytes request, size_t reply_max);

/* Goes on as far as it can; at most one piece of the answer is read a call, so that an endless one
 * gives the owner time to look at the clock. */
enum exchange_event exchange_step(struct exchange *exchange);

/* EPOLLIN or EPOLLOUT */
uint32_t exchange_interest(const struct exchange *exchange);

/* What has come of the answer. Borrowed until the next step. */
struct bytes exchange_reply(const struct exchange *exchange);

/* Forgets the first `len` bytes of what has come. */
void exchange_consume(struct exchange *exchange, size_t len);

/* The connected socket becomes the caller's. */
int exchange_take_socket(struct exchange *exchange);

/* Closes the socket and frees the answer; idle again. */
void exchange_close(struct exchange *exchange);

#endif
