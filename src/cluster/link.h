/*
 * A link to another daemon: from the connection that stands to the end of it. Sending on it may end
 * it (a full queue); so after any call that takes a link, ask link whether it is gone.
 */
#ifndef PORTOLAN_CLUSTER_LINK_H
#define PORTOLAN_CLUSTER_LINK_H

#include "cluster/context.h"
#include "cluster/wire.h"

#define HANDSHAKE_MS 5000 /* for a link to be established */

struct cluster_link {
    TAILQ_ENTRY(cluster_link) entry;
    void *handle;
    struct peer *peer; /* NULL until a caller has said its name */
    bool outgoing;
    bool established;
    bool gone;           /* disconnected: to be freed when the call settles */
    bool closing;        /* to be dropped when the gossip has gone out */
    bool hello_sent;     /* our HELLO was sent */
    bool rejected_by_us; /* we refuse the peer, it is not the peer that ends it */
    bool join_sync;      /* its sync takes over the state for cluster_join */
    bool found_alone;    /* when it was established we had nobody else */
    int64_t up_ms;
    struct {
        bool heard;
        uint8_t intent, flags, known_state;
        uint16_t port;
        struct cluster_id id;
        uint64_t joined, generation, incarnation, names, known_joined, known_incarnation;
    } hello; /* the peer's last */

    /* anti_entropy.c: buckets yet to be compared, and answers awaited */
    uint8_t buckets_left[WIRE_BUCKETS / 8];
    unsigned ranges_awaited;
    bool summary_awaited;

    /* replication.c: snapshots awaited, and the one that is coming in */
    unsigned pulls_in_flight; /* as many as members have this link as `pulling` */
    bool more_to_pull;        /* when these are done … */
    uint64_t pull_cursor;     /* … from here on the ring */
    struct directory_snapshot *snapshot;
    uint64_t snapshot_owner;
};

/* A connection stands; the first of it. NULL: no memory. */
struct cluster_link *link_new(struct cluster *cluster, void *handle, bool outgoing);
void link_attach(struct cluster_link *link, struct peer *peer); /* whose it is */

/* An attempt to reach the peer, or a link that never stood, came to nothing. */
void link_attempt_failed(struct cluster *cluster, struct peer *peer, enum cluster_cause cause,
                         bool by_us);

/* The shell says that it is gone. */
void link_lost(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause);

/* We end it. */
void link_drop(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause);
void link_send(struct cluster *cluster, struct cluster_link *link, const struct writer *writer);

/* Tells the peer why it is not wanted, and drops the link. */
void link_reject(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause);

/* Sends on all established links but `except` (NULL: on all). */
void link_broadcast(struct cluster *cluster, const struct cluster_link *except,
                    const struct writer *writer);

/* Whether frames other than those of the handshake may go over it. */
bool link_is_established(const struct cluster_link *link);

/* Whether nothing is awaited from it: no answer of a comparison, no names. */
bool link_has_synced(const struct cluster_link *link);

void links_expire_handshakes(struct cluster *cluster);

#endif
