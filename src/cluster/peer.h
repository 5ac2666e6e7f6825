/* A peer: a daemon that we connect to or are linked with, and what we see of it. */
#ifndef PORTOLAN_CLUSTER_PEER_H
#define PORTOLAN_CLUSTER_PEER_H

#include "cluster/context.h"

#define RETRY_FIRST_MS 250 /* between attempts to reach a neighbour that runs */
#define RETRY_LAST_MS 5000
#define RESPONSIVE_MS 1500 /* a prober vouches for a member that spoke so lately */

/* Why we connect to it: `reasons` is a set of these. */
#define REASON_TOPOLOGY 1 /* a neighbour */
#define REASON_JOIN 2     /* the target of cluster_join */
#define REASON_SEED 4     /* found by discovery */
#define REASON_HEAL 8     /* down or cleaned, tried by autoheal */

struct peer {
    TAILQ_ENTRY(peer) entry;
    uint64_t hash;
    unsigned reasons;
    unsigned link_count;       /* links that refer to this peer, established or not */
    struct cluster_link *link; /* the established one */
    bool connecting;
    bool not_started; /* connecting, but io.connect could not begin: fails at the next tick */
    bool refused;     /* the last attempt: nobody listens there */
    bool path_broken;
    unsigned attempts;
    int64_t next_try_ms;
    int64_t last_seen_ms;
    int64_t unwanted_ms; /* since when nothing wants it */

    /* failure_detector.c: the probe that is out */
    unsigned probes_awaited; /* answers; 0: there is no probe */
    uint32_t probe_number;
    int64_t probe_deadline_ms, next_probe_ms;

    char name[]; /* with a NUL */
};

struct peer *peer_find(const struct cluster *cluster, struct bytes name);
struct peer *peer_get(struct cluster *cluster,
                      struct bytes name); /* or a new one; NULL: no memory */
struct peer *peer_of(const struct cluster *cluster, const struct member *member);
struct member *peer_member(const struct cluster *cluster, const struct peer *peer);

/* To connect to it no later than this, unless a link stands or an attempt is under way. */
void peer_try_at(struct cluster *cluster, struct peer *peer, int64_t when_ms);
void peer_try_later(struct cluster *cluster, struct peer *peer); /* with back-off */

/* A frame, or a new link: the daemon lives. */
void peer_seen(struct cluster *cluster, struct peer *peer);

/* Whether a link stands on which it spoke lately; of a member. */
bool peer_is_responsive(const struct cluster *cluster, const struct peer *peer);
bool is_responsive(const struct cluster *cluster, const struct member *member);

#endif
