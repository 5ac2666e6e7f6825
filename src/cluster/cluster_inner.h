/*
 * What the parts of one member share. Only files of src/cluster include this; cluster.h is the
 * face.
 *
 *   cluster.c    life, time                      contacts.c  whom we connect to, and the links
 *   greeting.c   HELLO: what are we to another   commands.c  join, leave, force-leave, discovery
 *   facts.c      records heard                   news.c      records told
 *   catalogue.c  names: changes, snapshots       sync.c      anti-entropy
 *   failure.c    silence, suspicion, evidence    topology.c  who links to whom
 *   cluster_view.c  answers to questions         cluster_store.c  what survives a restart
 *   receive.c    frames that come in             cluster_check.c  what must hold between calls
 *
 * How a call runs: a public function notes when it is (cluster_enter), does its work, and lets the
 * consequences follow (cluster_settle): news go out in one frame a link, links the topology wants
 * are begun, dropped links and contacts nobody needs are freed. In between, a dropped link stays in
 * the list with `gone` set, so that no loop over links loses its footing.
 */
#ifndef PORTOLAN_CLUSTER_INNER_H
#define PORTOLAN_CLUSTER_INNER_H

#include "cluster/cluster.h"
#include "cluster/membership.h"
#include "cluster/peer_wire.h"

#include <sys/queue.h>

#define HEARTBEAT_MS 1000
#define SILENCE_MS 3000        /* unheard for so long: ask others, then suspect */
#define SYNC_MS 5000           /* between two comparisons with a random link */
#define GREETING_MS 5000       /* for a link to be established */
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
    struct contact *contact; /* NULL until a caller has said its name */
    bool outgoing;
    bool established;
    bool gone;        /* disconnected: to be freed when the call settles */
    bool closing;     /* to be dropped when the news have gone out */
    bool greeted;     /* our HELLO was sent */
    bool objected;    /* we refuse the peer, it is not the peer that ends it */
    bool join_sync;   /* its sync takes over the state for cluster_join */
    bool found_alone; /* when it was established we had nobody else */
    int64_t up_ms;
    struct {
        bool heard;
        uint8_t intent, flags, known_state;
        uint16_t port;
        struct cluster_id id;
        uint64_t joined, life, incarnation, names, known_joined, known_incarnation;
    } hello; /* the peer's last */

    /* sync.c: buckets yet to be compared, and answers awaited */
    uint8_t buckets_left[PEER_BUCKETS / 8];
    unsigned ranges_awaited;
    bool summary_awaited;

    /* catalogue.c: snapshots awaited, and the one that is coming in */
    unsigned pulls;       /* as many as members have this link as `pulling` */
    bool behind;          /* more is to be pulled when these are done … */
    uint64_t pull_cursor; /* … from here on the ring */
    struct directory_snapshot *snapshot;
    uint64_t snapshot_owner;
};
TAILQ_HEAD(links, cluster_link);

/* --- contacts --- */

#define CONTACT_WANTED 1 /* by the topology */
#define CONTACT_JOIN 2   /* the target of cluster_join */
#define CONTACT_SEED 4   /* found by discovery */
#define CONTACT_HEAL 8   /* down or cleaned, tried by autoheal */

/* Someone we connect to or are linked with, and what we hear of it. */
struct contact {
    TAILQ_ENTRY(contact) entry;
    uint64_t hash;
    unsigned reasons;
    unsigned link_count;       /* links that refer to this contact, established or not */
    struct cluster_link *link; /* the established one */
    bool connecting;
    bool unbegun; /* connecting, but io.connect could not begin: fails at the next tick */
    bool refused; /* the last attempt: nobody listens there */
    bool path_broken;
    unsigned attempts;
    int64_t next_try_ms;
    int64_t heard_ms;
    int64_t unwanted_ms; /* since when nothing wants it */

    /* failure.c: the question that is out */
    unsigned asked; /* answers awaited; 0: none */
    uint32_t ask_number;
    int64_t ask_deadline_ms, next_ask_ms;

    char name[]; /* with a NUL */
};
TAILQ_HEAD(contacts, contact);

TAILQ_HEAD(suspicions, suspicion);

struct news {
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
    bool resting;
    bool forced_out;          /* resting for that reason */
    unsigned claims_followed; /* in this life (greeting.c) */
    bool stopping;
    bool seeds_missing;
    bool split; /* a member is down by silence */
    bool ring_changed;
    bool litter;             /* links or contacts may be there to free … */
    bool closing;            /* … or links to close, when the call settles */
    int64_t next_connect_ms; /* no contact is to be tried before */
    bool starting;           /* members are read from the store: no events */

    struct links links;
    size_t link_count;
    struct contacts contacts;
    struct suspicions suspicions;
    struct news *news;
    size_t news_count, news_capacity;
    uint32_t next_number;

    struct contact *join; /* the pending join's target */
    bool join_adopted;    /* we are in the target's cluster; its state is still coming */
    int64_t join_deadline_ms;
    enum cluster_cause join_cause; /* why, if it is not done by then */

    int64_t next_heartbeat_ms, next_sync_ms, next_heal_ms, next_clean_ms;
    int64_t heal_interval_ms;
};

/* --- cluster.c --- */

void cluster_enter(struct cluster *cluster, int64_t now_ms);
void cluster_settle(struct cluster *cluster);
void cluster_wake_at(struct cluster *cluster, int64_t when_ms); /* tick no later than this */
void cluster_beat(struct cluster *cluster); /* there are links: heartbeats and comparisons go on */
uint64_t cluster_wall_ms(const struct cluster *cluster);
uint64_t cluster_clock(const struct cluster *cluster); /* the same as an incarnation */
/* Whether a number is so far above our clock that it cannot be one of a clock: see membership.h. */
bool cluster_is_far_ahead(const struct cluster *cluster, uint64_t number);
bool cluster_is_alone(const struct cluster *cluster); /* nobody else is in the list */
struct cluster_id cluster_new_id(struct cluster *cluster);
int cluster_id_compare(struct cluster_id a, struct cluster_id b);
void cluster_tell(struct cluster *cluster, enum cluster_event_type type, const char *name,
                  enum cluster_cause cause);

/* --- contacts.c --- */

struct contact *contact_find(const struct cluster *cluster, struct bytes name);
struct contact *contact_get(struct cluster *cluster, struct bytes name); /* NULL: no memory */
struct contact *contact_of(const struct cluster *cluster, const struct member *member);
struct member *contact_member(const struct cluster *cluster, const struct contact *contact);
void contact_try_at(struct cluster *cluster, struct contact *contact, int64_t when_ms);
void contact_try_later(struct cluster *cluster, struct contact *contact); /* with back-off */
void contact_attach(struct contact *contact, struct cluster_link *link);
void contacts_connect(struct cluster *cluster); /* those that are due */
void contacts_fail_unbegun(struct cluster *cluster);
void contacts_follow_topology(struct cluster *cluster);
void contacts_close_unwanted(struct cluster *cluster);
void contacts_bury(struct cluster *cluster);
int64_t contacts_due_ms(const struct cluster *cluster);
void link_drop(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause);
void link_send(struct cluster *cluster, struct cluster_link *link, const struct writer *writer);
void link_refuse(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause);
void links_expire_greetings(struct cluster *cluster);

/* --- greeting.c --- */

void greeting_send_hello(struct cluster *cluster, struct cluster_link *link);
void greeting_receive_hello(struct cluster *cluster, struct cluster_link *link,
                            const struct peer_hello *hello);
void greeting_receive_welcome(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                              uint64_t claim);
void greeting_receive_identity(struct cluster *cluster, struct cluster_link *link,
                               struct cluster_id id);

/* --- facts.c --- */

enum facts_verdict {
    FACTS_NEW,
    FACTS_KNOWN,
    FACTS_OLD,     /* we know better, and may say so */
    FACTS_REFUSED, /* no room, no memory */
};
enum facts_verdict facts_apply(struct cluster *cluster, const struct peer_record *record,
                               struct cluster_link *from);
bool facts_may_list(const struct cluster *cluster, struct bytes name); /* it is, or has room */
bool facts_receive(struct cluster *cluster, struct cluster_link *link, struct bytes payload);
void facts_declare_down(struct cluster *cluster, struct member *member, enum cluster_cause cause);
void facts_end_membership(struct cluster *cluster, struct member *member, enum cluster_state kind,
                          uint64_t incarnation, struct cluster_link *from);
void facts_raise_self(struct cluster *cluster, uint64_t above); /* a new incarnation */
void facts_new_life(struct cluster *cluster, uint64_t above); /* and life; joined is the caller's */
void facts_note_split(struct cluster *cluster); /* whether there is one has changed, perhaps */
void facts_clean(struct cluster *cluster);
int64_t facts_clean_due_ms(const struct cluster *cluster);

/* --- news.c --- */

struct peer_record news_record_of(const struct cluster *cluster, const struct member *member);
void news_queue(struct cluster *cluster, struct member *member, struct cluster_link *from);
void news_unqueue(struct cluster *cluster, struct member *member);
void news_flush(struct cluster *cluster); /* tells all established links */
void news_send_record(struct cluster *cluster, struct cluster_link *link,
                      const struct peer_record *record);
void news_send_member(struct cluster *cluster, struct cluster_link *link,
                      const struct member *member);

/* --- catalogue.c --- */

void catalogue_note(struct cluster *cluster, struct member *member, uint64_t sequence,
                    struct cluster_link *from);
void catalogue_receive_change(struct cluster *cluster, struct cluster_link *link,
                              const struct peer_change *change);
void catalogue_receive_pull(struct cluster *cluster, struct cluster_link *link,
                            struct directory_version version, struct bytes owner);
bool catalogue_receive_names(struct cluster *cluster, struct cluster_link *link,
                             struct reader *payload);
void catalogue_pull_done(struct member *member); /* its names came, or are not wanted any more */
void catalogue_link_gone(struct cluster *cluster, struct cluster_link *link);
void catalogue_watch(void *cluster, const struct directory_entry *entry, bool registered);

/* --- sync.c, failure.c, commands.c, topology.c: their headers, and --- */

void commands_join_progress(struct cluster *cluster, struct cluster_link *link);
void commands_join_failed(struct cluster *cluster, enum cluster_cause cause, bool by_us);
void commands_become_member(struct cluster *cluster, struct cluster_link *link, uint64_t known,
                            uint64_t claim);
void commands_go_out(struct cluster *cluster, enum cluster_state kind, uint64_t incarnation);
void commands_no_room(struct cluster *cluster, struct cluster_link *link);
void commands_heal(struct cluster *cluster);

#endif
