/*
 * Any bytes as a request: what decodes is within its bounds and encodes to a request that decodes
 * to the same, and what is written of a decoded node fits where it must.
 */
#include "fuzz.h"

#include "../unit/wire_encoder.h"
#include "erlang/node_name.h"
#include "names/listing.h"

static bool lies_within(struct bytes inner, struct bytes outer) {
    return inner.len == 0 || (inner.data >= outer.data && inner.len <= outer.len &&
                              inner.data - outer.data <= (ptrdiff_t)(outer.len - inner.len));
}

static bool is_same_node(const struct epmd_node *a, const struct epmd_node *b) {
    return a->port == b->port && a->type == b->type && a->protocol == b->protocol &&
           a->highest_version == b->highest_version && a->lowest_version == b->lowest_version &&
           bytes_equal(a->name, b->name) && bytes_equal(a->extra, b->extra);
}

static void check_encoding(const struct epmd_request *request) {
    uint8_t frame[EPMD_FRAME_MAX];
    struct writer writer = writer_of(frame, sizeof frame);
    struct bytes payload;
    struct epmd_request again;
    if (request->operation == EPMD_ALIVE2)
        wire_write_alive2(&writer, &request->node);
    else
        epmd_write_request(&writer, request->operation, request->name);
    must(!writer.failed);
    must(epmd_frame_parse(writer_bytes(&writer), &payload) == EPMD_FRAME_COMPLETE);
    /* a STOP of what stood before a NUL, when nothing did, has no other form */
    if (request->operation == EPMD_STOP && request->name.len == 0)
        return;
    must(epmd_request_decode(payload, &again) == EPMD_DECODE_OK);
    must(again.operation == request->operation);
    must(bytes_equal(again.name, request->name));
    must(is_same_node(&again.node, &request->node));
}

/* The reply to a look-up carries the node from its third byte on as ALIVE2 does from its second. */
static void check_port2_reply(const struct epmd_node *node) {
    uint8_t reply[EPMD_SHORT_REPLY_MAX];
    struct writer writer = writer_of(reply, sizeof reply);
    struct epmd_request again;
    epmd_write_port2_reply(&writer, node);
    must(!writer.failed);
    must(reply[0] == 'w' && reply[1] == 0);
    reply[1] = EPMD_ALIVE2;
    must(epmd_request_decode(bytes_of(reply + 1, writer.len - 1), &again) == EPMD_DECODE_OK);
    must(is_same_node(&again.node, node));
}

/* Only what the registry would take is ever written to others. */
static void check_replies(const struct epmd_node *node) {
    uint8_t buffer[LISTING_PIECE_MIN];
    if (alive_name_check(node->name) != ALIVE_NAME_OK || node->extra.len > EPMD_EXTRA_MAX)
        return;
    check_port2_reply(node);
    struct writer writer = writer_of(buffer, sizeof buffer);
    epmd_write_names_line(&writer, node->name, node->port);
    must(!writer.failed && buffer[writer.len - 1] == '\n');
    writer = writer_of(buffer, sizeof buffer);
    epmd_write_dump_line(&writer, node, UINT32_MAX);
    must(!writer.failed && buffer[writer.len - 1] == 0);
    writer = writer_of(buffer, sizeof buffer);
    epmd_write_dump_unused_line(&writer, node->name, node->port, UINT32_MAX);
    must(!writer.failed && buffer[writer.len - 1] == 0);
}

static void check_payload(struct bytes payload) {
    struct epmd_request request;
    enum epmd_decode verdict = epmd_request_decode(payload, &request);
    must(epmd_decode_reason(verdict) != NULL);
    if (verdict != EPMD_DECODE_OK)
        return;
    must(lies_within(request.name, payload));
    must(lies_within(request.node.name, payload));
    must(lies_within(request.node.extra, payload));
    if (payload.len <= EPMD_REQUEST_MAX)
        check_encoding(&request);
    if (request.operation == EPMD_ALIVE2)
        check_replies(&request.node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes payload;
    enum epmd_frame frame = epmd_frame_parse(bytes_of(data, size), &payload);
    if (frame == EPMD_FRAME_COMPLETE) {
        must(payload.data == data + 2 && payload.len == size - 2);
        must(payload.len > 0 && payload.len <= EPMD_REQUEST_MAX);
        check_payload(payload);
    }
    must(frame != EPMD_FRAME_INCOMPLETE || size < EPMD_FRAME_MAX);
    check_payload(bytes_of(data, size)); /* without the length, which is hard to guess */
    return 0;
}
