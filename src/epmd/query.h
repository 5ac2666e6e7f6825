/*
 * Asking an epmd, from the event loop, on which port a name is: PORT_PLEASE2 and its reply
 * (erlang/epmd_wire.h), on a connection of its own.
 *
 *   connects -> asks -> reads -> the hook `done`
 *
 * The whole has one deadline, so that bytes that trickle in gain nothing, and the reply a buffer of
 * EPMD_SHORT_REPLY_MAX bytes; what comes behind a whole reply is not read.
 */
#ifndef PORTOLAN_EPMD_QUERY_H
#define PORTOLAN_EPMD_QUERY_H

#include "erlang/epmd_wire.h"
#include "net/address.h"

enum epmd_query_result {
    EPMD_QUERY_PORT,        /* here it is */
    EPMD_QUERY_UNKNOWN,     /* the name is not registered there, or listens on no port */
    EPMD_QUERY_UNREACHABLE, /* no connection, or it broke */
    EPMD_QUERY_TIMED_OUT,   /* not within the time */
    EPMD_QUERY_MALFORMED,   /* cut, or no reply of an epmd */
};

/* "does not know the name": what an epmd did. */
const char *epmd_query_result_text(enum epmd_query_result result);

struct event_base;
struct epmd_query;

/* Called once, from the event loop, and may free the query. With EPMD_QUERY_PORT `node` is what
 * the epmd tells; it borrows from the query. */
typedef void epmd_query_done(void *context, enum epmd_query_result result,
                             const struct epmd_node *node);

/* `epmd` has the port to ask on; `name` is an alive name, borrowed. NULL when out of memory. */
struct epmd_query *epmd_query_start(struct event_base *base, const struct address *epmd,
                                    struct bytes name, int64_t time_ms, epmd_query_done *done,
                                    void *context);

/* Answered or not; NULL is fine. */
void epmd_query_free(struct epmd_query *query);

#endif
