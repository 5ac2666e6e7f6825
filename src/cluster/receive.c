/* Frames that come in: each is read, and given to the part that it is for. */
#include "cluster/cluster_inner.h"
#include "cluster/failure.h"
#include "cluster/sync.h"

/* Most causes before WRONG_CLUSTER_NAME are for the shell to find out; that the name of HELLO is
 * not in the caller's certificate only who is called can see. */
static bool is_said_by_peers(uint8_t cause) {
    return cause == CLUSTER_CAUSE_CERTIFICATE ||
           (cause >= CLUSTER_CAUSE_WRONG_CLUSTER_NAME && cause < CLUSTER_CAUSES);
}

static bool receive_refusal(struct cluster *cluster, struct cluster_link *link,
                            struct bytes payload) {
    struct reader reader = reader_of(payload);
    uint8_t cause = read_u8(&reader);
    if (reader.failed || !is_said_by_peers(cause))
        return false;
    if (cause == CLUSTER_CAUSE_FULL)
        commands_no_room(cluster, link);
    link_drop(cluster, link, (enum cluster_cause)cause);
    return true;
}

static bool receive_welcome(struct cluster *cluster, struct cluster_link *link,
                            struct bytes payload) {
    struct reader reader = reader_of(payload);
    uint64_t known = read_u64(&reader), claim = read_u64(&reader);
    if (reader.failed || known >= PEER_NUMBER_MAX || claim >= PEER_NUMBER_MAX)
        return false;
    if (cluster_is_far_ahead(cluster, known) || cluster_is_far_ahead(cluster, claim)) {
        link_refuse(cluster, link, CLUSTER_CAUSE_CLOCK);
        return true;
    }
    greeting_receive_welcome(cluster, link, known, claim);
    return true;
}

static bool receive_pull(struct cluster *cluster, struct cluster_link *link, struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct directory_version version;
    peer_read_version(&reader, &version);
    struct bytes name = peer_read_name(&reader);
    if (reader.failed)
        return false;
    catalogue_receive_pull(cluster, link, version, name);
    return true;
}

static bool receive_change(struct cluster *cluster, struct cluster_link *link,
                           struct bytes payload) {
    struct peer_change change;
    if (!peer_read_change(payload, &change))
        return false;
    catalogue_receive_change(cluster, link, &change);
    return true;
}

static bool receive_names(struct cluster *cluster, struct cluster_link *link,
                          struct bytes payload) {
    struct reader reader = reader_of(payload);
    return catalogue_receive_names(cluster, link, &reader);
}

static bool receive_identity(struct cluster *cluster, struct cluster_link *link,
                             struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct cluster_id id;
    if (!peer_read_id(&reader, &id))
        return false;
    greeting_receive_identity(cluster, link, id);
    return true;
}

static bool receive_hello(struct cluster *cluster, struct cluster_link *link,
                          struct bytes payload) {
    struct peer_hello hello;
    if (!peer_read_hello(payload, &hello))
        return false;
    greeting_receive_hello(cluster, link, &hello);
    return true;
}

/* Before two have greeted, the only frames are those of the greeting. False: malformed. */
static bool receive_frame(struct cluster *cluster, struct cluster_link *link, uint8_t type,
                          struct bytes payload) {
    if (type == PEER_HELLO)
        return receive_hello(cluster, link, payload);
    if (type == PEER_REFUSE)
        return receive_refusal(cluster, link, payload);
    if (type == PEER_WELCOME)
        return receive_welcome(cluster, link, payload);
    if (!link->established)
        return true;
    switch (type) {
    case PEER_FACTS:
        return facts_receive(cluster, link, payload);
    case PEER_SUMMARY:
        return sync_receive_summary(cluster, link, payload);
    case PEER_SAME:
        sync_receive_same(cluster, link);
        return true;
    case PEER_BUCKET_HASHES:
        return sync_receive_buckets(cluster, link, payload);
    case PEER_RANGE:
        return sync_receive_range(cluster, link, payload);
    case PEER_PULL:
        return receive_pull(cluster, link, payload);
    case PEER_NAMES:
        return receive_names(cluster, link, payload);
    case PEER_CHANGE:
        return receive_change(cluster, link, payload);
    case PEER_ASK:
        return failure_receive_ask(cluster, payload);
    case PEER_ANSWER:
        return failure_receive_answer(cluster, payload);
    case PEER_IDENTITY:
        return receive_identity(cluster, link, payload);
    default: /* PING, and types of later versions */
        return true;
    }
}

size_t cluster_receive(struct cluster *cluster, struct cluster_link *link, struct bytes bytes,
                       int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    if (link->established)
        failure_heard(cluster, link->contact);
    size_t taken = 0;
    while (!link->gone) {
        struct bytes rest = bytes_of(bytes.data + taken, bytes.len - taken);
        size_t len = peer_frame_len(rest);
        if (len == 0)
            break;
        bool good =
            len != SIZE_MAX && receive_frame(cluster, link, rest.data[PEER_HEAD - 1],
                                             bytes_of(rest.data + PEER_HEAD, len - PEER_HEAD));
        if (!good)
            link_drop(cluster, link, CLUSTER_CAUSE_PROTOCOL);
        else
            taken += len;
    }
    bool gone = link->gone;
    cluster_settle(cluster);
    return gone ? bytes.len : taken;
}
