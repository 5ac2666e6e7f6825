/*
 * One direction of a proxied stream: bytes from one socket to another. Internal to front/proxy.
 *
 *   state      waits for             ends with
 *   STOPPED    proxy_way_start
 *   READING    bytes at `from`       what it holds that `to` does not take; the end of `from`
 *   BLOCKED    room at `to`          all that it held taken
 *   ENDED      nothing: `from` has ended, all is passed on, and so is the end
 *
 * A message that fits the scratch buffer is read into it and written out: two calls, which is the
 * cheapest for what nodes say most of the time. A socket that fills the scratch has a transfer
 * under way: that moves by splice(2) through a pipe, without being copied to this process and back,
 * until a turn brings little again. What `to` does not take stays where it is, in the pipe or
 * in a copy, and `from` is not read until it is gone: so back-pressure goes through.
 *
 * An idle way holds neither pipe nor buffer.
 */
#ifndef PORTOLAN_RELAY_WAY_H
#define PORTOLAN_RELAY_WAY_H

#include "base/bytes.h"
#include "relay/vigil.h"

#include <event2/event_struct.h>

#define PROXY_SCRATCH_SIZE 65536
#define PROXY_PIPES_MAX 16 /* that wait for the next transfer */

struct event_base;
struct turn_budget;

struct proxy_pipe {
    int out, in;
};

/* What the ways of a proxy share. */
struct proxy_store {
    struct event_base *base;    /* borrowed */
    struct turn_budget *budget; /* borrowed; NULL: a turn of the loop takes what it takes */
    struct proxy_pipe pipes[PROXY_PIPES_MAX];
    size_t pipe_count;
    bool copies; /* splice does not work here, or is not to be used */
    struct proxy_vigil vigil;
    uint8_t scratch[PROXY_SCRATCH_SIZE];
};

/* A store that is all zeros. `base` is borrowed. */
void proxy_store_init(struct proxy_store *store, struct event_base *base);

/* Closes the pipes that wait. */
void proxy_store_clear(struct proxy_store *store);

enum proxy_way_state { PROXY_STOPPED, PROXY_READING, PROXY_BLOCKED, PROXY_ENDED };

struct proxy_way {
    struct proxy_store *store; /* borrowed */
    int from, to;              /* borrowed */
    enum proxy_way_state state;
    bool bulk; /* a transfer is under way */
    bool over; /* `from` has ended */
    struct proxy_pipe pipe;
    size_t piped;  /* bytes in it */
    uint8_t *kept; /* bytes that were copied and are not taken yet */
    size_t kept_at, kept_len;
    uint64_t moved;  /* bytes that `to` took */
    uint32_t served; /* see base/turn_budget.h */
    struct event event;
    void (*changed)(void *context, bool broken); /* the way has ended, or a socket broke */
    void *context;
};

/* A way that is STOPPED. `changed` may end the way, and free it, from within. */
void proxy_way_init(struct proxy_way *way, struct proxy_store *store, int from, int to,
                    void (*changed)(void *context, bool broken), void *context);

/* Lets the way begin with bytes that were read from `from` before. False when out of memory. */
bool proxy_way_keep(struct proxy_way *way, struct bytes first);

/* False when out of memory. */
bool proxy_way_start(struct proxy_way *way);

/* Stops it; the sockets stay open. */
void proxy_way_end(struct proxy_way *way);

#endif
