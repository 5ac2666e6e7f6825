#include "cluster/receive.h"

#include "cluster/anti_entropy.h"
#include "cluster/failure_detector.h"
#include "cluster/handshake.h"
#include "cluster/identity.h"
#include "cluster/join.h"
#include "cluster/merge.h"
#include "cluster/peer.h"
#include "cluster/replication.h"

/* Most causes before WRONG_CLUSTER_NAME are for the shell to find out; that the name of HELLO is
 * not in the caller's certificate only the daemon that was called can see. */
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

static bool receive_identity(struct cluster *cluster, struct cluster_link *link,
                             struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct cluster_id id;
    if (!wire_read_id(&reader, &id))
        return false;
    identity_adopt(cluster, link, id);
    return true;
}

static bool receive_probe_req(struct cluster *cluster, struct cluster_link *link,
                              struct bytes payload) {
    (void)link;
    return failure_detector_receive_probe_req(cluster, payload);
}

static bool receive_probe_ack(struct cluster *cluster, struct cluster_link *link,
                              struct bytes payload) {
    (void)link;
    return failure_detector_receive_probe_ack(cluster, payload);
}

/* What each frame is for. A PING is only a sign of life, which every frame is. */
static const struct frame_type {
    bool needs_established; /* else it is of the handshake */
    bool (*receive)(struct cluster *cluster, struct cluster_link *link, struct bytes payload);
} frame_types[] = {
    [WIRE_HELLO] = {false, handshake_receive_hello},
    [WIRE_JOIN_ACCEPT] = {false, handshake_receive_join_accept},
    [WIRE_REJECT] = {false, receive_reject},
    [WIRE_RECORDS] = {true, merge_receive_records},
    [WIRE_SUMMARY] = {true, anti_entropy_receive_summary},
    [WIRE_SAME] = {true, anti_entropy_receive_same},
    [WIRE_BUCKET_HASHES] = {true, anti_entropy_receive_buckets},
    [WIRE_RANGE] = {true, anti_entropy_receive_range},
    [WIRE_PULL] = {true, replication_receive_pull},
    [WIRE_NAMES] = {true, replication_receive_names},
    [WIRE_CHANGE] = {true, replication_receive_change},
    [WIRE_PROBE_REQ] = {true, receive_probe_req},
    [WIRE_PROBE_ACK] = {true, receive_probe_ack},
    [WIRE_IDENTITY] = {true, receive_identity},
};
#define FRAME_TYPES (sizeof frame_types / sizeof frame_types[0])

/* Types of later versions are skipped, and so is all but the handshake before it is over. */
static bool receive_frame(struct cluster *cluster, struct cluster_link *link, uint8_t type,
                          struct bytes payload) {
    const struct frame_type *frame = type < FRAME_TYPES ? &frame_types[type] : NULL;
    if (frame == NULL || frame->receive == NULL ||
        (frame->needs_established && !link_is_established(link)))
        return true;
    return frame->receive(cluster, link, payload);
}

size_t receive_frames(struct cluster *cluster, struct cluster_link *link, struct bytes bytes) {
    if (link_is_established(link))
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
    return link->gone ? bytes.len : taken;
}
