/*
 * What a daemon answers to an epmd request: the rules of who may do what, and the reply. It knows
 * no socket: the shell hands it a decoded request and does with the answer's action what is said
 * there.
 *
 *   operation      who may             answer
 *   ALIVE2         local               HOLD, or REFUSE with a reply that says so
 *   PORT_PLEASE2   all                 REPLY; for own_name, as long as no node has it registered,
 *                                      with the daemon's own front port, as of a hidden node
 *   NAMES          local; others as    LIST; of no names, with `reason`, to whoever may not
 *                  remote_names says
 *   DUMP           local               LIST
 *   KILL           local               QUIT if relaxed, or if it quits_when_idle and no name is
 *                                      registered; else REPLY "NO"
 *   STOP           local, relaxed      EVICT, or REPLY "NOEXIST"
 *   any of these   others              CLOSE
 *
 * A look-up is answered with the port that the caller can reach, and NAMES has the same one
 * (caller_view_port).
 *
 * Where several nodes are behind that front port, one name after the other is looked up by an
 * address (names/lookup_queue), and a caller that asks for another one waits. A caller never waits
 * that is told a node's own port, asks for a name that is not there, or has closed its side of the
 * connection already: the last only asks, as tools do, and will not connect.
 *
 * The daemon's own name is not a registration: it is in no listing, and KILL does not mind it.
 */
#ifndef PORTOLAN_NAMES_EPMD_SERVICE_H
#define PORTOLAN_NAMES_EPMD_SERVICE_H

#include "names/listing.h"
#include "names/port_pool.h"
#include "names/routes.h"

/* Which other hosts may list names. */
enum remote_names { REMOTE_NAMES_OFF, REMOTE_NAMES_ON, REMOTE_NAMES_MEMBERS };
extern const char *const remote_names_names[]; /* by enum remote_names, NULL at the end */

/* How the service asks whether a member of the cluster runs on the host with that address. It is
 * answered at once, from what is known. */
struct member_hosts_query {
    bool (*has)(void *context, struct bytes address); /* NULL: there are no members */
    void *context;
};

struct epmd_service {
    struct registry *registry; /* borrowed */
    struct port_pool *pool;    /* borrowed; NULL: no port is promised or refused */
    struct routes *routes;     /* borrowed; NULL: nodes are reached on their own ports only */
    bool relaxed_commands;     /* whether KILL and STOP work, whatever is registered */
    bool quits_when_idle;      /* KILL works also when nothing is registered, as in OTP's epmd */
    enum remote_names remote_names;
    struct member_hosts_query member_hosts;
    struct bytes own_name;   /* the alive name of node.name; borrowed */
    uint16_t own_front_port; /* where other daemons call this one; 0: no answer of its own */
};

struct epmd_caller {
    bool local;           /* on this host (design: its address is loopback or the one it called) */
    bool loopback;        /* by a loopback address */
    struct bytes address; /* its host's, borrowed for the call */
    void *holder;         /* for ALIVE2: what shall hold the registration; see names/registry */
    uint32_t holder_number; /* for DUMP */
    uint32_t user;          /* for ALIVE2: of this host; USER_NOBODY: not known */
    int64_t now_ms;         /* when it calls, on the monotonic clock */

    /* Of a look-up that has waited already, what became of it: it does not wait again. */
    enum lookup_state waited;

    /* Asked of the holder where a look-up may have to wait: whether it may connect to the node, and
     * how long a round trip takes. NULL: it may, and 0. */
    bool (*may_connect)(const void *holder);
    int64_t (*round_trip_ms)(const void *holder);
};

enum epmd_action {
    EPMD_ACTION_CLOSE, /* no reply; `reason` says why */
    EPMD_ACTION_REPLY, /* send the reply, close */
    EPMD_ACTION_HOLD, /* send the reply, keep the connection for `registration`, which exists now */
    EPMD_ACTION_REFUSE, /* send the reply; the caller closes, or its time runs out; `reason` */
    EPMD_ACTION_LIST,   /* send the listing of `listing` as from `view`, close */
    EPMD_ACTION_EVICT,  /* end `registration` and its connection; send the reply, close */
    EPMD_ACTION_QUIT,   /* send the reply, end the daemon */
    EPMD_ACTION_WAIT,   /* no reply yet: epmd_service_wait, or ask again with LOOKUP_OVERDUE */
};

struct epmd_answer {
    enum epmd_action action;
    const char *reason;
    struct registration *registration;
    enum listing_kind listing;
    struct caller_view view;
};

/* Writes the reply, if there is one; the writer must have room for EPMD_SHORT_REPLY_MAX bytes. */
struct epmd_answer epmd_service_answer(const struct epmd_service *service,
                                       const struct epmd_request *request,
                                       const struct epmd_caller *caller, struct writer *reply);

/*
 * The registration that would have the request refused: of the same name; on the same port, where
 * ports are enforced; for KILL any. NULL: none would. Before it has the request answered, the shell
 * looks whether the holder has ended: then it ends the registration, and asks again, for there may
 * be another one.
 */
struct registration *epmd_service_conflict(const struct epmd_service *service,
                                           const struct epmd_request *request);

/*
 * Lets a look-up wait that was answered with EPMD_ACTION_WAIT and this registration, by the same
 * caller. When lookup_queue_next_ready brings the waiter back, it is asked again, with its state as
 * `waited`. A caller that goes away before calls lookup_queue_leave.
 */
void epmd_service_wait(const struct epmd_service *service, struct registration *registration,
                       const struct epmd_caller *caller, struct lookup_waiter *waiter);

/* Ends a registration: its holder is gone. */
void epmd_service_end(const struct epmd_service *service, struct registration *registration);

#endif
