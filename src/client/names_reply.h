/*
 * Lists of names, as a client reads them: from anyone, cut anywhere. That of epmd is its reply to
 * NAMES (format: erlang/epmd_wire.h; the short replies are read by erlang/epmd_reply), that of a
 * cluster is portoland's (docs/control.md).
 */
#ifndef PORTOLAN_CLIENT_NAMES_REPLY_H
#define PORTOLAN_CLIENT_NAMES_REPLY_H

#include "client/listing.h"
#include "erlang/epmd_reply.h"

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

/* The answer, JSON that was checked. PORTOLAN_OK with a listing that is the caller's, REPLY,
 * TOO_LARGE or MEMORY. */
enum portolan_code cluster_reply_names(struct bytes root, struct portolan_listing **listing);

#endif
