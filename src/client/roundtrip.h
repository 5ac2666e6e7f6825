/*
 * One request and its answer over one stream socket, without blocking.
 *
 *   connecting  ->  sending  ->  receiving  ->  (the owner has seen enough)
 *
 * The round trip owns its socket and the bytes of the answer; the request is borrowed. It does not
 * know what it carries: the owner looks at the answer after each ROUNDTRIP_RECEIVED and steps until
 * ROUNDTRIP_WAIT: only then has all been read that is there, and a new event will come for more.
 */
#ifndef PORTOLAN_CLIENT_ROUNDTRIP_H
#define PORTOLAN_CLIENT_ROUNDTRIP_H

#include "base/bytes.h"

#include <sys/socket.h>

enum roundtrip_state {
    ROUNDTRIP_IDLE,
    ROUNDTRIP_CONNECTING,
    ROUNDTRIP_SENDING,
    ROUNDTRIP_RECEIVING
};

struct roundtrip {
    enum roundtrip_state state;
    int fd;    /* -1 while idle */
    int error; /* errno of ROUNDTRIP_FAILED */
    struct bytes request;
    bool half_closes; /* its side with the request, in one segment; set after roundtrip_open */
    size_t sent;
    uint8_t *reply;
    size_t reply_len, reply_capacity;
    size_t reply_max; /* one byte more ends it with ROUNDTRIP_TOO_LARGE */
};

enum roundtrip_event {
    ROUNDTRIP_WAIT,     /* for what roundtrip_interest says */
    ROUNDTRIP_RECEIVED, /* the answer has grown */
    ROUNDTRIP_ENDED,    /* the peer has sent all it will */
    ROUNDTRIP_FAILED,   /* `error` says why */
    ROUNDTRIP_TOO_LARGE,
    ROUNDTRIP_NO_MEMORY,
};

void roundtrip_init(struct roundtrip *roundtrip);

/* Begins. 0, or a negative errno: then it is idle. -EAGAIN: the queue of a Unix socket is
 * full, and nothing reports when it is not. */
int roundtrip_open(struct roundtrip *roundtrip, const struct sockaddr *peer, socklen_t peer_len,
                   struct bytes request, size_t reply_max);

/* Goes on as far as it can; at most one piece of the answer is read a call, so that an endless one
 * gives the owner time to look at the clock. */
enum roundtrip_event roundtrip_step(struct roundtrip *roundtrip);

/* EPOLLIN or EPOLLOUT */
uint32_t roundtrip_interest(const struct roundtrip *roundtrip);

/* What has come of the answer. Borrowed until the next step. */
struct bytes roundtrip_reply(const struct roundtrip *roundtrip);

/* Forgets the first `len` bytes of what has come. */
void roundtrip_consume(struct roundtrip *roundtrip, size_t len);

/* The connected socket becomes the caller's. */
int roundtrip_take_socket(struct roundtrip *roundtrip);

/* Closes the socket and frees the answer; idle again. */
void roundtrip_close(struct roundtrip *roundtrip);

#endif
