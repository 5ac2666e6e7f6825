/*
 * The state of one member of a cluster, and the few services that every part of it needs: the
 * time, its clock, its events. No rule of the protocol is here.
 *
 * How a call runs: the face (cluster.c) enters, lets one part do its work, and settles. A part
 * calls parts below it (scripts/check-floors --map prints the order, and has the few exceptions);
 * what it wants from one above becomes a flag here, on which settle acts. A dropped link stays in
 * the list until the call settles, so that no loop over links loses its footing.
 */
#ifndef PORTOLAN_CLUSTER_CONTEXT_H
#define PORTOLAN_CLUSTER_CONTEXT_H

#include "cluster/membership.h"
#include "cluster/types.h"

#include <sys/queue.h>

#define INCARNATIONS_PER_MS 1000 /* a clock in microseconds */
#define HEARTBEAT_MS 1000
#define SILENCE_MS 3000      /* unseen for so long: probe, then suspect */
#define ANTI_ENTROPY_MS 5000 /* between two comparisons with a random link */

struct gossip;
struct peer;
TAILQ_HEAD(links, cluster_link);
TAILQ_HEAD(peers, peer);
TAILQ_HEAD(suspicions, suspicion);

struct cluster {
    struct cluster_io io;
    void *io_context;
    char *cluster_name;
    bool autoheal, discovery;
    int64_t autoclean_ms;
    int64_t wall_at_zero_ms; /* the wall clock when now_ms was 0, as of the start */
    struct random random;

    int64_t now_ms, due_ms;
    struct cluster_id id;
    struct member *self; /* in membership */
    struct membership membership;
    struct directory *directory;
    bool discovery_paused;         /* after a leave or an expulsion, until a join or a restart */
    bool forced_out;               /* discovery is paused for that reason */
    unsigned prior_joins_followed; /* in this generation (handshake.c) */
    bool stopping;
    bool seeds_unmet; /* discovery names a daemon that is not in the list */
    bool split;       /* a member is down by silence */

    struct links links;
    size_t link_count;
    struct peers peers;
    struct suspicions suspicions;
    struct gossip *gossip; /* records to tell when the call settles */
    size_t gossip_count, gossip_capacity;
    uint32_t next_number; /* of a probe */

    struct peer *join; /* the pending join's target */
    bool join_adopted; /* we are in the target's cluster; its state is still coming */
    int64_t join_deadline_ms;
    enum cluster_cause join_cause; /* why, if it is not done by then */

    int64_t next_heartbeat_ms, next_anti_entropy_ms, next_heal_ms, next_clean_ms;
    int64_t heal_interval_ms;
    int64_t next_connect_ms; /* no peer is to be tried before */

    /* what is left for settling */
    bool ring_changed;      /* which links are needed */
    bool autoclean_changed; /* a member went down, or was cleaned: settle schedules it */
    bool needs_sweep;       /* links or peers may be there to free … */
    bool closing;           /* … or links to close */
};

/* --- time --- */

void cluster_wake_at(struct cluster *cluster, int64_t when_ms); /* tick no later than this */
void sooner(int64_t *due_ms, int64_t when_ms);                  /* the earlier of two */

/* There are links: heartbeats and comparisons go on. */
void arm_heartbeat(struct cluster *cluster);

/* The wall clock, as it has run since the start: in milliseconds, and as an incarnation. */
uint64_t cluster_wall_ms(const struct cluster *cluster);
uint64_t cluster_clock(const struct cluster *cluster);

/* Whether a number is so far above our clock that it cannot be one of a clock: see membership.h. */
bool cluster_is_far_ahead(const struct cluster *cluster, uint64_t number);

/* --- the list --- */

bool cluster_is_alone(const struct cluster *cluster);   /* nobody else is in the list */
bool cluster_has_others(const struct cluster *cluster); /* in the list, or cleaned */

/* --- the shell --- */

void cluster_notify(struct cluster *cluster, enum cluster_event_type type, const char *name,
                    enum cluster_cause cause);
void cluster_persist(struct cluster *cluster, bool urgent);

#endif
