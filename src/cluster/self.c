#include "cluster/self.h"

#include "cluster/gossip.h"

void self_bump_incarnation(struct cluster *cluster, uint64_t above) {
    struct member *self = cluster->self;
    if (above < self->incarnation)
        above = self->incarnation;
    if (above >= WIRE_NUMBER_MAX)
        return;
    self->incarnation = above + 1;
    membership_refresh(&cluster->membership, self);
    gossip_enqueue(cluster, self, NULL);
    cluster_persist(cluster, true);
}

void self_new_generation(struct cluster *cluster, uint64_t above) {
    uint64_t clock = cluster_clock(cluster);
    self_bump_incarnation(cluster, above < clock ? clock : above);
    cluster->self->generation = cluster->self->incarnation;
    if (cluster->self->owner != NULL)
        directory_renumber(cluster->self->owner, cluster->self->generation);
    membership_refresh(&cluster->membership, cluster->self);
}
