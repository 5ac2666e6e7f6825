/*
 * What the parts of one member share. Only files of src/cluster include this; cluster.h is the
 * face.
 *
 *   cluster.c    generation, time                      peers.c  whom we connect to, and the links
 *   greeting.c   HELLO: what are we to another   commands.c  join, leave, force-leave, discovery
 *   facts.c      records heard                   news.c      records told
 *   catalogue.c  names: changes, snapshots       sync.c      anti-entropy
 *   failure.c    silence, suspicion, evidence    topology.c  who links to whom
 *   view.c  answers to questions         store.c  what survives a restart
 *   receive.c    frames that come in             check.c  what must hold between calls
 *
 * How a call runs: a public function notes when it is (cluster_enter), does its work, and lets the
 * consequences follow (cluster_settle): news go out in one frame a link, links the topology wants
 * are begun, dropped links and peers nobody needs are freed. In between, a dropped link stays in
 * the list with `gone` set, so that no loop over links loses its footing.
 */
#ifndef PORTOLAN_CLUSTER_INNER_H
#define PORTOLAN_CLUSTER_INNER_H

#include "cluster/cluster.h"
#include "cluster/membership.h"
#include "cluster/wire.h"

#include <sys/queue.h>

#define HEARTBEAT_MS 1000
#define SILENCE_MS 3000        /* unheard for so long: ask others, then suspect */
#define ANTI_ENTROPY_MS 5000   /* between two comparisons with a random link */
#define HANDSHAKE_MS 5000      /* for a link to be established */
#define LATE_MS 1000           /* a call that comes so late after its time: we were starved */
#define UNWANTED_MS 10000      /* a link that the topology needs no more is kept so long */
#define HEAL_FIRST_MS 1000     /* between attempts to reach members that are down, growing … */
#define HEAL_LAST_MS 30000     /* … to this, and when all of them have been cleaned … */
#define HEAL_CLEANED_MS 120000 /* … to this */
#define HEAL_AT_ONCE 3         /* members tried at a time */
#define RETRY_FIRST_MS 250     /* between attempts to reach a neighbour that runs */
#define RETRY_LAST_MS 5000
#define CLEANED_MEMORY_MS (INT64_C(24) * 3600 * 1000)

/* --- links --- */

struct cluster_link {
    TAILQ_ENTRY(cluster_link) entry;
    void *handle;
    struct peer *peer; /* NULL until a caller has said its name */
    bool outgoing;
    bool established;
    bool gone;           /* disconnected: to be freed when the call settles */
    bool closing;        /* to be dropped when the news have gone out */
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

    /* sync.c: buckets yet to be compared, and answers awaited */
    uint8_t buckets_left[WIRE_BUCKETS / 8];
    unsigned ranges_awaited;
    bool summary_awaited;

    /* catalogue.c: snapshots awaited, and the one that is coming in */
    unsigned pulls_in_flight; /* as many as members have this link as `pulling` */
    bool more_to_pull;        /* more is to be pulled when these are done … */
    uint64_t pull_cursor;     /* … from here on the ring */
    struct directory_snapshot *snapshot;
    uint64_t snapshot_owner;
};
TAILQ_HEAD(links, cluster_link);

/* --- peers --- */

#define REASON_TOPOLOGY 1 /* by the topology */
#define REASON_JOIN 2     /* the target of cluster_join */
#define REASON_SEED 4     /* found by discovery */
#define REASON_HEAL 8     /* down or cleaned, tried by autoheal */

/* Someone we connect to or are linked with, and what we hear of it. */
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

    /* failure.c: the question that is out */
    unsigned probes_awaited; /* answers awaited; 0: none */
    uint32_t probe_number;
    int64_t probe_deadline_ms, next_probe_ms;

    char name[]; /* with a NUL */
};
TAILQ_HEAD(peers, peer);

TAILQ_HEAD(suspicions, suspicion);

struct gossip {
    struct member *member;
    struct cluster_link *from; /* who told us: need not be told; NULL when several did */
};

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
    bool discovery_paused;
    bool forced_out;               /* discovery_paused for that reason */
    unsigned prior_joins_followed; /* in this generation (greeting.c) */
    bool stopping;
    bool seeds_unmet;
    bool split; /* a member is down by silence */
    bool ring_changed;
    bool needs_sweep;        /* links or peers may be there to free … */
    bool closing;            /* … or links to close, when the call settles */
    int64_t next_connect_ms; /* no peer is to be tried before */
    bool starting;           /* members are read from the store: no events */

    struct links links;
    size_t link_count;
    struct peers peers;
    struct suspicions suspicions;
    struct gossip *gossip;
    size_t gossip_count, gossip_capacity;
    uint32_t next_number;

    struct peer *join; /* the pending join's target */
    bool join_adopted; /* we are in the target's cluster; its state is still coming */
    int64_t join_deadline_ms;
    enum cluster_cause join_cause; /* why, if it is not done by then */

    int64_t next_heartbeat_ms, next_anti_entropy_ms, next_heal_ms, next_clean_ms;
    int64_t heal_interval_ms;
};

/* --- cluster.c --- */

void cluster_enter(struct cluster *cluster, int64_t now_ms);
void cluster_settle(struct cluster *cluster);
void cluster_wake_at(struct cluster *cluster, int64_t when_ms); /* tick no later than this */
void arm_heartbeat(struct cluster *cluster); /* there are links: heartbeats and comparisons go on */
uint64_t cluster_wall_ms(const struct cluster *cluster);
uint64_t cluster_clock(const struct cluster *cluster); /* the same as an incarnation */
/* Whether a number is so far above our clock that it cannot be one of a clock: see membership.h. */
bool cluster_is_far_ahead(const struct cluster *cluster, uint64_t number);
bool cluster_is_alone(const struct cluster *cluster); /* nobody else is in the list */
struct cluster_id cluster_new_id(struct cluster *cluster);
int cluster_id_compare(struct cluster_id a, struct cluster_id b);
void cluster_notify(struct cluster *cluster, enum cluster_event_type type, const char *name,
                    enum cluster_cause cause);

/* --- peers.c --- */

struct peer *peer_find(const struct cluster *cluster, struct bytes name);
struct peer *peer_get(struct cluster *cluster, struct bytes name); /* NULL: no memory */
struct peer *peer_of(const struct cluster *cluster, const struct member *member);
struct member *peer_member(const struct cluster *cluster, const struct peer *peer);
void peer_try_at(struct cluster *cluster, struct peer *peer, int64_t when_ms);
void peer_try_later(struct cluster *cluster, struct peer *peer); /* with back-off */
void peer_attach(struct peer *peer, struct cluster_link *link);
void peers_connect(struct cluster *cluster); /* those that are due */
void peers_fail_not_started(struct cluster *cluster);
void peers_follow_topology(struct cluster *cluster);
void peers_close_unwanted(struct cluster *cluster);
void peers_sweep(struct cluster *cluster);
int64_t peers_due_ms(const struct cluster *cluster);
void link_drop(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause);
void link_send(struct cluster *cluster, struct cluster_link *link, const struct writer *writer);
void link_reject(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause);
void links_expire_handshakes(struct cluster *cluster);

/* --- greeting.c --- */

void handshake_send_hello(struct cluster *cluster, struct cluster_link *link);
void handshake_receive_hello(struct cluster *cluster, struct cluster_link *link,
                             const struct wire_hello *hello);
void handshake_receive_join_accept(struct cluster *cluster, struct cluster_link *link,
                                   uint64_t known, uint64_t prior_join);
void handshake_receive_identity(struct cluster *cluster, struct cluster_link *link,
                                struct cluster_id id);

/* --- facts.c --- */

enum merge_result {
    MERGE_NEW,
    MERGE_KNOWN,
    MERGE_STALE,   /* we know better, and may say so */
    MERGE_REFUSED, /* no room, no memory */
};
enum merge_result merge_record(struct cluster *cluster, const struct wire_record *record,
                               struct cluster_link *from);
bool merge_has_place_for(const struct cluster *cluster, struct bytes name); /* it is, or has room */
bool merge_records(struct cluster *cluster, struct cluster_link *link, struct bytes payload);
void declare_down(struct cluster *cluster, struct member *member, enum cluster_cause cause);
void end_membership(struct cluster *cluster, struct member *member, enum cluster_state kind,
                    uint64_t incarnation, struct cluster_link *from);
void self_bump_incarnation(struct cluster *cluster, uint64_t above); /* a new incarnation */
void self_new_generation(struct cluster *cluster,
                         uint64_t above);   /* and generation; joined is the caller's */
void update_split(struct cluster *cluster); /* whether there is one has changed, perhaps */
void autoclean_tick(struct cluster *cluster);
int64_t autoclean_due_ms(const struct cluster *cluster);

/* --- news.c --- */

struct wire_record gossip_record_of(const struct cluster *cluster, const struct member *member);
void gossip_enqueue(struct cluster *cluster, struct member *member, struct cluster_link *from);
void gossip_dequeue(struct cluster *cluster, struct member *member);
void gossip_flush(struct cluster *cluster); /* tells all established links */
void gossip_send_record(struct cluster *cluster, struct cluster_link *link,
                        const struct wire_record *record);
void gossip_send_member(struct cluster *cluster, struct cluster_link *link,
                        const struct member *member);

/* --- catalogue.c --- */

void replication_note_sequence(struct cluster *cluster, struct member *member, uint64_t sequence,
                               struct cluster_link *from);
void replication_receive_change(struct cluster *cluster, struct cluster_link *link,
                                const struct wire_change *change);
void replication_receive_pull(struct cluster *cluster, struct cluster_link *link,
                              struct directory_version version, struct bytes owner);
bool replication_receive_names(struct cluster *cluster, struct cluster_link *link,
                               struct reader *payload);
void replication_pull_done(struct member *member); /* its names came, or are not wanted any more */
void replication_link_gone(struct cluster *cluster, struct cluster_link *link);
void replication_watch(void *cluster, const struct directory_entry *entry, bool registered);

/* --- sync.c, failure.c, commands.c, topology.c: their headers, and --- */

void join_progress(struct cluster *cluster, struct cluster_link *link);
void join_failed(struct cluster *cluster, enum cluster_cause cause, bool by_us);
void join_become_member(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                        uint64_t prior_join);
void leave_as_ended(struct cluster *cluster, enum cluster_state kind, uint64_t incarnation);
void join_no_room(struct cluster *cluster, struct cluster_link *link);
void autoheal_tick(struct cluster *cluster);

#endif
