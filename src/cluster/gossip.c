#include "cluster/gossip.h"

#include "cluster/peer.h"
#include "cluster/suspicion.h"

#include <stdlib.h>

#define GOSSIP_FIRST_CAPACITY 16

struct wire_record gossip_record_of(const struct cluster *cluster, const struct member *member) {
    struct wire_record record = {
        .state = member->state == CLUSTER_CLEANED ? CLUSTER_DOWN : member->state,
        .port = member->port,
        .joined = member->joined,
        .generation = member->generation,
        .incarnation = member->incarnation,
        .name = member_name(member),
    };
    if (!member_is_tombstone(member))
        record.names = member_names(member).sequence;
    if (member_is_tombstone(member))
        record.detail = member->stamp_ms;
    else if (member->state == CLUSTER_SUSPECT)
        record.detail = suspicion_last_suspector(member);
    else if (record.state == CLUSTER_DOWN)
        record.detail = member->cause;
    if (record.state == CLUSTER_DOWN) {
        int64_t age_ms = cluster->now_ms - member->since_ms;
        if (member->state == CLUSTER_CLEANED)
            age_ms += cluster->autoclean_ms;
        record.age_ms = age_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)age_ms;
    }
    return record;
}

/* --- the queue --- */

/* Out of memory, some changes are not passed on: anti-entropy finds what is missing. */
void gossip_enqueue(struct cluster *cluster, struct member *member, struct cluster_link *from) {
    if (member->queued) {
        for (size_t i = 0; i < cluster->gossip_count; i++) {
            if (cluster->gossip[i].member == member && cluster->gossip[i].from != from)
                cluster->gossip[i].from = NULL;
        }
        return;
    }
    if (cluster->gossip_count == cluster->gossip_capacity) {
        size_t capacity =
            cluster->gossip_capacity == 0 ? GOSSIP_FIRST_CAPACITY : cluster->gossip_capacity * 2;
        struct gossip *gossip = realloc(cluster->gossip, capacity * sizeof *gossip);
        if (gossip == NULL)
            return;
        cluster->gossip = gossip;
        cluster->gossip_capacity = capacity;
    }
    cluster->gossip[cluster->gossip_count++] = (struct gossip){.member = member, .from = from};
    member->queued = true;
}

void gossip_dequeue(struct cluster *cluster, struct member *member) {
    if (!member->queued)
        return;
    for (size_t i = 0; i < cluster->gossip_count; i++) {
        if (cluster->gossip[i].member == member)
            cluster->gossip[i] = cluster->gossip[--cluster->gossip_count];
    }
    member->queued = false;
}

void gossip_discard(struct cluster *cluster) {
    for (size_t i = 0; i < cluster->gossip_count; i++)
        cluster->gossip[i].member->queued = false;
    cluster->gossip_count = 0;
}

/* A member need not be told that it is alive. */
static bool should_gossip_to(const struct gossip *gossip, const struct cluster_link *link) {
    if (gossip->from == link || gossip->member->state == CLUSTER_CLEANED)
        return false;
    return link->peer->hash != gossip->member->hash || gossip->member->state != CLUSTER_ALIVE;
}

static void flush_to(struct cluster *cluster, struct cluster_link *link) {
    uint8_t buffer[CLUSTER_FRAME_MAX];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = wire_begin(&writer, WIRE_RECORDS);
    for (size_t i = 0; i < cluster->gossip_count && !link->gone; i++) {
        if (!should_gossip_to(&cluster->gossip[i], link))
            continue;
        if (writer.capacity - writer.len < WIRE_RECORD_MAX) {
            wire_end(&writer, begun);
            link_send(cluster, link, &writer);
            writer.len = 0;
            begun = wire_begin(&writer, WIRE_RECORDS);
        }
        struct wire_record record = gossip_record_of(cluster, cluster->gossip[i].member);
        wire_write_record(&writer, &record);
    }
    wire_end(&writer, begun);
    if (writer.len > WIRE_HEAD)
        link_send(cluster, link, &writer);
}

void gossip_flush(struct cluster *cluster) {
    if (cluster->gossip_count == 0)
        return;
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link_is_established(link))
            flush_to(cluster, link);
    }
    gossip_discard(cluster);
}

/* --- at once --- */

static void write_frame(struct writer *writer, const struct wire_record *record) {
    size_t begun = wire_begin(writer, WIRE_RECORDS);
    wire_write_record(writer, record);
    wire_end(writer, begun);
}

void gossip_send_record(struct cluster *cluster, struct cluster_link *link,
                        const struct wire_record *record) {
    uint8_t buffer[WIRE_HEAD + WIRE_RECORD_MAX];
    struct writer writer = writer_of(buffer, sizeof buffer);
    write_frame(&writer, record);
    link_send(cluster, link, &writer);
}

void gossip_broadcast_record(struct cluster *cluster, const struct cluster_link *except,
                             const struct wire_record *record) {
    uint8_t buffer[WIRE_HEAD + WIRE_RECORD_MAX];
    struct writer writer = writer_of(buffer, sizeof buffer);
    write_frame(&writer, record);
    link_broadcast(cluster, except, &writer);
}

void gossip_send_member(struct cluster *cluster, struct cluster_link *link,
                        const struct member *member) {
    struct wire_record record = gossip_record_of(cluster, member);
    gossip_send_record(cluster, link, &record);
}
