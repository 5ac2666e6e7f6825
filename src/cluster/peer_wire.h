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
 *   HELLO    1 | version:8 flags:8 intent:8 created:64 random:64 joined:64 life:64 incarnation:64
 *              | names:64 known_joined:64 known_incarnation:64 known_state:8 port:16 name
 *              | cluster_len:8 cluster_name
 *   WELCOME  2 | known:64 claim:64
 *   REFUSE   3 | cause:8                                                    enum cluster_cause
 *   PING     4 |
 *   FACTS    5 | record ...                                                 news
 *   SUMMARY  6 | created:64 random:64 hash:64
 *   SAME     7 |                                                            answer to SUMMARY
 *   BUCKETS  8 | hash:64 x 256                                              answer to SUMMARY
 *   RANGE    9 | first:64 last:64 flags:8 record ...                        request, or its answer
 *   PULL    10 | life:64 sequence:64 name                          "the names of this member"
 *   NAMES   11 | life:64 sequence:64 flags:8 name (sequence:64 node) ...    answer to PULL
 *   CHANGE  12 | life:64 sequence:64 operation:8 name node                  news
 *   ASK     13 | ttl:8 to:64 from:64 subject:64 number:32
 *   ANSWER  14 | ttl:8 to:64 subject:64 number:32 heard:8
 *   IDENTITY 15 | created:64 random:64                                      news
 *
 *   HELLO    flags: 1 alone, 2 resting, 4 discovery; intent: 0 member, 1 join, 2 discover
 *            known_*: of the sender's record of the receiver; known_state is that of a record, 3
 *            cleaned, or 255: there is none
 *   RANGE    flags: 1 answer, 2 last
 *   NAMES    flags: 1 first, 2 last
 *   CHANGE   operation: 1 registered, 2 unregistered; of the node then only its name counts
 *
 *   record   state:8 name joined:64 life:64 incarnation:64 names:64 detail:64 port:16 age:32
 *            state: 0 alive, 1 suspect, 2 down, 4 left, 5 forced out (3 is never sent)
 *            detail: of suspect: the ring hash of who accuses; of down: the cause;
 *            of left and forced out: when, in milliseconds since 1970
 *            age: milliseconds in this state; of down only
 *   node     len:16 alive_name port:16 front_port:16 type:8 protocol:8 highest:16 lowest:16
 *            creation:32
 *            front_port: where other hosts reach the node; 0: at its own port
 *
 * Decoding checks every bound and every name: what it hands out may be used. It borrows the bytes.
 */
#ifndef PORTOLAN_CLUSTER_PEER_WIRE_H
#define PORTOLAN_CLUSTER_PEER_WIRE_H

#include "cluster/cluster.h"

#define PEER_VERSION 1
#define PEER_HEAD 5                         /* length and type */
#define PEER_NUMBER_MAX (UINT64_C(1) << 53) /* incarnations, sequences: exact in JSON too */
#define PEER_BUCKETS 256                    /* by the top 8 bits of the ring hash */
#define PEER_RECORD_MAX (2 + CLUSTER_NAME_MAX + 46)
#define PEER_NODE_MAX (2 + ALIVE_NAME_MAX_BYTES + 14)

enum peer_type {
    PEER_HELLO = 1,
    PEER_WELCOME,
    PEER_REFUSE,
    PEER_PING,
    PEER_FACTS,
    PEER_SUMMARY,
    PEER_SAME,
    PEER_BUCKET_HASHES,
    PEER_RANGE,
    PEER_PULL,
    PEER_NAMES,
    PEER_CHANGE,
    PEER_ASK,
    PEER_ANSWER,
    PEER_IDENTITY,
};

enum peer_intent {
    PEER_INTENT_MEMBER,   /* "we are of one cluster" */
    PEER_INTENT_JOIN,     /* "I want to join you" */
    PEER_INTENT_DISCOVER, /* "I found you by discovery" */
};

#define PEER_FLAG_ALONE 1     /* nobody else in the sender's list */
#define PEER_FLAG_RESTING 2   /* left or forced out: not to be merged by discovery */
#define PEER_FLAG_DISCOVERY 4 /* a strategy other than manual is set */

#define PEER_KNOWN_NOTHING 255 /* known_state: the sender has no record of the receiver */

struct peer_hello {
    uint8_t version, flags, intent;
    struct cluster_id id;
    uint64_t joined, life, incarnation, names;
    uint64_t known_joined, known_incarnation; /* what the sender's record of the receiver says */
    uint8_t known_state;
    uint16_t port;
    struct bytes name, cluster_name;
};

struct peer_record {
    uint8_t state; /* enum cluster_state, never CLUSTER_CLEANED */
    uint16_t port;
    uint32_t age_ms;
    uint64_t joined, life, incarnation, names, detail;
    struct bytes name;
};

#define PEER_RANGE_ANSWER 1 /* records the sender of the request has not, or older */
#define PEER_RANGE_LAST 2   /* the last frame of this range */

#define PEER_NAMES_FIRST 1
#define PEER_NAMES_LAST 2

#define PEER_REGISTERED 1 /* CHANGE: operation */
#define PEER_UNREGISTERED 2

struct peer_range {
    uint64_t first, last;
    uint8_t flags;
};

struct peer_names {
    struct directory_version version;
    uint8_t flags;
    struct bytes owner;
};

struct peer_change {
    struct directory_version version;
    uint8_t operation;
    struct bytes owner;
    struct directory_name node;
};

struct peer_ask {
    uint8_t ttl;
    uint64_t to, from, subject;
    uint32_t number;
    bool heard; /* ANSWER */
};

/*
 * The length of the frame at the start of `bytes`, head included: 0 when more bytes are needed to
 * tell or to have it whole, SIZE_MAX when it is longer than CLUSTER_FRAME_MAX or has no type.
 */
size_t peer_frame_len(struct bytes bytes);

/* Each reads a payload; false: malformed. */
bool peer_read_hello(struct bytes payload, struct peer_hello *hello);
bool peer_read_names(struct reader *reader, struct peer_names *names); /* its entries follow */
bool peer_read_change(struct bytes payload, struct peer_change *change);
bool peer_read_ask(struct bytes payload, enum peer_type type, struct peer_ask *ask);
bool peer_read_id(struct reader *reader, struct cluster_id *id);
bool peer_read_version(struct reader *reader, struct directory_version *version);

/* The next of a list: false at its end, and also when it is malformed (reader->failed). */
bool peer_next_record(struct reader *reader, struct peer_record *record);
bool peer_next_node(struct reader *reader, uint64_t *sequence, struct directory_name *node);

/* Reads `name`; empty with reader->failed when it is none. */
struct bytes peer_read_name(struct reader *reader);
bool peer_name_is_valid(struct bytes name);

/* A frame is begun, written with the functions below or with base/bytes.h, and ended. A writer that
 * has no room fails as a whole. */
size_t peer_begin(struct writer *writer, enum peer_type type);
void peer_end(struct writer *writer, size_t begun);

void peer_write_hello(struct writer *writer, const struct peer_hello *hello);
void peer_write_name(struct writer *writer, struct bytes name);
void peer_write_id(struct writer *writer, struct cluster_id id);
void peer_write_version(struct writer *writer, struct directory_version version);
void peer_write_record(struct writer *writer, const struct peer_record *record);
void peer_write_node(struct writer *writer, const struct directory_name *node);
void peer_write_change(struct writer *writer, const struct peer_change *change);
void peer_write_ask(struct writer *writer, enum peer_type type, const struct peer_ask *ask);

#endif
