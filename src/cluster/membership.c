#include "cluster/membership.h"

#include "base/assert.h"
#include "base/checksum.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16

void membership_init(struct membership *membership) {
    memset(membership, 0, sizeof *membership);
}

void membership_clear(struct membership *membership) {
    for (size_t i = 0; i < membership->count; i++)
        free(membership->ring[i]);
    free(membership->ring);
    membership_init(membership);
}

uint64_t membership_hash(struct bytes name) {
    return random_mix(checksum_of(name));
}

struct bytes member_name(const struct member *member) {
    return bytes_of(member->name, member->name_len);
}

struct directory_version member_names(const struct member *member) {
    struct directory_version none = {.generation = member->generation};
    if (member->owner == NULL ||
        directory_owner_version(member->owner).generation != member->generation)
        return none;
    return directory_owner_version(member->owner);
}

bool member_is_tombstone(const struct member *member) {
    return member->state == CLUSTER_LEFT || member->state == CLUSTER_FORCED_OUT;
}

bool member_is_running(const struct member *member) {
    return member->state == CLUSTER_ALIVE || member->state == CLUSTER_SUSPECT;
}

bool member_is_listed(const struct member *member) {
    return member_is_running(member) || member->state == CLUSTER_DOWN;
}

size_t membership_at(const struct membership *membership, uint64_t hash) {
    size_t low = 0, high = membership->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (membership->ring[middle]->hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct member *membership_find_hash(const struct membership *membership, uint64_t hash) {
    size_t at = membership_at(membership, hash);
    return at < membership->count && membership->ring[at]->hash == hash ? membership->ring[at]
                                                                        : NULL;
}

struct member *membership_find(const struct membership *membership, struct bytes name) {
    uint64_t hash = membership_hash(name);
    for (size_t at = membership_at(membership, hash);
         at < membership->count && membership->ring[at]->hash == hash; at++) {
        if (bytes_equal(member_name(membership->ring[at]), name))
            return membership->ring[at];
    }
    return NULL;
}

/* --- digests --- */

/* What two members of the cluster must agree on; suspicions come and go and are left out. */
static uint64_t digest_of(const struct member *member) {
    if (member->state == CLUSTER_CLEANED)
        return 0;
    uint64_t state = member->state == CLUSTER_SUSPECT ? CLUSTER_ALIVE : member->state;
    const uint64_t fields[] = {state, member->joined, member->generation, member->incarnation,
                               member_names(member).sequence};
    uint64_t digest = member->hash;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        digest = random_mix(digest + fields[i] + UINT64_C(0x9e3779b97f4a7c15));
    return digest;
}

static void put_digest(struct membership *membership, struct member *member, uint64_t digest) {
    uint64_t change = member->digest ^ digest;
    membership->buckets[member->hash >> 56] ^= change;
    membership->root ^= change;
    member->digest = digest;
}

void membership_refresh(struct membership *membership, struct member *member) {
    put_digest(membership, member, digest_of(member));
}

/* --- the table --- */

static bool make_room(struct membership *membership) {
    if (membership->count < membership->capacity)
        return true;
    size_t capacity = membership->capacity == 0 ? FIRST_CAPACITY : membership->capacity * 2;
    struct member **ring = realloc(membership->ring, capacity * sizeof *ring);
    if (ring == NULL)
        return false;
    membership->ring = ring;
    membership->capacity = capacity;
    return true;
}

/* Whether `a` gives way before `b`. By what their makers said, so that all members choose alike. */
static bool is_older(const struct member *a, const struct member *b, enum cluster_state state) {
    if (state == CLUSTER_CLEANED)
        return a->since_ms < b->since_ms;
    return a->stamp_ms != b->stamp_ms ? a->stamp_ms < b->stamp_ms : a->hash < b->hash;
}

struct member *membership_crowded_out(const struct membership *membership,
                                      enum cluster_state state) {
    bool tombstone = state == CLUSTER_LEFT || state == CLUSTER_FORCED_OUT;
    if (tombstone) {
        if (membership->of_state[state] <= CLUSTER_TOMBSTONES_MAX)
            return NULL;
    } else {
        if (membership_listed(membership) + membership->of_state[CLUSTER_CLEANED] <
            CLUSTER_MEMBERS_MAX)
            return NULL;
        state = CLUSTER_CLEANED;
    }
    struct member *oldest = NULL;
    for (size_t i = 0; i < membership->count; i++) {
        struct member *member = membership->ring[i];
        if (member->state == state && (oldest == NULL || is_older(member, oldest, state)))
            oldest = member;
    }
    return oldest;
}

static bool is_full(const struct membership *membership, enum cluster_state state) {
    if (state == CLUSTER_LEFT || state == CLUSTER_FORCED_OUT)
        return membership->of_state[state] > CLUSTER_TOMBSTONES_MAX;
    return membership_listed(membership) + membership->of_state[CLUSTER_CLEANED] >=
           CLUSTER_MEMBERS_MAX;
}

struct member *membership_add(struct membership *membership, struct bytes name,
                              enum cluster_state state) {
    if (name.len > CLUSTER_NAME_MAX || is_full(membership, state) || !make_room(membership))
        return NULL;
    struct member *member = calloc(1, sizeof *member + name.len + 1);
    if (member == NULL)
        return NULL;
    member->hash = membership_hash(name);
    member->name_len = (uint8_t)name.len;
    memcpy(member->name, name.data, name.len);
    PORTOLAN_ASSERT(membership->count < membership->capacity);
    size_t at = membership_at(membership, member->hash);
    memmove(membership->ring + at + 1, membership->ring + at,
            (membership->count - at) * sizeof *membership->ring);
    membership->ring[at] = member;
    membership->count++;
    member->state = (uint8_t)state;
    membership->of_state[state]++;
    membership_refresh(membership, member);
    return member;
}

void membership_remove(struct membership *membership, struct member *member) {
    size_t at = membership_at(membership, member->hash);
    while (at < membership->count && membership->ring[at] != member)
        at++;
    PORTOLAN_ASSERT(at < membership->count);
    PORTOLAN_ASSERT(member->suspicion == NULL && member->pulling == NULL && !member->queued);
    PORTOLAN_ASSERT(membership->of_state[member->state] > 0);
    put_digest(membership, member, 0);
    membership->count--;
    memmove(membership->ring + at, membership->ring + at + 1,
            (membership->count - at) * sizeof *membership->ring);
    membership->of_state[member->state]--;
    free(member);
}

void membership_set_state(struct membership *membership, struct member *member,
                          enum cluster_state state) {
    PORTOLAN_ASSERT(membership->of_state[member->state] > 0);
    membership->of_state[member->state]--;
    membership->of_state[state]++;
    member->state = (uint8_t)state;
    membership_refresh(membership, member);
}

size_t membership_running(const struct membership *membership) {
    return membership->of_state[CLUSTER_ALIVE] + membership->of_state[CLUSTER_SUSPECT];
}

size_t membership_listed(const struct membership *membership) {
    return membership_running(membership) + membership->of_state[CLUSTER_DOWN];
}

/* --- which record wins --- */

struct rank {
    uint64_t stamp;
    uint64_t incarnation;
    int ended, state;
};

static struct rank rank_of(enum cluster_state state, uint64_t joined, uint64_t incarnation) {
    switch (state) {
    case CLUSTER_LEFT:
        return (struct rank){.stamp = incarnation, .ended = 1, .state = 0};
    case CLUSTER_FORCED_OUT:
        return (struct rank){.stamp = incarnation, .ended = 1, .state = 1};
    case CLUSTER_ALIVE:
    case CLUSTER_SUSPECT:
    case CLUSTER_DOWN:
    case CLUSTER_CLEANED:
        break;
    }
    int order = state == CLUSTER_CLEANED ? CLUSTER_DOWN : (int)state;
    return (struct rank){.stamp = joined, .incarnation = incarnation, .state = order};
}

int membership_compare(const struct member *known, const struct wire_record *heard) {
    struct rank a = rank_of((enum cluster_state)known->state, known->joined, known->incarnation);
    struct rank b = rank_of((enum cluster_state)heard->state, heard->joined, heard->incarnation);
    if (a.stamp != b.stamp)
        return a.stamp < b.stamp ? 1 : -1;
    if (a.ended != b.ended)
        return a.ended < b.ended ? 1 : -1;
    if (a.incarnation != b.incarnation)
        return a.incarnation < b.incarnation ? 1 : -1;
    return a.state < b.state ? 1 : a.state > b.state ? -1 : 0;
}
