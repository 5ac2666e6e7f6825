/*
 * The words of the cluster: bounds, states, causes, events, options, and what it asks of its shell.
 * Everything in src/cluster stands on this; callers get it through cluster.h.
 */
#ifndef PORTOLAN_CLUSTER_TYPES_H
#define PORTOLAN_CLUSTER_TYPES_H

#include "base/bytes.h"
#include "base/random.h"
#include "names/directory.h"

#define CLUSTER_NAME_MAX 255                 /* bytes of a member's name */
#define CLUSTER_MEMBERS_MAX 16384            /* in the list and cleaned, together */
#define CLUSTER_TOMBSTONES_MAX 4096          /* of each kind; the oldest give way */
#define CLUSTER_LINKS_MAX 1024               /* at one member, those in the handshake included */
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
    bool by_us;           /* the cause is our rejection of the peer, not the peer's of us */
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

enum cluster_start {
    CLUSTER_STARTED,
    CLUSTER_START_NO_MEMORY,
    CLUSTER_START_BAD_NAME,
    CLUSTER_START_STORE_DAMAGED, /* set the file aside and start with an empty one */
    CLUSTER_START_NAME_CHANGED,  /* the store has another name, that of a member: leave first */
};

#endif
