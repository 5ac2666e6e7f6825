/*
 * Asking an epmd, from the event loop, on which port a name is: PORT_PLEASE2 and its reply
 * (erlang/epmd_wire.h), on a connection of its own.
 *
 *   connects -> asks -> reads -> the hook `answered`
 *
 * The whole has one deadline, so that bytes that trickle in gain nothing, and the reply a buffer of
 * EPMD_SHORT_REPLY_MAX bytes; what comes behind a whole reply is not read.
 */
#ifndef PORTOLAN_NET_EPMD_QUESTION_H
#define PORTOLAN_NET_EPMD_QUESTION_H

#include "erlang/epmd_wire.h"
#include "net/address.h"

enum epmd_word {
    EPMD_WORD_PORT,      /* here it is */
    EPMD_WORD_UNKNOWN,   /* the name is not registered there, or listens on no port */
    EPMD_WORD_NO_EPMD,   /* no connection, or it broke */
    EPMD_WORD_LATE,      /* not within the time */
    EPMD_WORD_MALFORMED, /* cut, or no reply of an epmd */
};

/* "does not know the name": what an epmd did. */
const char *epmd_word_text(enum epmd_word word);

struct event_base;
struct epmd_question;

/* Called once, from the event loop, and may free the question. With EPMD_WORD_PORT `node` is what
 * the epmd tells; it borrows from the question. */
typedef void epmd_question_answered(void *context, enum epmd_word word,
                                    const struct epmd_node *node);

/* `epmd` has the port to ask on; `name` is an alive name, borrowed. NULL when out of memory. */
struct epmd_question *epmd_question_ask(struct event_base *base, const struct address *epmd,
                                        struct bytes name, int64_t time_ms,
                                        epmd_question_answered *answered, void *context);

/* Answered or not; NULL is fine. */
void epmd_question_free(struct epmd_question *question);

#endif
