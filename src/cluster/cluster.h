/*
 * One member of a cluster of daemons: who else is in it, who runs, and which Erlang nodes each has.
 *
 * This is the state machine alone. It does no I/O and reads no clock. The shell (sockets in the
 * daemon, a queue of events in the simulator) calls the functions below with the time and carries
 * out what they ask for through struct cluster_io. docs/cluster-protocol.md tells the protocol.
 *
 *     shell                                   cluster
 *     cluster_join(target) ------------------>
 *                          <------------------ io.connect(name)
 *     cluster_link_up(handle, name) --------->
 *                          <------------------ io.send(handle, frames)
 *     cluster_receive(link, bytes) ---------->
 *                          <------------------ io.notify(CLUSTER_EVENT_JOIN_DONE)
 *                          <------------------ io.persist()
 *     cluster_tick() when the returned time has come
 *
 * Rules for the shell:
 *
 *   - `now_ms` is a monotonic clock that never steps back. The wall clock is read once, at the
 *     start.
 *   - The functions of cluster_io must not call back into the cluster: what happens at once (a
 *     connection refused on the spot, say) is queued and told after the outer call has returned.
 *   - After any call that takes `now_ms`, ask cluster_due_ms() when cluster_tick wants to be
 * called: the earlier of that and the timer already set. INT64_MAX: never, until something else
 *     happens.
 *   - Links: a struct cluster_link belongs to the cluster, its handle to the shell. It ends in one
 *     of two ways: the shell says cluster_link_down, or the cluster calls io.disconnect, after
 *     which the shell sends what is queued, closes, and says nothing more of this handle. That may
 *     be before the shell has the link: see cluster_link_up.
 *   - Bytes arrive in the order in which they were sent, whole or not at all; a link that lost
 *     something is down. When cluster_receive returns fewer bytes than it got, an unfinished frame
 *     is left: keep the rest (at most CLUSTER_FRAME_MAX) and hand it in again with what follows.
 *   - Names are node names, Name@Host, at most CLUSTER_NAME_MAX bytes, with a NUL.
 *
 * Member states, and what moves a member from one to another. `joined` and `incarnation` are the
 * numbers of its record (membership.h); a record with the higher (joined, incarnation, state) wins.
 *
 *   from        event                                                         to
 *   ---------   -----------------------------------------------------------   ---------
 *   (unknown)   its record is seen, by itself or carried by others            ALIVE
 *   ALIVE       silent for 3 s, and none of three of its neighbours hears it  SUSPECT
 *   ALIVE       reconnection refused, and none of three neighbours hears it   DOWN
 *   ALIVE       it says that it stops                                         DOWN
 *   SUSPECT     it says a higher incarnation                                  ALIVE
 *   SUSPECT     its time is up (less with independent confirmations)          DOWN
 *   DOWN        it says a higher incarnation (healed, or started again)       ALIVE
 *   DOWN        down for longer than autoclean                                CLEANED
 *   CLEANED     it says a higher incarnation                                  ALIVE
 *   CLEANED     a day has passed                                              (unknown)
 *   all above   it leaves                                                     LEFT
 *   all above   an operator forces it out                                     FORCED_OUT
 *   LEFT        it joins again: a higher `joined`                             ALIVE
 *   FORCED_OUT  it joins again: a higher `joined`                             ALIVE
 *
 * ALIVE, SUSPECT and DOWN members are in the list that users see; CLEANED is each daemon's own
 * memory, LEFT and FORCED_OUT are tombstones that everyone keeps.
 *
 * Bounds (all memory is bounded whatever authenticated peers send): see the constants below.
 */
#ifndef PORTOLAN_CLUSTER_CLUSTER_H
#define PORTOLAN_CLUSTER_CLUSTER_H

#include "base/bytes.h"
#include "base/random.h"
#include "names/directory.h"

#define CLUSTER_NAME_MAX 255                 /* bytes of a member's name */
#define CLUSTER_MEMBERS_MAX 16384            /* in the list and cleaned, together */
#define CLUSTER_TOMBSTONES_MAX 4096          /* of each kind; the oldest give way */
#define CLUSTER_LINKS_MAX 1024               /* at one member, greeting ones included */
#define CLUSTER_SEEDS_MAX 256                /* that cluster_discovered looks at */
#define CLUSTER_FRAME_MAX (64 * 1024)        /* with its head */
#define CLUSTER_QUEUE_MAX (16 * 1024 * 1024) /* what io.send should take before it says no */
#define CLUSTER_AHEAD_MAX_YEARS 100          /* of numbers, above our own clock */

struct cluster;
struct cluster_link;

/* A cluster's identity. Clusters that merge keep the older one: the lower by (created, random). */
struct cluster_id {
    uint64_t created_ms; /* since 1970, by the clock of who made it */
    uint64_t random;
};

enum cluster_state {
    CLUSTER_ALIVE,
    CLUSTER_SUSPECT,
    CLUSTER_DOWN,
    CLUSTER_CLEANED,
    CLUSTER_LEFT,
    CLUSTER_FORCED_OUT,
};
const char *cluster_state_name(enum cluster_state state);

/* Why a connection, a link or a join came to nothing. cluster_cause_name: a word for logs. Peers
 * tell them to each other by number (wire.h): a new one goes to the end. */
enum cluster_cause {
    CLUSTER_CAUSE_NONE,
    /* told by the shell, of connections and links */
    CLUSTER_CAUSE_REFUSED, /* the host is there and nobody listens: evidence that the process is
                              gone */
    CLUSTER_CAUSE_TIMED_OUT,
    CLUSTER_CAUSE_UNREACHABLE,  /* no route, or no such network */
    CLUSTER_CAUSE_NO_HOST,      /* the name has no address */
    CLUSTER_CAUSE_WRONG_COOKIE, /* the handshake failed for the key */
    CLUSTER_CAUSE_CERTIFICATE,  /* also told by a peer that we called (name_allowed) */
    CLUSTER_CAUSE_LOST,         /* reset, or an error on the way */
    CLUSTER_CAUSE_CLOSED,       /* in order, by the peer */
    CLUSTER_CAUSE_NOT_PORTOLAN,
    /* found out by the two members, on a link that stands */
    CLUSTER_CAUSE_WRONG_CLUSTER_NAME,
    CLUSTER_CAUSE_WRONG_VERSION,
    CLUSTER_CAUSE_NAME_IN_USE, /* a running member has our name */
    CLUSTER_CAUSE_WRONG_NAME,  /* who answered is not whom we called */
    CLUSTER_CAUSE_NOT_MEMBER,  /* the two have nothing in common */
    CLUSTER_CAUSE_OUT,         /* we left or were forced out */
    CLUSTER_CAUSE_FULL,
    CLUSTER_CAUSE_DUPLICATE, /* another link to the same member stands */
    CLUSTER_CAUSE_PROTOCOL,  /* a malformed frame */
    CLUSTER_CAUSE_SILENT,
    CLUSTER_CAUSE_OVERFLOW, /* io.send said no */
    CLUSTER_CAUSE_NO_MEMORY,
    CLUSTER_CAUSE_NOT_NEEDED, /* closed by us: the topology needs it no more */
    CLUSTER_CAUSE_OURSELVES,  /* the address leads back to us */
    CLUSTER_CAUSE_STOPPED,    /* the daemon said that it stops */
    CLUSTER_CAUSE_NO_PORT,    /* told by the shell: no port follows from the name */
    CLUSTER_CAUSE_BUSY,       /* told by the shell: the peer has no room for a handshake now */
    CLUSTER_CAUSE_CLOCK,      /* the peer's numbers are far above our clock */
    CLUSTER_CAUSES
};
const char *cluster_cause_name(enum cluster_cause cause);

/* What cluster_join, cluster_leave and cluster_force_leave say at once. */
enum cluster_verdict {
    CLUSTER_OK,      /* leave, force-leave: done. join: begun; JOIN_DONE or JOIN_FAILED follows */
    CLUSTER_IGNORED, /* oneself */
    CLUSTER_ALREADY_IN, /* already_in_cluster */
    CLUSTER_NOT_IN,     /* node_not_in_cluster */
    CLUSTER_BUSY,       /* another join is under way */
    CLUSTER_BAD_NAME,   /* not Name@Host, or too long */
    CLUSTER_NO_MEMORY,
};

enum cluster_event_type {
    CLUSTER_EVENT_UP, /* a member that was down or cleaned runs again */
    CLUSTER_EVENT_SUSPECT,
    CLUSTER_EVENT_DOWN,   /* cause: REFUSED, SILENT, STOPPED, or NONE when others said so */
    CLUSTER_EVENT_JOINED, /* a member new to the list */
    CLUSTER_EVENT_LEFT,
    CLUSTER_EVENT_FORCED_OUT, /* name may be our own: then we are alone and rest */
    CLUSTER_EVENT_CLEANED,
    CLUSTER_EVENT_PATH_BROKEN, /* a partial partition: we do not hear the member, others do */
    CLUSTER_EVENT_PATH_HEALED,
    CLUSTER_EVENT_SPLIT_SEEN,        /* the first member is down by silence; name is "" */
    CLUSTER_EVENT_SPLIT_HEALED,      /* the last of those is back, or given up */
    CLUSTER_EVENT_NAME_REGISTERED,   /* `name` the member's, `node` what it registered */
    CLUSTER_EVENT_NAME_UNREGISTERED, /* the same */
    CLUSTER_EVENT_JOIN_PROGRESS, /* count: members known so far, names: names taken over so far */
    CLUSTER_EVENT_JOIN_DONE,     /* name: the target; count members and names were taken over */
    CLUSTER_EVENT_JOIN_FAILED,   /* name: the target; cause, by_us */
    CLUSTER_EVENT_LINK_UP,
    CLUSTER_EVENT_LINK_DOWN,      /* cause; told of links that had been established */
    CLUSTER_EVENT_LINK_REFUSED,   /* cause, by_us; a link or an attempt that came to nothing */
    CLUSTER_EVENT_MERGED,         /* the cluster was found to be one with another, and is now */
    CLUSTER_EVENT_NAME_CLASH,     /* someone else runs under our name */
    CLUSTER_EVENT_DIRECTORY_FULL, /* an own name was not published: too many */
};
const char *cluster_event_name(enum cluster_event_type type);

struct cluster_event {
    enum cluster_event_type type;
    const char *name; /* borrowed until notify returns */
    enum cluster_cause cause;
    bool by_us;           /* the cause is our objection to the peer, not the peer's to us */
    bool same_generation; /* of UP: it did not restart, a split healed */
    const struct directory_name *node; /* borrowed until notify returns, else NULL */
    size_t count, names;
};

/*
 * What the cluster asks of its shell. `context` is cluster_options.io_context.
 *
 * connect: begin to connect to the member (host from its name; port as it told, or by the rule).
 *     The shell answers with cluster_link_up, or with cluster_connect_failed, within
 *     CLUSTER_CONNECT_MS. One attempt a name at a time. False: it could not even begin, for lack
 *     of memory; the cluster treats that as a failed attempt, at the next cluster_tick.
 * send: queue whole frames. False: the queue is full (CLUSTER_QUEUE_MAX) or there is no memory;
 *     the cluster then gives the link up with io.disconnect.
 * disconnect: see "Links" above.
 * persist: the state that cluster_store_of encodes has changed. `urgent`: save it now, it is about
 *     ourselves (joined, left, forced out, incarnation); otherwise within a second or so.
 * notify: something happened; see struct cluster_event.
 * name_allowed: whether the peer of this handle may carry this name (certificates); NULL: yes.
 */
struct cluster_io {
    bool (*connect)(void *context, const char *name);
    bool (*send)(void *context, void *handle, struct bytes frames);
    void (*disconnect)(void *context, void *handle, enum cluster_cause cause);
    void (*persist)(void *context, bool urgent);
    void (*notify)(void *context, const struct cluster_event *event);
    bool (*name_allowed)(void *context, void *handle, const char *name);
};

#define CLUSTER_CONNECT_MS 5000
#define CLUSTER_JOIN_MS 30000 /* a join that is not done by then has failed */

struct cluster_options {
    const char *name;         /* node.name */
    const char *cluster_name; /* cluster.name; at most CLUSTER_NAME_MAX bytes */
    uint16_t port;            /* our front port, told to others; 0: by the rule */
    bool autoheal;
    int64_t autoclean_ms; /* 0: never */
    bool discovery;       /* a strategy other than manual is set */
    int64_t wall_ms;      /* the wall clock at the start: incarnations grow from it */
    struct random random; /* a generator of our own from here on */
    struct bytes stored;  /* what cluster_store_of gave in an earlier generation; empty: none */
    struct cluster_io io;
    void *io_context;
};

/* autoheal on, autoclean 5m, everything else zero: name, wall_ms, random and io are to be set. */
struct cluster_options cluster_options_default(void);

enum cluster_start {
    CLUSTER_STARTED,
    CLUSTER_START_NO_MEMORY,
    CLUSTER_START_BAD_NAME,
    CLUSTER_START_STORE_DAMAGED, /* set the file aside and start with an empty one */
    CLUSTER_START_NAME_CHANGED,  /* the store has another name, that of a member: leave first */
};

/* All that the options point to is copied. *made is set when the answer is CLUSTER_STARTED, and
 * before io is called: a restored member is connected to at once. */
enum cluster_start cluster_new(const struct cluster_options *options, int64_t now_ms,
                               struct cluster **made);

/* Tells all links that this daemon stops, so that nobody needs to find out, and ends them. */
void cluster_stop(struct cluster *cluster, int64_t now_ms);

/* Frees without a word; the handles of links that are left are the shell's to close. */
void cluster_free(struct cluster *cluster);

/* Commands. cluster_join's target is tried for CLUSTER_JOIN_MS at most. */
enum cluster_verdict cluster_join(struct cluster *cluster, const char *target, int64_t now_ms);
enum cluster_verdict cluster_leave(struct cluster *cluster, int64_t now_ms);
enum cluster_verdict cluster_force_leave(struct cluster *cluster, const char *name, int64_t now_ms);

/*
 * What discovery found: names, our own may be among them. To be told again each time the strategy
 * has asked (every 5 s, say) until cluster_wants_discovery is false: those that are no members yet
 * are contacted, and two clusters that so find each other merge. Rests after leave and force-leave.
 */
void cluster_discovered(struct cluster *cluster, const char *const *names, size_t count,
                        int64_t now_ms);
bool cluster_wants_discovery(const struct cluster *cluster);

/* The local registry's doings. A name that is registered again replaces what it had. */
void cluster_name_registered(struct cluster *cluster, const struct directory_name *name,
                             int64_t now_ms);
void cluster_name_unregistered(struct cluster *cluster, struct bytes name, int64_t now_ms);

/*
 * A connection stands, authenticated. `name`: whom io.connect was asked for; NULL: the peer called
 * us. The cluster may say HELLO, and call io.send or io.disconnect with `handle`, before this
 * returns. NULL is returned
 *
 *   - without a call of io.disconnect when there are too many links, the cluster stops, or memory
 *     is out: the shell is to close the connection;
 *   - after a call of io.disconnect for this handle when the link was given up at once (io.send
 *     took no HELLO): the connection is on its way out already.
 *
 * So a shell's way to end a handle must be one that does no harm the second time.
 */
struct cluster_link *cluster_link_up(struct cluster *cluster, void *handle, const char *name,
                                     int64_t now_ms);
void cluster_link_down(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause,
                       int64_t now_ms);
void cluster_connect_failed(struct cluster *cluster, const char *name, enum cluster_cause cause,
                            int64_t now_ms);

/* Takes the whole frames at the start of `bytes`; says how many bytes that were. The link may be
 * gone afterwards: io.disconnect was called then. */
size_t cluster_receive(struct cluster *cluster, struct cluster_link *link, struct bytes bytes,
                       int64_t now_ms);

void cluster_tick(struct cluster *cluster, int64_t now_ms);
int64_t cluster_due_ms(const struct cluster *cluster);

/*
 * The state to save: cluster id, members, own numbers, tombstones, cleaned members
 * (store.h). Newly allocated, the caller frees it. NULL when out of memory: to be tried
 * again soon, for what is not saved is forgotten in a crash.
 */
uint8_t *cluster_store_of(const struct cluster *cluster, size_t *len);

/*
 * Whether all holds that must hold inside between two calls: NULL, or what does not. For tests; it
 * walks over all members for each link.
 */
const char *cluster_check(const struct cluster *cluster);

/* --- questions --- */

struct cluster_member_view {
    const char *name;         /* borrowed until the next call that takes now_ms */
    enum cluster_state state; /* oneself: CLUSTER_ALIVE */
    bool is_self;
    bool linked;      /* a link stands between us */
    bool path_broken; /* it should stand, does not, and others hear the member */
    uint64_t joined, generation, incarnation;
    uint16_t port;
    int64_t since_ms;         /* in this state, in terms of now_ms */
    enum cluster_cause cause; /* of DOWN */
    size_t names;
};

/* ALIVE, SUSPECT and DOWN members, oneself among them. */
size_t cluster_member_count(const struct cluster *cluster);

/*
 * A walk over all records in the order of the ring. *cursor starts at 0; false at the end. `all`:
 * CLEANED, LEFT and FORCED_OUT too. Good as long as no call that takes now_ms comes in between.
 */
bool cluster_member_next(const struct cluster *cluster, size_t *cursor, bool all,
                         struct cluster_member_view *view);
bool cluster_member_find(const struct cluster *cluster, const char *name,
                         struct cluster_member_view *view);

const char *cluster_self(const struct cluster *cluster);
struct cluster_id cluster_id(const struct cluster *cluster);
uint64_t cluster_incarnation(const struct cluster *cluster);

/* Whether there is anything to leave: another member in the list, or one that was cleaned. */
bool cluster_is_in(const struct cluster *cluster);
bool cluster_is_joining(const struct cluster *cluster);
bool cluster_is_discovery_paused(const struct cluster *cluster);
bool cluster_was_forced_out(const struct cluster *cluster); /* therefore it rests, alone */
size_t cluster_link_count(const struct cluster *cluster);

/* The names of all members; owners that are DOWN keep theirs (directory_owner_context of an entry's
 * owner is for cluster_owner_state). */
const struct directory *cluster_directory(const struct cluster *cluster);
enum cluster_state cluster_owner_state(const struct directory_owner *owner);

#endif
