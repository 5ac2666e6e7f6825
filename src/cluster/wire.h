/*
 * The cluster protocol as bytes, version 1. What the frames mean: docs/cluster-protocol.md.
 *
 * A link carries frames, one after the other, both ways. Integers are big-endian.
 *
 *    0        4      5
 *   +--------+------+------------------------
 *   | length | type | payload, length - 1 bytes        4 + length <= 65,536
 *   +--------+------+------------------------
 *
 * A frame of an unknown type is skipped; bytes after the end of a known payload are ignored, so
 * that later versions may add fields. A `name` is len:8 and that many bytes, Name@Host, 3 to 255 of
 * them.
 *
 *   HELLO        1 | version:8 flags:8 intent:8 created:64 random:64 joined:64 generation:64
 *                  | incarnation:64 names:64 known_joined:64 known_incarnation:64 known_state:8
 *                  | port:16 name cluster_len:8 cluster_name
 *   JOIN_ACCEPT  2 | known:64 prior_join:64
 *   REJECT       3 | cause:8                                                enum cluster_cause
 *   PING         4 |
 *   RECORDS      5 | record ...                                             gossip
 *   SUMMARY      6 | created:64 random:64 hash:64
 *   SAME         7 |                                                        answer to SUMMARY
 *   BUCKETS      8 | hash:64 x 256                                          answer to SUMMARY
 *   RANGE        9 | first:64 last:64 flags:8 record ...                    request, or its answer
 *   PULL        10 | generation:64 sequence:64 name                         asks for names
 *   NAMES       11 | generation:64 sequence:64 flags:8 name (sequence:64 node) ...  answer to PULL
 *   CHANGE      12 | generation:64 sequence:64 operation:8 name node        gossip
 *   PROBE_REQ   13 | ttl:8 to:64 from:64 subject:64 number:32
 *   PROBE_ACK   14 | ttl:8 to:64 subject:64 number:32 responsive:8
 *   IDENTITY    15 | created:64 random:64                                   gossip
 *
 *   HELLO    flags: 1 alone, 2 discovery_paused, 4 discovery; intent: 0 member, 1 join, 2 discover
 *            known_*: of the sender's record of the receiver; known_state is that of a record, 3
 *            cleaned, or 255: there is none
 *   RANGE    flags: 1 answer, 2 last
 *   NAMES    flags: 1 first, 2 last
 *   CHANGE   operation: 1 registered, 2 unregistered; of the node then only its name counts
 *
 *   record   state:8 name joined:64 generation:64 incarnation:64 names:64 detail:64 port:16 age:32
 *            state: 0 alive, 1 suspect, 2 down, 4 left, 5 forced out (3 is never sent)
 *            detail: of suspect: the ring hash of who suspects it; of down: the cause;
 *            of left and forced out: when, in milliseconds since 1970
 *            age: milliseconds in this state; of down only
 *   node     len:16 alive_name port:16 front_port:16 type:8 protocol:8 highest:16 lowest:16
 *            creation:32
 *            front_port: where other hosts reach the node; 0: at its own port
 *
 * Decoding checks every bound and every name: what it hands out may be used. It borrows the bytes.
 */
#ifndef PORTOLAN_CLUSTER_WIRE_H
#define PORTOLAN_CLUSTER_WIRE_H

#include "cluster/types.h"

#define WIRE_VERSION 1
#define WIRE_HEAD 5                         /* length and type */
#define WIRE_NUMBER_MAX (UINT64_C(1) << 53) /* incarnations, sequences: exact in JSON too */
#define WIRE_BUCKETS 256                    /* by the top 8 bits of the ring hash */
#define WIRE_RECORD_MAX (2 + CLUSTER_NAME_MAX + 46)
#define WIRE_NODE_MAX (2 + ALIVE_NAME_MAX_BYTES + 14)

enum wire_type {
    WIRE_HELLO = 1,
    WIRE_JOIN_ACCEPT,
    WIRE_REJECT,
    WIRE_PING,
    WIRE_RECORDS,
    WIRE_SUMMARY,
    WIRE_SAME,
    WIRE_BUCKET_HASHES,
    WIRE_RANGE,
    WIRE_PULL,
    WIRE_NAMES,
    WIRE_CHANGE,
    WIRE_PROBE_REQ,
    WIRE_PROBE_ACK,
    WIRE_IDENTITY,
};

enum wire_intent {
    WIRE_INTENT_MEMBER,   /* "we are of one cluster" */
    WIRE_INTENT_JOIN,     /* "I want to join you" */
    WIRE_INTENT_DISCOVER, /* "I found you by discovery" */
};

#define WIRE_FLAG_ALONE 1            /* nobody else in the sender's list */
#define WIRE_FLAG_DISCOVERY_PAUSED 2 /* left or forced out: not to be merged by discovery */
#define WIRE_FLAG_DISCOVERY 4        /* a strategy other than manual is set */

#define WIRE_KNOWN_NOTHING 255 /* known_state: the sender has no record of the receiver */

struct wire_hello {
    uint8_t version, flags, intent;
    struct cluster_id id;
    uint64_t joined, generation, incarnation, names;
    uint64_t known_joined, known_incarnation; /* what the sender's record of the receiver says */
    uint8_t known_state;
    uint16_t port;
    struct bytes name, cluster_name;
};

struct wire_record {
    uint8_t state; /* enum cluster_state, never CLUSTER_CLEANED */
    uint16_t port;
    uint32_t age_ms;
    uint64_t joined, generation, incarnation, names, detail;
    struct bytes name;
};

#define WIRE_RANGE_ANSWER 1 /* records the sender of the request has not, or older */
#define WIRE_RANGE_LAST 2   /* the last frame of this range */

#define WIRE_NAMES_FIRST 1
#define WIRE_NAMES_LAST 2

#define WIRE_REGISTERED 1 /* CHANGE: operation */
#define WIRE_UNREGISTERED 2

struct wire_range {
    uint64_t first, last;
    uint8_t flags;
};

struct wire_names {
    struct directory_version version;
    uint8_t flags;
    struct bytes owner;
};

struct wire_change {
    struct directory_version version;
    uint8_t operation;
    struct bytes owner;
    struct directory_name node;
};

struct wire_probe {
    uint8_t ttl;
    uint64_t to, from, subject;
    uint32_t number;
    bool responsive; /* PROBE_ACK */
};

/*
 * The length of the frame at the start of `bytes`, head included: 0 when more bytes are needed to
 * tell or to have it whole, SIZE_MAX when it is longer than CLUSTER_FRAME_MAX or has no type.
 */
size_t wire_frame_len(struct bytes bytes);

/* Each reads a payload; false: malformed. */
bool wire_read_hello(struct bytes payload, struct wire_hello *hello);
bool wire_read_names(struct reader *reader, struct wire_names *names); /* its entries follow */
bool wire_read_change(struct bytes payload, struct wire_change *change);
bool wire_read_probe(struct bytes payload, enum wire_type type, struct wire_probe *probe);
bool wire_read_id(struct reader *reader, struct cluster_id *id);
bool wire_read_version(struct reader *reader, struct directory_version *version);

/* The next of a list: false at its end, and also when it is malformed (reader->failed). */
bool wire_next_record(struct reader *reader, struct wire_record *record);
bool wire_next_node(struct reader *reader, uint64_t *sequence, struct directory_name *node);

/* Reads `name`; empty with reader->failed when it is none. */
struct bytes wire_read_name(struct reader *reader);
bool member_name_is_valid(struct bytes name);

/* A frame is begun, written with the functions below or with base/bytes.h, and ended. A writer that
 * has no room fails as a whole. */
size_t wire_begin(struct writer *writer, enum wire_type type);
void wire_end(struct writer *writer, size_t begun);

void wire_write_hello(struct writer *writer, const struct wire_hello *hello);
void wire_write_name(struct writer *writer, struct bytes name);
void wire_write_id(struct writer *writer, struct cluster_id id);
void wire_write_version(struct writer *writer, struct directory_version version);
void wire_write_record(struct writer *writer, const struct wire_record *record);
void wire_write_node(struct writer *writer, const struct directory_name *node);
void wire_write_change(struct writer *writer, const struct wire_change *change);
void wire_write_probe(struct writer *writer, enum wire_type type, const struct wire_probe *probe);

#endif
