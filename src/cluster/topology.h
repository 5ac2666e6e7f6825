/*
 * Who links to whom. Up to TOPOLOGY_MESH running members: everyone to everyone. Beyond: members
 * stand on a ring of 64-bit hashes of their names, and each links to its TOPOLOGY_SUCCESSORS next
 * and to its fingers (Chord: Stoica et al. 2001): for each k the first at or after hash + 2^k. One
 * member more or less so changes O(log n) links, and a message finds its way to any member in
 * O(log n) steps. A link serves both ends, whoever wanted it.
 */
#ifndef PORTOLAN_CLUSTER_TOPOLOGY_H
#define PORTOLAN_CLUSTER_TOPOLOGY_H

#include "cluster/membership.h"

#define TOPOLOGY_MESH 16
#define TOPOLOGY_SUCCESSORS 3
#define TOPOLOGY_MAX (TOPOLOGY_SUCCESSORS + 64)

/* The running members that `of` is to link to, each once; returns their number. */
size_t topology_neighbours(const struct membership *membership, const struct member *of,
                           struct member *neighbours[TOPOLOGY_MAX]);

/* Running members next to `of` on the ring, TOPOLOGY_SUCCESSORS on each side at most, without `of`
 * and `but`: they are linked to it. In a mesh: all others, as many as fit. */
size_t topology_probers(const struct membership *membership, const struct member *of,
                        const struct member *but, struct member *probers[TOPOLOGY_MAX]);

/* How far it is from one place on the ring to another, in its one direction. */
uint64_t topology_distance(uint64_t from, uint64_t to);

#endif
