/* Records on their way to others: those of a call in one frame a link, and single ones at once. */
#include "cluster/cluster_inner.h"
#include "cluster/failure.h"

#include <stdlib.h>

#define NEWS_FIRST 16

struct peer_record news_record_of(const struct cluster *cluster, const struct member *member) {
    struct peer_record record = {
        .state = member->state == CLUSTER_CLEANED ? CLUSTER_DOWN : member->state,
        .port = member->port,
        .joined = member->joined,
        .life = member->life,
        .incarnation = member->incarnation,
        .name = member_name(member),
    };
    if (!member_is_tombstone(member))
        record.names = member_names(member).sequence;
    if (member_is_tombstone(member))
        record.detail = member->stamp_ms;
    else if (member->state == CLUSTER_SUSPECT)
        record.detail = failure_last_accuser(member);
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

/* Out of memory some news are not told: anti-entropy finds what is missing. */
void news_queue(struct cluster *cluster, struct member *member, struct cluster_link *from) {
    if (member->queued) {
        for (size_t i = 0; i < cluster->news_count; i++) {
            if (cluster->news[i].member == member && cluster->news[i].from != from)
                cluster->news[i].from = NULL;
        }
        return;
    }
    if (cluster->news_count == cluster->news_capacity) {
        size_t capacity = cluster->news_capacity == 0 ? NEWS_FIRST : cluster->news_capacity * 2;
        struct news *news = realloc(cluster->news, capacity * sizeof *news);
        if (news == NULL)
            return;
        cluster->news = news;
        cluster->news_capacity = capacity;
    }
    cluster->news[cluster->news_count++] = (struct news){.member = member, .from = from};
    member->queued = true;
}

void news_unqueue(struct cluster *cluster, struct member *member) {
    if (!member->queued)
        return;
    for (size_t i = 0; i < cluster->news_count; i++) {
        if (cluster->news[i].member == member)
            cluster->news[i] = cluster->news[--cluster->news_count];
    }
    member->queued = false;
}

/* A member need not be told that it is alive. */
static bool is_news_to(const struct news *news, const struct cluster_link *link) {
    if (news->from == link || news->member->state == CLUSTER_CLEANED)
        return false;
    return link->contact->hash != news->member->hash || news->member->state != CLUSTER_ALIVE;
}

static void flush_to(struct cluster *cluster, struct cluster_link *link) {
    uint8_t buffer[CLUSTER_FRAME_MAX];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = peer_begin(&writer, PEER_FACTS);
    for (size_t i = 0; i < cluster->news_count && !link->gone; i++) {
        if (!is_news_to(&cluster->news[i], link))
            continue;
        if (writer.capacity - writer.len < PEER_RECORD_MAX) {
            peer_end(&writer, begun);
            link_send(cluster, link, &writer);
            writer.len = 0;
            begun = peer_begin(&writer, PEER_FACTS);
        }
        struct peer_record record = news_record_of(cluster, cluster->news[i].member);
        peer_write_record(&writer, &record);
    }
    peer_end(&writer, begun);
    if (writer.len > PEER_HEAD)
        link_send(cluster, link, &writer);
}

void news_flush(struct cluster *cluster) {
    if (cluster->news_count == 0)
        return;
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link->established && !link->gone)
            flush_to(cluster, link);
    }
    for (size_t i = 0; i < cluster->news_count; i++)
        cluster->news[i].member->queued = false;
    cluster->news_count = 0;
}

/* --- at once --- */

void news_send_record(struct cluster *cluster, struct cluster_link *link,
                      const struct peer_record *record) {
    uint8_t buffer[PEER_HEAD + PEER_RECORD_MAX];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = peer_begin(&writer, PEER_FACTS);
    peer_write_record(&writer, record);
    peer_end(&writer, begun);
    link_send(cluster, link, &writer);
}

void news_send_member(struct cluster *cluster, struct cluster_link *link,
                      const struct member *member) {
    struct peer_record record = news_record_of(cluster, member);
    news_send_record(cluster, link, &record);
}
