#include "cluster/anti_entropy.h"

#include "cluster/gossip.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/merge.h"
#include "cluster/peer.h"

#include <string.h>

#define EVERYTHING UINT64_MAX

static uint64_t bucket_start(unsigned bucket) {
    return (uint64_t)bucket << 56;
}

static uint64_t bucket_end(unsigned bucket) {
    return bucket_start(bucket) | (UINT64_MAX >> 8);
}

/* What must be equal in the end: the cluster's identity and everything in the table. */
static uint64_t summary_of(const struct cluster *cluster) {
    return cluster->membership.root ^ random_mix(cluster->id.created_ms ^ cluster->id.random);
}

void anti_entropy_begin(struct cluster *cluster, struct cluster_link *link) {
    uint8_t buffer[64];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = wire_begin(&writer, WIRE_SUMMARY);
    wire_write_id(&writer, cluster->id);
    write_u64(&writer, summary_of(cluster));
    wire_end(&writer, begun);
    link->summary_awaited = true;
    link_send(cluster, link, &writer);
}

/* With one of the links, with equal chances. */
void anti_entropy_tick(struct cluster *cluster) {
    if (cluster->now_ms < cluster->next_anti_entropy_ms)
        return;
    cluster->next_anti_entropy_ms =
        cluster->now_ms +
        random_between(&cluster->random, ANTI_ENTROPY_MS * 3 / 4, ANTI_ENTROPY_MS * 5 / 4);
    struct cluster_link *link, *chosen = NULL;
    uint64_t seen = 0;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (link_is_established(link) && random_below(&cluster->random, ++seen) == 0)
            chosen = link;
    }
    if (chosen != NULL)
        anti_entropy_begin(cluster, chosen);
}

static void send_empty(struct cluster *cluster, struct cluster_link *link, enum wire_type type) {
    uint8_t buffer[WIRE_HEAD];
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_end(&writer, wire_begin(&writer, type));
    link_send(cluster, link, &writer);
}

static void send_buckets(struct cluster *cluster, struct cluster_link *link) {
    uint8_t buffer[WIRE_HEAD + WIRE_BUCKETS * 8];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = wire_begin(&writer, WIRE_BUCKET_HASHES);
    for (unsigned i = 0; i < WIRE_BUCKETS; i++)
        write_u64(&writer, cluster->membership.buckets[i]);
    wire_end(&writer, begun);
    link_send(cluster, link, &writer);
}

/* --- ranges --- */

static size_t range_begin(struct writer *writer, uint64_t first, uint64_t last, uint8_t flags) {
    size_t begun = wire_begin(writer, WIRE_RANGE);
    write_u64(writer, first);
    write_u64(writer, last);
    write_u8(writer, flags);
    return begun;
}

#define RANGE_FLAGS_AT (WIRE_HEAD + 16)

/*
 * Sends the records of [first, last], in as many frames as it takes. A request's frames each cover
 * the part of the range that their records show, so that each can be answered alone; returns their
 * number.
 */
static unsigned send_request(struct cluster *cluster, struct cluster_link *link, uint64_t first,
                             uint64_t last) {
    const struct membership *membership = &cluster->membership;
    size_t at = membership_at(membership, first);
    unsigned frames = 0;
    uint8_t buffer[CLUSTER_FRAME_MAX];
    for (bool more = true; more && !link->gone; frames++) {
        struct writer writer = writer_of(buffer, sizeof buffer);
        size_t begun = range_begin(&writer, first, last, 0);
        uint64_t covered = last;
        more = false;
        for (; at < membership->count && membership->ring[at]->hash <= last; at++) {
            const struct member *member = membership->ring[at];
            if (writer.capacity - writer.len < WIRE_RECORD_MAX) {
                more = true;
                covered = member->hash - 1;
                break;
            }
            if (member->state == CLUSTER_CLEANED)
                continue;
            struct wire_record record = gossip_record_of(cluster, member);
            wire_write_record(&writer, &record);
        }
        wire_end(&writer, begun);
        struct writer patch = writer_of(buffer + WIRE_HEAD + 8, 8);
        write_u64(&patch, covered);
        link_send(cluster, link, &writer);
        first = covered + 1;
    }
    return frames;
}

static void request_more(struct cluster *cluster, struct cluster_link *link) {
    for (unsigned bucket = 0; bucket < WIRE_BUCKETS && link->ranges_awaited < ANTI_ENTROPY_WINDOW;
         bucket++) {
        uint8_t bit = (uint8_t)(1U << (bucket % 8));
        if ((link->buckets_left[bucket / 8] & bit) == 0)
            continue;
        link->buckets_left[bucket / 8] &= (uint8_t)~bit;
        link->ranges_awaited +=
            send_request(cluster, link, bucket_start(bucket), bucket_end(bucket));
        if (link->gone)
            return;
    }
}

/* --- what comes in --- */

bool anti_entropy_receive_summary(struct cluster *cluster, struct cluster_link *link,
                                  struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct cluster_id id;
    wire_read_id(&reader, &id);
    uint64_t theirs = read_u64(&reader);
    if (reader.failed)
        return false;
    identity_adopt(cluster, link, id);
    if (link->gone)
        return true;
    if (theirs == summary_of(cluster))
        send_empty(cluster, link, WIRE_SAME);
    else
        send_buckets(cluster, link);
    return true;
}

bool anti_entropy_receive_same(struct cluster *cluster, struct cluster_link *link,
                               struct bytes payload) {
    (void)payload;
    if (!link->summary_awaited)
        return true;
    link->summary_awaited = false;
    join_progress(cluster, link);
    return true;
}

bool anti_entropy_receive_buckets(struct cluster *cluster, struct cluster_link *link,
                                  struct bytes payload) {
    if (!link->summary_awaited)
        return true;
    struct reader reader = reader_of(payload);
    link->summary_awaited = false;
    bool differ = false;
    for (unsigned i = 0; i < WIRE_BUCKETS; i++) {
        if (read_u64(&reader) == cluster->membership.buckets[i])
            continue;
        link->buckets_left[i / 8] |= (uint8_t)(1U << (i % 8));
        differ = true;
    }
    if (reader.failed)
        return false;
    if (differ && cluster->membership.count <= ANTI_ENTROPY_ONE_RANGE) {
        memset(link->buckets_left, 0, sizeof link->buckets_left);
        link->ranges_awaited += send_request(cluster, link, 0, EVERYTHING);
    } else {
        request_more(cluster, link);
    }
    join_progress(cluster, link);
    return true;
}

/* The answer to a request, a frame at a time. */
struct answer {
    struct writer writer;
    size_t begun;
    uint64_t first, last;
};

static void answer_frame(struct cluster *cluster, struct cluster_link *link, struct answer *answer,
                         uint8_t flags) {
    wire_end(&answer->writer, answer->begun);
    answer->writer.start[answer->begun + RANGE_FLAGS_AT] = flags;
    link_send(cluster, link, &answer->writer);
    answer->writer.len = 0;
    answer->begun = range_begin(&answer->writer, answer->first, answer->last, WIRE_RANGE_ANSWER);
}

static void answer_add(struct cluster *cluster, struct cluster_link *link, struct answer *answer,
                       const struct member *member) {
    if (answer->writer.capacity - answer->writer.len < WIRE_RECORD_MAX)
        answer_frame(cluster, link, answer, WIRE_RANGE_ANSWER);
    struct wire_record record = gossip_record_of(cluster, member);
    wire_write_record(&answer->writer, &record);
}

/* Whether we know better than this record of the same member. */
static bool knows_better(const struct member *member, const struct wire_record *record) {
    int order = membership_compare(member, record);
    if (order != 0)
        return order < 0;
    if (member->state == CLUSTER_CLEANED)
        return true; /* the other may clean it too: it is down for that long */
    return !member_is_tombstone(member) && member->generation == record->generation &&
           member_names(member).sequence > record->names;
}

/*
 * Merges a request and answers it. The records of a request come in the order of the ring, so one
 * walk over both finds whom it does not name; out of order, some are answered needlessly.
 */
static void receive_request(struct cluster *cluster, struct cluster_link *link,
                            const struct wire_range *range, struct reader *reader) {
    const struct membership *membership = &cluster->membership;
    uint8_t buffer[CLUSTER_FRAME_MAX];
    struct answer answer = {
        .writer = writer_of(buffer, sizeof buffer), .first = range->first, .last = range->last};
    answer.begun = range_begin(&answer.writer, range->first, range->last, WIRE_RANGE_ANSWER);
    uint64_t next = range->first;
    bool more = true;
    while (more && !link->gone) {
        struct wire_record record;
        more = wire_next_record(reader, &record);
        uint64_t hash = more ? membership_hash(record.name) : range->last;
        for (size_t at = membership_at(membership, next);
             at < membership->count && membership->ring[at]->hash <= hash; at++) {
            const struct member *member = membership->ring[at];
            bool named = more && bytes_equal(member_name(member), record.name);
            bool better = named ? knows_better(member, &record) : !more || member->hash < hash;
            if (better && (named || member->state != CLUSTER_CLEANED))
                answer_add(cluster, link, &answer, member);
        }
        if (more && hash >= next && hash < UINT64_MAX)
            next = hash + 1;
        if (more)
            merge_record(cluster, &record, link);
    }
    if (!link->gone && !reader->failed)
        answer_frame(cluster, link, &answer, WIRE_RANGE_ANSWER | WIRE_RANGE_LAST);
}

bool anti_entropy_receive_range(struct cluster *cluster, struct cluster_link *link,
                                struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct wire_range range = {
        .first = read_u64(&reader), .last = read_u64(&reader), .flags = read_u8(&reader)};
    if (reader.failed || range.first > range.last)
        return false;
    if ((range.flags & WIRE_RANGE_ANSWER) == 0) {
        receive_request(cluster, link, &range, &reader);
        return !reader.failed;
    }
    struct bytes records = bytes_of(reader.at, reader.left);
    if (!merge_receive_records(cluster, link, records))
        return false;
    if (link->gone)
        return true;
    if ((range.flags & WIRE_RANGE_LAST) != 0 && link->ranges_awaited > 0) {
        link->ranges_awaited--;
        request_more(cluster, link);
    }
    join_progress(cluster, link);
    return true;
}
