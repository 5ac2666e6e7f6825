/*
 * Look-ups of nodes that share a front port, one name after the other, so that the connections that
 * follow them can be told apart.
 *
 * A distribution handshake does not name its target, but a node asks for the port just before it
 * connects, from the same address. So for each pair of a caller's address and a front port one name
 * is current. Look-ups of it are answered and counted, and every connection of that address at that
 * port is for it until all that were counted have come. A look-up of another name waits until then,
 * or until the time is over in which they should have come. Then it is the turn of the name that
 * has waited longest, with all who wait for it.
 *
 * That time is the longest of LOOKUP_WINDOW_MIN_MS, LOOKUP_TRIPS round trips of the caller, and
 * LOOKUP_DELAYS times what its connections took lately. It begins with the last answer, and anew
 * with each connection that comes, for others are on their way; it ends LOOKUP_WINDOW_MAX_MS after
 * the last answer all the same. (From an answer to the first packet of its connection there are two
 * round trips: half of one for the answer, one for the TCP handshake, half of one for the packet.
 * The third is for what may be late.)
 *
 * A connection that comes after its time, while another name is current, is taken for that one's:
 * it fails, and no other does. For what came too late is expected for LOOKUP_LATE_MS more: until
 * then a turn goes on to the end of its time, or until the late ones have come as well, and all of
 * its connections are for its name. Else each turn would end one connection too early. Where nobody
 * waits, a late connection is for the current name still.
 *
 *   of a look-up                                             verdict
 *   -------------------------------------------------------  ---------------------------------
 *   nobody is current, or the time of who is has passed      COUNTED, and its name is current
 *   the current name, and nobody waits                       COUNTED
 *   another name; or the current one, and somebody waits     WAIT
 *   the same, but LOOKUP_WAITERS_OF_ADDRESS or               UNCOUNTED: answered all the same,
 *   LOOKUP_WAITERS_MAX wait; no room for one more pair        its connection is guessed
 *
 * Nobody waits longer than LOOKUP_WAIT_MAX_MS: an Erlang node has 7 s for all of a connection.
 * There are LOOKUP_PAIRS_MAX pairs at most, a quarter of them of one host (an IPv6 /64).
 *
 * No clock and no socket: the caller gives the time, keeps who waits, and sets its timer to
 * lookup_queue_deadline.
 */
#ifndef PORTOLAN_NAMES_LOOKUP_QUEUE_H
#define PORTOLAN_NAMES_LOOKUP_QUEUE_H

#include "names/registry.h"

#include <sys/queue.h>

#define LOOKUP_TRIPS 3
#define LOOKUP_DELAYS 4
#define LOOKUP_WINDOW_MIN_MS 100
#define LOOKUP_WINDOW_MAX_MS 500
#define LOOKUP_LATE_MS 500
#define LOOKUP_WAIT_MAX_MS 3000
#define LOOKUP_WAITERS_OF_ADDRESS 512
#define LOOKUP_WAITERS_MAX 4096
#define LOOKUP_PAIRS_MAX 1024
#define LOOKUP_ADDRESS_MAX 16 /* bytes of a caller's address */

struct lookup_queue;
struct lookup_pair;

/* NULL when out of memory. */
struct lookup_queue *lookup_queue_new(void);

/* Look-ups that still wait are left alone: lookup_queue_leave does nothing then. NULL is fine. */
void lookup_queue_free(struct lookup_queue *queue);

/* One that waits. It belongs to the caller, zeroed at first, and must leave before its memory is
 * freed. */
enum lookup_state {
    LOOKUP_IDLE,
    LOOKUP_WAITING,
    LOOKUP_GRANTED,   /* its name is current and it is counted: to be answered now */
    LOOKUP_OVERDUE,   /* to be answered now, uncounted: it has waited for too long */
    LOOKUP_CANCELLED, /* its name has left the port: to be asked anew */
};

struct lookup_waiter {
    enum lookup_state state;
    struct lookup_queue *queue;        /* while waiting or ready */
    struct lookup_pair *pair;          /* while waiting */
    struct registration *registration; /* borrowed */
    int64_t since_ms, round_trip_ms;
    TAILQ_ENTRY(lookup_waiter) entry;
    TAILQ_ENTRY(lookup_waiter) by_age; /* while waiting */
};

struct lookup {
    struct registration *registration; /* with a front port; borrowed */
    struct bytes address;              /* of the caller's host */
    int64_t round_trip_ms;             /* of the caller */
    int64_t now_ms;
};

enum lookup_verdict { LOOKUP_COUNTED, LOOKUP_UNCOUNTED, LOOKUP_WAIT };

/* Asks for one. With LOOKUP_WAIT nothing is changed: lookup_queue_wait is next. */
enum lookup_verdict lookup_queue_ask(struct lookup_queue *queue, const struct lookup *lookup);

/* Puts it into the queue; after lookup_queue_ask said LOOKUP_WAIT to the same look-up. */
void lookup_queue_wait(struct lookup_queue *queue, const struct lookup *lookup,
                       struct lookup_waiter *waiter);

/* It is answered without its turn: it was overdue, or could not wait. */
void lookup_queue_count_unheld(struct lookup_queue *queue);

/* It is gone, or is being answered. Harmless in any state. */
void lookup_queue_leave(struct lookup_waiter *waiter);

/* A connection has come. The current name, where one may be missing still; else NULL. */
struct registration *lookup_queue_connected(struct lookup_queue *queue, uint16_t port,
                                            struct bytes address, int64_t now_ms);

/* This registration leaves its front port: it is current nowhere, and who waits for it is moot. */
void lookup_queue_forget(struct lookup_queue *queue, const struct registration *registration,
                         int64_t now_ms);

/* Lets those go on whose time has come. */
void lookup_queue_tick(struct lookup_queue *queue, int64_t now_ms);

/* When to tick; INT64_MAX: when something else happens. */
int64_t lookup_queue_deadline(const struct lookup_queue *queue);

/* The next one that is ready, no longer in the queue; NULL: none. To be called until NULL after
 * all of the above but lookup_queue_ask. */
struct lookup_waiter *lookup_queue_next_ready(struct lookup_queue *queue);

struct lookup_counters {
    uint64_t held;    /* look-ups that had to wait */
    uint64_t expired; /* counted ones whose connection did not come in time */
    uint64_t unheld;  /* answered though they should have waited */
    size_t waiting;   /* now */
    size_t pairs;     /* now */
};
struct lookup_counters lookup_queue_counters(const struct lookup_queue *queue);

/* NULL, or what does not hold inside that must: for tests, for it walks over everything. */
const char *lookup_queue_check(const struct lookup_queue *queue);

#endif
