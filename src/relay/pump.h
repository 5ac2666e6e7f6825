/*
 * One direction of a proxied stream: bytes from one socket to another. A stream has one for
 * each (front/proxy).
 *
 *   state      waits for             ends with
 *   STOPPED    relay_pump_start
 *   READING    bytes at `from`       what it holds that `to` does not take; the end of `from`
 *   WRITING    room at `to`          all that it held taken
 *   ENDED      nothing: `from` has ended, all is passed on, and so is the end
 *
 * A message that fits the scratch buffer is read into it and written out: two calls, which is the
 * cheapest for what nodes say most of the time. A socket that fills the scratch has a transfer
 * under way: that moves by splice(2) through a pipe, without being copied to this process and
 * back, until a turn brings little again. What `to` does not take stays where it is, in the pipe
 * or in a copy, and `from` is not read until it is gone: so back-pressure goes through.
 *
 * An idle pump holds neither pipe nor buffer.
 */
#ifndef PORTOLAN_RELAY_PUMP_H
#define PORTOLAN_RELAY_PUMP_H

#include "base/bytes.h"
#include "relay/busy_poll.h"

#include <event2/event_struct.h>

#define RELAY_SCRATCH_SIZE 65536
#define RELAY_PIPES_MAX 16 /* that wait for the next transfer */

struct event_base;
struct turn_budget;

struct relay_pipe {
    int out, in;
};

/* What the pumps of a proxy share. */
struct relay_shared {
    struct event_base *base;    /* borrowed */
    struct turn_budget *budget; /* borrowed; NULL: a turn of the loop takes what it takes */
    struct relay_pipe pipes[RELAY_PIPES_MAX];
    size_t pipe_count;
    bool copies; /* splice does not work here, or is not to be used */
    struct busy_poll busy_poll;
    uint8_t scratch[RELAY_SCRATCH_SIZE];
};

/* `shared` is all zeros before. `base` is borrowed. */
void relay_shared_init(struct relay_shared *shared, struct event_base *base);

/* Closes the pipes that wait. */
void relay_shared_clear(struct relay_shared *shared);

enum relay_pump_state { PUMP_STOPPED, PUMP_READING, PUMP_WRITING, PUMP_ENDED };

struct relay_pump {
    struct relay_shared *shared; /* borrowed */
    int from, to;                /* borrowed */
    enum relay_pump_state state;
    bool splicing; /* a transfer is under way */
    bool eof;      /* `from` has ended */
    struct relay_pipe pipe;
    size_t piped;     /* bytes in it */
    uint8_t *pending; /* bytes that were copied and are not taken yet */
    size_t pending_at, pending_len;
    uint64_t moved;  /* bytes that `to` took */
    uint32_t served; /* see base/turn_budget.h */
    struct event event;
    void (*changed)(void *context, bool broken); /* the pump has ended, or a socket broke */
    void *context;
};

/* A pump that is STOPPED. `changed` may end the pump, and free it, from within. */
void relay_pump_init(struct relay_pump *pump, struct relay_shared *shared, int from, int to,
                     void (*changed)(void *context, bool broken), void *context);

/* Lets the pump begin with bytes that were read from `from` before. False when out of memory. */
bool relay_pump_prepend(struct relay_pump *pump, struct bytes first);

/* False when out of memory. */
bool relay_pump_start(struct relay_pump *pump);

/* Stops it; the sockets stay open. */
void relay_pump_stop(struct relay_pump *pump);

#endif
