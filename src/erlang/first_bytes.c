#include "erlang/first_bytes.h"

#include "erlang/dist_wire.h"
#include "erlang/epmd_wire.h"
#include "erlang/tls_hello.h"

static enum first_bytes judge_tls(struct bytes received, struct bytes protocol) {
    switch (tls_hello_offers(received, protocol)) {
    case TLS_HELLO_INCOMPLETE:
        return FIRST_BYTES_MORE;
    case TLS_HELLO_OFFERS:
        return FIRST_BYTES_LINK;
    case TLS_HELLO_OTHER:
        return FIRST_BYTES_DIST_TLS;
    case TLS_HELLO_BAD:
        break;
    }
    return FIRST_BYTES_NOBODY;
}

/* The frame of a handshake is an epmd request's: where that is incomplete, this is. */
static struct first_caller judge_frame(struct bytes received) {
    struct first_caller caller = {.who = FIRST_BYTES_EPMD};
    struct bytes payload;
    if (received.len < 3 ||
        (received.data[2] != DIST_SEND_NAME && received.data[2] != DIST_SEND_NAME_OLD))
        return caller;
    if (epmd_frame_parse(received, &payload) != EPMD_FRAME_COMPLETE)
        return caller;
    if (dist_send_name_decode(payload, &caller.node))
        caller.who = FIRST_BYTES_DIST;
    return caller;
}

struct first_caller first_bytes_judge(struct bytes received, struct bytes protocol) {
    if (tls_hello_begins(received))
        return (struct first_caller){.who = judge_tls(received, protocol)};
    return judge_frame(received);
}
