/*
 * A session: one connection to the portoland of this host, on which many operations ask at once.
 *
 * Requests go out in the order in which they were made, and answers come in the same order, a line
 * each. So what comes belongs to the oldest request. Whichever operation is stepped reads for all:
 * it hands the answers out and wakes the others. One of them watches the socket, the reader, which
 * is the one whose request is the oldest; the others sleep until they are woken.
 *
 * A connection that ends takes all its requests with it: they are LOST, and may be made again. The
 * next request makes a new connection. A request that is cancelled leaves its slot behind, so that
 * its answer is not taken for the next one's. In a child after fork nothing is told to anybody:
 * what wakes an operation is the parent's as well.
 */
#ifndef PORTOLAN_CLIENT_SESSION_H
#define PORTOLAN_CLIENT_SESSION_H

#include "base/bytes.h"
#include "portolan.h"

struct session_slot;

enum session_request_state {
    REQUEST_IDLE,
    REQUEST_WAITING,
    REQUEST_ANSWERED,
    REQUEST_LOST,      /* the connection ended before the answer came; `error` says why */
    REQUEST_TOO_LARGE, /* over reply_max */
    REQUEST_NO_MEMORY,
};

/* Part of an operation. Starts as all zeros. */
struct session_request {
    enum session_request_state state;
    struct session_slot *slot; /* while WAITING */
    uint8_t *reply;            /* of ANSWERED: a line with its end; freed by session_cancel */
    size_t reply_len;
    int error;                 /* an errno */
    void (*wake)(void *owner); /* the state has changed, or the request has become the reader */
    void *owner;
};

/* Sends a line, connecting to `path` if need be; `path` is that of the session. 0, or a negative
 * errno, and the request is IDLE: -EAGAIN: too much is under way, or the daemon's queue is full;
 * what connect says; -ENOMEM. */
int session_send(struct portolan_session *session, struct session_request *request,
                 struct bytes line, size_t reply_max);

/* Reads and writes what can be without blocking, for all requests. False: more is there, and the
 * turn ended for the sake of the others. */
bool session_step(struct portolan_session *session);

/* Whether this request's operation is to watch session_descriptor for session_interest. */
bool session_is_reader(const struct portolan_session *session,
                       const struct session_request *request);
int session_descriptor(const struct portolan_session *session); /* -1: not connected */
uint32_t session_interest(const struct portolan_session *session);

/* The path of its control socket. */
const char *session_path(const struct portolan_session *session);

/* An operation holds the session from start to end, so that one that the program has freed
 * meanwhile refuses (-ESHUTDOWN) and does not dangle. */
void session_retain(struct portolan_session *session);
void session_release(struct portolan_session *session);

/* Ends the request, whatever its state; IDLE then. */
void session_cancel(struct portolan_session *session, struct session_request *request);

#endif
