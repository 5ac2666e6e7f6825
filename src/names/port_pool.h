/*
 * The port pool: which port a node is to listen on, promised before the node runs.
 *
 * A lease promises a port to a name. It waits for its node for PORT_LEASE_MS; when the node
 * registers, the lease is held by the registration and ends with it. No port is promised to two
 * names, or while anybody has it. A name that comes again gets the port it had, as long as that is
 * free (sticky ports, the last PORT_STICKY_MAX names).
 *
 * Where registrations are not enforced, nodes may say that they are on a port that another name
 * has. The name that came first has it then, the others stand behind it in their order, in conflict
 * with it, and the port is free when the last has gone.
 *
 *   state of a port    becomes          when
 *   free               leased           port_pool_lease
 *   free               held             a name registers on it without a lease
 *   leased             held             its name registers on it
 *   leased             free             its name registers on another port; PORT_LEASE_MS pass;
 *                                       port_pool_release
 *   held               free             its name unregisters
 *
 * Some servers start helper nodes on the port that they are about to listen on themselves: RabbitMQ
 * a NAME_prelaunch_DIGITS and an epmd-starter-DIGITS. On a port of NAME such a helper is admitted
 * where it comes by loopback, and takes nothing: the port is NAME's before, meanwhile and after.
 *
 * A lease belongs to a user of this host, and while it waits only that user and root may register
 * its name. One of root's is also for the users of the system, for root starts servers that change
 * their user. The caller judges who may renew or release it.
 *
 * The last ports of the range may be kept for tools (struct port_pool_options): those are promised
 * to nobody, and whoever registers there is within every policy.
 *
 * The daemon's own listeners on ports of nodes, the front ports (front/front), take part: such a
 * port is promised to nobody. Whose front port it is, the pool does not know.
 *
 * Whether a program outside of the pool listens on a port is not known here: `probe` asks the
 * shell.
 */
#ifndef PORTOLAN_NAMES_PORT_POOL_H
#define PORTOLAN_NAMES_PORT_POOL_H

#include "base/bytes.h"
#include "base/user.h"

#include <sys/queue.h>

#define PORT_LEASE_MS 60000
#define PORT_STICKY_MAX 4096

enum port_policy {
    PORT_POLICY_RANGE,   /* a port of [first, last] */
    PORT_POLICY_DERIVED, /* ekka's rule (erlang/ekka_port) */
    PORT_POLICY_ANY,     /* a lease comes from the range, a registration may be on any port */
};

extern const char *const port_policy_names[]; /* by enum port_policy, NULL at the end */

struct port_pool_options {
    enum port_policy policy;
    uint16_t first, last; /* the range, both included; first <= last */
    uint16_t tools;       /* how many ports at the end of the range are for tools; 0: none */
    uint16_t base;        /* of ekka's rule */
    bool enforce;         /* refuse registrations on ports outside the policy */
    bool any_user;        /* let any user claim any lease */
};

/* How the pool asks whether anything on this host listens on a port. Borrowed for the call. */
struct port_probe {
    bool (*is_free)(void *context, uint16_t port);
    void *context;
};

struct port_pool;

struct port_pool *port_pool_new(const struct port_pool_options *options);
void port_pool_free(struct port_pool *pool);

/* New options for what comes; leases and holders stay as they are. */
void port_pool_configure(struct port_pool *pool, const struct port_pool_options *options);

/* A name that has a port, or is promised one. */
struct port_lease {
    struct bytes name; /* empty: of a front port */
    uint16_t port;
    bool front;            /* no lease, but a front port; what stands below has no meaning */
    bool held;             /* by a registration */
    uint32_t user;         /* whose it is; USER_NOBODY: not known, and so anybody's */
    int64_t expires_ms;    /* of a lease that waits for its node */
    struct bytes conflict; /* the name that has the port, where this one only says that it is there;
                            empty: it is its own, as far as the pool knows */
    bool conflict_is_front; /* the same of a port that the daemon itself listens on */
};

/* Why a lease is over whose node did not come to its port. */
enum port_lease_end {
    PORT_LEASE_EXPIRED,
    PORT_LEASE_RELEASED,
    PORT_LEASE_MOVED,     /* its node registered on another port */
    PORT_LEASE_WITHDRAWN, /* asked for anew, under a policy that gives another port */
};
extern const char *const port_lease_end_names[]; /* by enum port_lease_end */

struct port_lease_ending {
    struct port_lease lease;
    enum port_lease_end end;
    uint16_t other_port;     /* where its node registered, or tried to; 0: nowhere */
    struct bytes other_name; /* who else registered on its port, or tried to; empty: none */
};

/* Is told of each lease that ends before its node has come. Borrowed for the call, in which the
 * pool must not be changed. NULL: it is not reported. */
typedef void port_lease_ended(void *context, const struct port_lease_ending *ending);
void port_pool_on_ended(struct port_pool *pool, port_lease_ended *ended, void *context);

enum port_verdict {
    PORT_OK,
    PORT_POOL_FULL,     /* every port of the range has a holder, or a listener */
    PORT_DERIVED_TAKEN, /* the one port of the rule has another holder, or a listener */
    PORT_DERIVED_NONE,  /* the rule gives this name no port: a remote shell, or over 65,535 */
    PORT_DERIVED_TOOLS, /* the one port of the rule is kept for tools */
    PORT_NOT_IN_RANGE,  /* of a registration: the policy wants another port */
    PORT_NOT_DERIVED,
    PORT_LEASED_TO_OTHER,
    PORT_LEASED_TO_USER,    /* the name is, and to another user */
    PORT_LEASED_TO_UNKNOWN, /* likewise, and the owner of the registration is unknown */
    PORT_NO_MEMORY,
};
const char *port_verdict_reason(enum port_verdict verdict);

/*
 * Promises a port to the name (its alive name): the one it holds or has a lease on already (the
 * lease's time begins anew) as long as the policy of today would give it, else the one it had, else
 * the lowest that is free. From then on the lease is `user`'s; what a registration holds stays that
 * user's who registered it.
 */
enum port_verdict port_pool_lease(struct port_pool *pool, struct bytes name, uint32_t user,
                                  int64_t now_ms, const struct port_probe *probe, uint16_t *port);

/* Gives a lease back. False when the name has none, or is registered. */
bool port_pool_release(struct port_pool *pool, struct bytes name);

/* Ends the leases whose time is over; returns when to call it next, INT64_MAX for never. */
int64_t port_pool_expire(struct port_pool *pool, int64_t now_ms);

/* A registration that is asked for, or was made. */
struct port_applicant {
    struct bytes name;
    uint16_t port; /* 0: it listens nowhere */
    bool loopback; /* it comes by a loopback address */
    uint32_t user; /* of this host, whose it is; USER_NOBODY: not known */
};

/* Whether the registration may be, as far as the policy goes. */
enum port_verdict port_pool_admits(const struct port_pool *pool,
                                   const struct port_applicant *applicant);

/* It has been refused: the lease that it concerns remembers it, for port_lease_ending. */
void port_pool_refused(struct port_pool *pool, const struct port_applicant *applicant);

/* It has been made, or a name has left. Out of memory the registration stands, unknown to the pool.
 */
void port_pool_registered(struct port_pool *pool, const struct port_applicant *applicant);
void port_pool_unregistered(struct port_pool *pool, struct bytes name);

/* The daemon has opened this port as a front port, or has closed it. Out of memory it is unknown to
 * the pool, and only the probe sees it. */
void port_pool_front_opened(struct port_pool *pool, uint16_t port);
void port_pool_front_closed(struct port_pool *pool, uint16_t port);

/*
 * A walk over who has what, in the order of ports; those of one port in the order in which they
 * came. A front port stands before them, if a lease could be for it: in the range, or where the
 * rule counts. It may pause while leases come and go; the pool must outlive it; it must be ended,
 * and may be ended twice.
 */
struct port_pool_cursor {
    struct port_pool *pool; /* NULL once ended */
    uint32_t port;          /* over 65,535: at the end */
    bool past_front;        /* the front port itself has been seen */
    void *next;             /* of the names of the port */
    LIST_ENTRY(port_pool_cursor) entry;
};

void port_pool_cursor_begin(struct port_pool_cursor *cursor, struct port_pool *pool);
/* False: that was the last. The lease is borrowed until the pool changes. */
bool port_pool_cursor_peek(struct port_pool_cursor *cursor, struct port_lease *lease);
void port_pool_cursor_advance(struct port_pool_cursor *cursor);
void port_pool_cursor_end(struct port_pool_cursor *cursor);

/* The last port that a node which may move within the range is to try, given where it begins; 0
 * where that is not in the range. */
uint16_t port_pool_last_from(const struct port_pool *pool, uint16_t port);

/* The lease or registration of a name; false when it has none. Borrowed until the pool changes. */
bool port_pool_find(const struct port_pool *pool, struct bytes name, struct port_lease *lease);

/* Whether the port is leased, or a registration's; and whose, the first's, empty for nobody's: it
 * is borrowed until the pool changes. */
bool port_pool_has(const struct port_pool *pool, uint16_t port);
struct bytes port_pool_holder(const struct port_pool *pool, uint16_t port);

/* How many leases and registrations there are; front ports are none. */
size_t port_pool_count(const struct port_pool *pool);

/* Whether there is something to save since the last port_pool_saved. */
bool port_pool_unsaved(const struct port_pool *pool);

/* The state as text. What a registration holds is saved as a lease, so that its node finds its port
 * again.
 *
 * It is written in pieces, between which the pool may change: one that is changed once the text has
 * begun is to be saved again, and port_pool_restore takes the text in between. A piece needs room
 * for PORT_POOL_PIECE_MAX bytes. True: that was the last one, and the text is whole. To begin a
 * text ends the one under way.
 */
#define PORT_POOL_PIECE_MAX ((size_t)144 << 10)
void port_pool_encode_begin(struct port_pool *pool);
bool port_pool_encode_piece(struct port_pool *pool, struct writer *writer, int64_t now_ms);

/* The text that was begun last is safe now. */
void port_pool_saved(struct port_pool *pool);

/* Takes over a saved state, once, into a new pool. Of a name that moved while the text was written
 * the first lease counts. False: damaged text. */
bool port_pool_restore(struct port_pool *pool, struct bytes text, int64_t now_ms);

/* NULL, or what does not hold inside that must: for tests, for it walks over everything. */
const char *port_pool_check(const struct port_pool *pool);

#endif
