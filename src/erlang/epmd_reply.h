/*
 * epmd's replies, as who asked reads them: from anyone, cut anywhere (formats: erlang/epmd_wire.h).
 * Pure functions; what they return borrows the bytes they were handed.
 */
#ifndef PORTOLAN_ERLANG_EPMD_REPLY_H
#define PORTOLAN_ERLANG_EPMD_REPLY_H

#include "erlang/epmd_wire.h"

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

#endif
