/*
 * What a member keeps over a restart, as text, a fact a line:
 *
 *   portolan cluster 1
 *   self NAME JOINED RESERVE
 *   id CREATED RANDOM
 *   alive NAME JOINED LIFE INCARNATION PORT SINCE
 *   down NAME JOINED LIFE INCARNATION PORT SINCE
 *   cleaned NAME JOINED LIFE INCARNATION PORT SINCE
 *   left NAME 0 0 INCARNATION 0 SINCE
 *   forced-out NAME 0 0 INCARNATION 0 SINCE
 *   sum CHECKSUM
 *
 * Numbers are decimal, but the checksum (base/checksum.h, of all before its line) is hexadecimal.
 * SINCE is in milliseconds since 1970; of tombstones, the stamp of who made it. RESERVE lies above
 * every incarnation that was used when this was written. Names have no blanks (wire.h).
 * Pure: writes to and reads from memory; the shell has the file.
 */
#ifndef PORTOLAN_CLUSTER_STORE_H
#define PORTOLAN_CLUSTER_STORE_H

#include "cluster/types.h"

#define STORE_LINE_MAX (CLUSTER_NAME_MAX + 128)

struct store_head {
    struct bytes name; /* borrows the text */
    uint64_t joined, reserve;
    struct cluster_id id;
};

struct store_record {
    enum cluster_state state; /* SUSPECT is written as ALIVE: nobody is suspect for ever */
    struct bytes name;        /* borrows the text */
    uint64_t joined, generation, incarnation, since_ms;
    uint16_t port;
};

/* Writes into memory of STORE_LINE_MAX bytes for each line, head and sum included. */
void cluster_store_write_head(struct writer *writer, const struct store_head *head);
void cluster_store_write(struct writer *writer, const struct store_record *record);
void cluster_store_write_sum(struct writer *writer);

/* Checks the sum and reads the head; *rest is where the records begin. False: damaged. */
bool cluster_store_read_head(struct bytes text, struct store_head *head, struct reader *rest);

/* The next record: false at the end, and when it is malformed (rest->failed). */
bool cluster_store_next(struct reader *rest, struct store_record *record);

#endif
