/* Frames that come in: each is read, and given to the part that it is for. */
#include "cluster/anti_entropy.h"
#include "cluster/cluster_inner.h"
#include "cluster/failure_detector.h"

/* Most causes before WRONG_CLUSTER_NAME are for the shell to find out; that the name of HELLO is
 * not in the caller's certificate only who is called can see. */
static bool is_sent_by_peers(uint8_t cause) {
    return cause == CLUSTER_CAUSE_CERTIFICATE ||
           (cause >= CLUSTER_CAUSE_WRONG_CLUSTER_NAME && cause < CLUSTER_CAUSES);
}

static bool receive_reject(struct cluster *cluster, struct cluster_link *link,
                           struct bytes payload) {
    struct reader reader = reader_of(payload);
    uint8_t cause = read_u8(&reader);
    if (reader.failed || !is_sent_by_peers(cause))
        return false;
    if (cause == CLUSTER_CAUSE_FULL)
        join_no_room(cluster, link);
    link_drop(cluster, link, (enum cluster_cause)cause);
    return true;
}

static bool receive_join_accept(struct cluster *cluster, struct cluster_link *link,
                                struct bytes payload) {
    struct reader reader = reader_of(payload);
    uint64_t known = read_u64(&reader), prior_join = read_u64(&reader);
    if (reader.failed || known >= WIRE_NUMBER_MAX || prior_join >= WIRE_NUMBER_MAX)
        return false;
    if (cluster_is_far_ahead(cluster, known) || cluster_is_far_ahead(cluster, prior_join)) {
        link_reject(cluster, link, CLUSTER_CAUSE_CLOCK);
        return true;
    }
    handshake_receive_join_accept(cluster, link, known, prior_join);
    return true;
}

static bool receive_pull(struct cluster *cluster, struct cluster_link *link, struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct directory_version version;
    wire_read_version(&reader, &version);
    struct bytes name = wire_read_name(&reader);
    if (reader.failed)
        return false;
    replication_receive_pull(cluster, link, version, name);
    return true;
}

static bool receive_change(struct cluster *cluster, struct cluster_link *link,
                           struct bytes payload) {
    struct wire_change change;
    if (!wire_read_change(payload, &change))
        return false;
    replication_receive_change(cluster, link, &change);
    return true;
}

static bool receive_names(struct cluster *cluster, struct cluster_link *link,
                          struct bytes payload) {
    struct reader reader = reader_of(payload);
    return replication_receive_names(cluster, link, &reader);
}

static bool receive_identity(struct cluster *cluster, struct cluster_link *link,
                             struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct cluster_id id;
    if (!wire_read_id(&reader, &id))
        return false;
    handshake_receive_identity(cluster, link, id);
    return true;
}

static bool receive_hello(struct cluster *cluster, struct cluster_link *link,
                          struct bytes payload) {
    struct wire_hello hello;
    if (!wire_read_hello(payload, &hello))
        return false;
    handshake_receive_hello(cluster, link, &hello);
    return true;
}

/* Before two have hello_sent, the only frames are those of the greeting. False: malformed. */
static bool receive_frame(struct cluster *cluster, struct cluster_link *link, uint8_t type,
                          struct bytes payload) {
    if (type == WIRE_HELLO)
        return receive_hello(cluster, link, payload);
    if (type == WIRE_REJECT)
        return receive_reject(cluster, link, payload);
    if (type == WIRE_JOIN_ACCEPT)
        return receive_join_accept(cluster, link, payload);
    if (!link->established)
        return true;
    switch (type) {
    case WIRE_RECORDS:
        return merge_records(cluster, link, payload);
    case WIRE_SUMMARY:
        return anti_entropy_receive_summary(cluster, link, payload);
    case WIRE_SAME:
        anti_entropy_receive_same(cluster, link);
        return true;
    case WIRE_BUCKET_HASHES:
        return anti_entropy_receive_buckets(cluster, link, payload);
    case WIRE_RANGE:
        return anti_entropy_receive_range(cluster, link, payload);
    case WIRE_PULL:
        return receive_pull(cluster, link, payload);
    case WIRE_NAMES:
        return receive_names(cluster, link, payload);
    case WIRE_CHANGE:
        return receive_change(cluster, link, payload);
    case WIRE_PROBE_REQ:
        return failure_detector_receive_probe_req(cluster, payload);
    case WIRE_PROBE_ACK:
        return failure_detector_receive_probe_ack(cluster, payload);
    case WIRE_IDENTITY:
        return receive_identity(cluster, link, payload);
    default: /* PING, and types of later versions */
        return true;
    }
}

size_t cluster_receive(struct cluster *cluster, struct cluster_link *link, struct bytes bytes,
                       int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    if (link->established)
        peer_seen(cluster, link->peer);
    size_t taken = 0;
    while (!link->gone) {
        struct bytes rest = bytes_of(bytes.data + taken, bytes.len - taken);
        size_t len = wire_frame_len(rest);
        if (len == 0)
            break;
        bool good =
            len != SIZE_MAX && receive_frame(cluster, link, rest.data[WIRE_HEAD - 1],
                                             bytes_of(rest.data + WIRE_HEAD, len - WIRE_HEAD));
        if (!good)
            link_drop(cluster, link, CLUSTER_CAUSE_PROTOCOL);
        else
            taken += len;
    }
    bool gone = link->gone;
    cluster_settle(cluster);
    return gone ? bytes.len : taken;
}
