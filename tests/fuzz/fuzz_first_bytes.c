/*
 * Any bytes as what a caller at a front port says first, judged as they grow.
 *
 * What holds: the verdict is steady (see below); what does not begin as TLS is taken for no TLS,
 * and the other way round; a peer daemon has named our protocol; a node has named itself, within
 * its packet, and a request of the epmd protocol is not a node's.
 */
#include "fuzz.h"

#include "erlang/dist_wire.h"
#include "erlang/epmd_wire.h"
#include "erlang/first_bytes.h"
#include "erlang/node_name.h"

#include <string.h>

#define PROTOCOL "portolan/1"
#define PREFIXES_COPIED 400 /* so that a sanitizer sees who reads past them */

static bool begins_as_tls(struct bytes received) {
    return received.len >= 2 && received.data[0] == 0x16 && received.data[1] == 3;
}

static void check_node(struct bytes received, struct bytes node) {
    struct bytes payload;
    must(epmd_frame_parse(received, &payload) == EPMD_FRAME_COMPLETE);
    must(payload.data[0] == DIST_SEND_NAME || payload.data[0] == DIST_SEND_NAME_OLD);
    must(payload.len > 1);
    must(node.data > payload.data && node.len < payload.len);
    must((size_t)(node.data - payload.data) <= payload.len - node.len);
    must(alive_name_check(node) == ALIVE_NAME_OK);
}

static enum first_bytes judge(struct bytes received) {
    const struct bytes protocol = bytes_of_text(PROTOCOL);
    const struct first_caller caller = first_bytes_judge(received, protocol);
    bool plain = caller.who == FIRST_BYTES_EPMD || caller.who == FIRST_BYTES_DIST;
    must(plain == !begins_as_tls(received));
    if (caller.who == FIRST_BYTES_DIST)
        check_node(received, caller.node);
    if (caller.who == FIRST_BYTES_LINK)
        must(memmem(received.data, received.len, protocol.data, protocol.len) != NULL);
    if (caller.who == FIRST_BYTES_MORE)
        must(received.len < 5 + 16384);
    return caller.who;
}

static enum first_bytes judge_copy(struct bytes received) {
    uint8_t *copy = fuzz_copy(received.data, received.len, 0);
    enum first_bytes who = judge(bytes_of(copy, received.len));
    free(copy);
    return who;
}

/*
 * With every byte more the verdict goes one way only. Plain: EPMD, DIST when the packet is whole,
 * EPMD again when there is more than that. TLS: MORE, then what it is, whatever follows.
 */
static void check_step(enum first_bytes before, enum first_bytes who) {
    switch (before) {
    case FIRST_BYTES_EPMD:
        break;
    case FIRST_BYTES_DIST:
        must(who == FIRST_BYTES_EPMD);
        break;
    case FIRST_BYTES_MORE:
        must(who != FIRST_BYTES_EPMD && who != FIRST_BYTES_DIST);
        break;
    case FIRST_BYTES_LINK:
    case FIRST_BYTES_DIST_TLS:
    case FIRST_BYTES_NOBODY:
        must(who == before);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum first_bytes last = FIRST_BYTES_EPMD;
    unsigned nodes = 0;
    for (size_t len = 0; len <= size; len++) {
        const struct bytes prefix = bytes_of(data, len);
        enum first_bytes who =
            len < PREFIXES_COPIED || len == size ? judge_copy(prefix) : judge(prefix);
        check_step(last, who);
        nodes += who == FIRST_BYTES_DIST;
        last = who;
    }
    must(nodes <= 1);
    return 0;
}
