#include "cluster/topology.h"

uint64_t topology_distance(uint64_t from, uint64_t to) {
    return to - from;
}

/* Adds it unless it is there; members come in no order, but there are few. */
static size_t add_once(struct member **list, size_t count, struct member *member) {
    for (size_t i = 0; i < count; i++) {
        if (list[i] == member)
            return count;
    }
    list[count] = member;
    return count + 1;
}

static size_t all_running(const struct membership *membership, const struct member *of,
                          const struct member *but, struct member **list) {
    size_t count = 0;
    for (size_t i = 0; i < membership->count && count < TOPOLOGY_MAX; i++) {
        struct member *member = membership->ring[i];
        if (member != of && member != but && member_is_running(member))
            list[count++] = member;
    }
    return count;
}

/* The first running member from index `at` on, once around; NULL when there is none. */
static struct member *running_from(const struct membership *membership, size_t at, bool backwards) {
    size_t count = membership->count;
    for (size_t i = 0; i < count; i++) {
        size_t step = backwards ? count - i : i;
        struct member *member = membership->ring[(at + step) % count];
        if (member_is_running(member))
            return member;
    }
    return NULL;
}

static size_t index_of(const struct membership *membership, const struct member *member) {
    size_t at = membership_at(membership, member->hash);
    while (membership->ring[at] != member)
        at++;
    return at;
}

/* The next running members after `of` in one direction. */
static size_t add_next(const struct membership *membership, const struct member *of,
                       const struct member *but, bool backwards, struct member **list,
                       size_t count) {
    size_t ring = membership->count, at = index_of(membership, of), found = 0;
    for (size_t i = 1; i < ring && found < TOPOLOGY_SUCCESSORS; i++) {
        struct member *member = membership->ring[(at + (backwards ? ring - i : i)) % ring];
        if (!member_is_running(member) || member == but)
            continue;
        count = add_once(list, count, member);
        found++;
    }
    return count;
}

size_t topology_neighbours(const struct membership *membership, const struct member *of,
                           struct member *neighbours[TOPOLOGY_MAX]) {
    if (membership_running(membership) <= TOPOLOGY_MESH)
        return all_running(membership, of, NULL, neighbours);
    size_t count = add_next(membership, of, NULL, false, neighbours, 0);
    for (int k = 0; k < 64; k++) {
        size_t at = membership_at(membership, of->hash + (UINT64_C(1) << k));
        struct member *finger = running_from(membership, at, false);
        if (finger != NULL && finger != of)
            count = add_once(neighbours, count, finger);
    }
    return count;
}

size_t topology_probers(const struct membership *membership, const struct member *of,
                        const struct member *but, struct member *probers[TOPOLOGY_MAX]) {
    if (membership_running(membership) <= TOPOLOGY_MESH)
        return all_running(membership, of, but, probers);
    size_t count = add_next(membership, of, but, false, probers, 0);
    return add_next(membership, of, but, true, probers, count);
}
