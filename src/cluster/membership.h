/*
 * The records of members, and which of two records of one member wins.
 *
 * A member writes its own record: three numbers that only grow, taken from the clock (microseconds
 * since 1970 when they are chosen, or one more than any that was seen, whichever is higher):
 *
 *   joined       of the join that made it a member of its present cluster; 0 if it never joined
 *   generation         of its last start, join or leave: its names belong to it (names/directory.h)
 *   incarnation  of its last word that it is alive: one more each time it refutes a suspicion
 *
 * A number that is more than CLUSTER_AHEAD_MAX_YEARS above one's own clock is refused, wherever it
 * stands: above 2^53 there is none with which a member could answer a lie. So many years are no
 * limit for a clock that was never set (1970), and leave room for answers until 2155.
 *
 * joined <= generation <= incarnation. Others may add a state to the record, for this incarnation.
 * A tombstone has one number, the incarnation at which the member left or was forced out: it ends
 * all memberships that were joined at or before it. Records of a member are ordered by
 *
 *   (joined, 0, incarnation, state)      ALIVE < SUSPECT < DOWN = CLEANED
 *   (incarnation, 1, 0, state)           of a tombstone; LEFT < FORCED_OUT
 *
 * field by field, and the highest wins, so that it does not matter in which order they arrive, how
 * often or by whom. A tombstone so beats every record of a membership that it ended, whatever its
 * incarnation, and loses to a later join.
 *
 * The table owns its members and keeps them on the ring: sorted by the 64-bit hash of their names.
 * Oneself is in it. For anti-entropy each of 256 equal parts of the ring, a bucket, has the XOR of
 * its members' digests. Pure: no clock, no I/O. Times are the `now_ms` of the callers.
 */
#ifndef PORTOLAN_CLUSTER_MEMBERSHIP_H
#define PORTOLAN_CLUSTER_MEMBERSHIP_H

#include "cluster/types.h"
#include "cluster/wire.h"

struct suspicion;
struct cluster_link;

struct member {
    uint64_t hash; /* its place on the ring */
    uint64_t joined, generation, incarnation;
    uint64_t stamp_ms;             /* tombstones: when, since 1970, by the clock of who made it */
    uint64_t advertised_sequence;  /* the highest of this generation that anyone claims to hold */
    uint64_t digest;               /* what its bucket holds of it */
    int64_t since_ms;              /* in its state */
    int64_t clean_not_before_ms;   /* DOWN: not cleaned before then, for it is called once more */
    struct directory_owner *owner; /* borrowed from the directory; NULL until it has names */
    struct suspicion *suspicion;   /* borrowed from suspicion; NULL unless SUSPECT */
    struct cluster_link *pulling;  /* borrowed: who was asked for its names */
    uint16_t port;
    uint8_t state;       /* enum cluster_state */
    uint8_t cause;       /* enum cluster_cause; of DOWN */
    bool queued;         /* in the list of gossip */
    bool last_call_made; /* DOWN: that call is under way */
    bool silent;         /* DOWN by silence, or cleaned after that: a split, perhaps */
    uint8_t name_len;
    char name[]; /* with a NUL */
};

struct membership {
    struct member **ring; /* by (hash, name) */
    size_t count, capacity;
    uint64_t buckets[WIRE_BUCKETS];
    uint64_t root; /* XOR of the buckets */
    size_t of_state[CLUSTER_FORCED_OUT + 1];
};

void membership_init(struct membership *membership);
void membership_clear(struct membership *membership); /* and frees all */

/* FNV-1a, then mixed: names that differ in one digit land far apart. */
uint64_t membership_hash(struct bytes name);

/* The index of the first member at or after `hash`; `count` when there is none. */
size_t membership_at(const struct membership *membership, uint64_t hash);
struct member *membership_find(const struct membership *membership, struct bytes name);
struct member *membership_find_hash(const struct membership *membership, uint64_t hash);

/*
 * A new member in this state with all numbers 0; NULL when out of memory or when there is no room.
 * membership_crowded_out says whom to remove to make room: before a living member is added, the
 * longest cleaned when all places are taken; after a tombstone was made, the oldest of its kind
 * when there is one too many. NULL: nobody.
 */
struct member *membership_add(struct membership *membership, struct bytes name,
                              enum cluster_state state);
struct member *membership_crowded_out(const struct membership *membership,
                                      enum cluster_state state);
void membership_remove(struct membership *membership, struct member *member);

/* The only way to change a state; since_ms is the caller's to set. */
void membership_set_state(struct membership *membership, struct member *member,
                          enum cluster_state state);

/* To be called after any number of the member, or the version of its names, has changed. */
void membership_refresh(struct membership *membership, struct member *member);

bool member_is_tombstone(const struct member *member);
bool member_is_listed(const struct member *member);  /* ALIVE, SUSPECT, DOWN */
bool member_is_running(const struct member *member); /* ALIVE, SUSPECT */
struct bytes member_name(const struct member *member);

/* The version of its names that we hold: of its present generation, 0 when there are none yet. */
struct directory_version member_names(const struct member *member);

/* > 0: what is heard wins; < 0: what is known does; 0: they say the same. The order above. */
int membership_compare(const struct member *known, const struct wire_record *heard);

size_t membership_running(const struct membership *membership);
size_t membership_listed(const struct membership *membership);

#endif
