/*
 * The epmd protocol as bytes (OTP's "Distribution Protocol" page, and what OTP 25's epmd does).
 *
 * A request is one frame, a reply is bare; integers are big-endian:
 *
 *    0        2
 *   +--------+-----------+---------------------------
 *   | length | operation | the rest, length - 1 bytes
 *   +--------+-----------+---------------------------
 *
 *   ALIVE2_REQ       x | port:16 type:8 protocol:8 highest:16 lowest:16 nlen:16 name elen:16 extra
 *   ALIVE2_X_RESP    v | result:8 creation:32          when the node's highest version is 6 or more
 *   ALIVE2_RESP      y | result:8 creation:16          for older nodes
 *   PORT_PLEASE2_REQ z | name
 *   PORT2_RESP       w | result:8, and when that is 0, from port:16 on, the fields of ALIVE2_REQ
 *   NAMES_REQ        n |
 *   DUMP_REQ         d |
 *   KILL_REQ         k |
 *   STOP_REQ         s | name
 *
 * The replies to NAMES and DUMP are the daemon's port:32 and text; to KILL and STOP, text alone.
 * Pure functions; what they return borrows the bytes they were handed.
 */
#ifndef PORTOLAN_ERLANG_EPMD_WIRE_H
#define PORTOLAN_ERLANG_EPMD_WIRE_H

#include "base/bytes.h"

#define EPMD_PORT 4369

#define EPMD_REQUEST_MAX 3057                 /* what `length` may say */
#define EPMD_FRAME_MAX (2 + EPMD_REQUEST_MAX) /* with the length itself */
#define EPMD_EXTRA_MAX 1020                   /* bytes */
#define EPMD_ALIVE2_REPLY_MAX 6
#define EPMD_SHORT_REPLY_MAX (1 + 1 + 12 + 2 * 1020) /* the longest reply but NAMES and DUMP */

#define EPMD_CREATION_REFUSED 99
#define EPMD_WIDE_CREATION_VERSION 6 /* nodes of this highest version take 32-bit creations */

enum epmd_operation {
    EPMD_ALIVE2 = 'x',
    EPMD_PORT_PLEASE2 = 'z',
    EPMD_NAMES = 'n',
    EPMD_DUMP = 'd',
    EPMD_KILL = 'k',
    EPMD_STOP = 's',
};

/* What a node registers, and what a look-up returns. */
struct epmd_node {
    uint16_t port;
    uint8_t type; /* EPMD_NODE_NORMAL, EPMD_NODE_HIDDEN ...; others are carried as they are */
    uint8_t protocol;
    uint16_t highest_version;
    uint16_t lowest_version;
    struct bytes name;
    struct bytes extra;
};

#define EPMD_NODE_NORMAL 77
#define EPMD_NODE_HIDDEN 72
#define EPMD_NODE_HIDDEN_C 104 /* what erl_interface says of a C node */

struct epmd_request {
    enum epmd_operation operation;
    struct epmd_node node; /* EPMD_ALIVE2 */
    struct bytes name;     /* EPMD_PORT_PLEASE2, EPMD_STOP */
};

enum epmd_frame {
    EPMD_FRAME_COMPLETE,
    EPMD_FRAME_INCOMPLETE,
    EPMD_FRAME_BAD_LENGTH, /* 0, or over EPMD_REQUEST_MAX */
    EPMD_FRAME_OVERRUN,    /* bytes beyond the announced length */
};

/* Looks for one whole request in what has come so far; *payload is set when it is complete. */
enum epmd_frame epmd_frame_parse(struct bytes received, struct bytes *payload);

enum epmd_decode {
    EPMD_DECODE_OK,
    EPMD_DECODE_UNKNOWN_OPERATION,
    EPMD_DECODE_TOO_SHORT,
    EPMD_DECODE_NAME_SIZE,  /* the name runs past the request */
    EPMD_DECODE_EXTRA_SIZE, /* the extra data does */
    EPMD_DECODE_BAD_NAME,   /* one that no node can have; ALIVE2 alone is refused with a reply */
};

/*
 * Decodes the payload of a frame. A name in ALIVE2 is checked only for NUL bytes here: a node whose
 * name is too long or not UTF-8 gets an answer, which the registry gives.
 */
enum epmd_decode epmd_request_decode(struct bytes payload, struct epmd_request *request);

const char *epmd_decode_reason(enum epmd_decode error);
const char *epmd_operation_name(enum epmd_operation operation);

/* "normal", "hidden" or "other". */
const char *epmd_node_type_name(uint8_t type);

/* Replies; each appends to the writer. */
void epmd_write_alive2_reply(struct writer *writer, uint16_t highest_version, bool accepted,
                             uint32_t creation);
void epmd_write_port2_reply(struct writer *writer,
                            const struct epmd_node *node); /* NULL: unknown */
void epmd_write_names_line(struct writer *writer, struct bytes name, uint16_t port);
void epmd_write_dump_line(struct writer *writer, const struct epmd_node *node, uint32_t holder);
void epmd_write_dump_unused_line(struct writer *writer, struct bytes name, uint16_t port,
                                 uint32_t holder);

/* A whole request frame of one operation and a name (empty for NAMES, DUMP and KILL). */
void epmd_write_request(struct writer *writer, enum epmd_operation operation, struct bytes name);

#endif
