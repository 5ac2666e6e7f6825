/*
 * epmd's replies, as a client reads them: from anyone, cut anywhere (formats: erlang/epmd_wire.h).
 * Pure functions; what they return borrows the bytes they were handed, unless said otherwise.
 */
#ifndef PORTOLAN_CLIENT_EPMD_REPLY_H
#define PORTOLAN_CLIENT_EPMD_REPLY_H

#include "erlang/epmd_wire.h"
#include "portolan.h"

enum epmd_reply {
    EPMD_REPLY_COMPLETE,
    EPMD_REPLY_INCOMPLETE,
    EPMD_REPLY_NO, /* complete: unknown, or refused */
    EPMD_REPLY_MALFORMED,
    EPMD_REPLY_TOO_LARGE,
    EPMD_REPLY_NO_MEMORY,
};

/* PORT2_RESP. One for another name than `asked` is malformed. */
enum epmd_reply epmd_reply_port2(struct bytes reply, struct bytes asked, struct epmd_node *node);

/* ALIVE2_RESP or ALIVE2_X_RESP; *creation is set when it is complete. Bytes after it are malformed:
 * epmd says no more. */
enum epmd_reply epmd_reply_alive2(struct bytes reply, uint32_t *creation);

/* What has been read of a growing reply to NAMES. Starts as all zeros. */
struct epmd_names_scan {
    size_t scanned;
    size_t lines;
};

/* Looks at what has come since the last call: INCOMPLETE, MALFORMED when it can be no such reply,
 * or TOO_LARGE when it has too many names. */
enum epmd_reply epmd_reply_names_scan(struct epmd_names_scan *scan, struct bytes reply);

/* The whole reply, once the connection has ended: COMPLETE with a listing that is the caller's, to
 * be freed with portolan_listing_free; INCOMPLETE when it was cut. */
enum epmd_reply epmd_reply_names(struct bytes reply, struct portolan_listing **listing);

#endif
