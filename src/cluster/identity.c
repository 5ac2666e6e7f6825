#include "cluster/identity.h"

#include "cluster/peer.h"

struct cluster_id identity_new(struct cluster *cluster) {
    return (struct cluster_id){.created_ms = cluster_wall_ms(cluster),
                               .random = random_next(&cluster->random)};
}

int identity_compare(struct cluster_id a, struct cluster_id b) {
    if (a.created_ms != b.created_ms)
        return a.created_ms < b.created_ms ? -1 : 1;
    if (a.random != b.random)
        return a.random < b.random ? -1 : 1;
    return 0;
}

/* The older of two ids stays. All links are told, so that all members get there. */
void identity_adopt(struct cluster *cluster, struct cluster_link *from, struct cluster_id id) {
    if (identity_compare(id, cluster->id) >= 0)
        return;
    cluster->id = id;
    cluster_notify(cluster, CLUSTER_EVENT_MERGED, from->peer->name, CLUSTER_CAUSE_NONE);
    cluster_persist(cluster, true);
    uint8_t buffer[WIRE_HEAD + 16];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = wire_begin(&writer, WIRE_IDENTITY);
    wire_write_id(&writer, id);
    wire_end(&writer, begun);
    link_broadcast(cluster, from, &writer);
}
