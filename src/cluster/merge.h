/* Records that are heard, and which wins: theirs or ours. */
#ifndef PORTOLAN_CLUSTER_MERGE_H
#define PORTOLAN_CLUSTER_MERGE_H

#include "cluster/link.h"

enum merge_result {
    MERGE_NEW,
    MERGE_KNOWN,
    MERGE_STALE,   /* we know better, and may say so */
    MERGE_REFUSED, /* no room, no memory, or numbers that no clock gives */
};
enum merge_result merge_record(struct cluster *cluster, const struct wire_record *record,
                               struct cluster_link *from);

/* The payload of RECORDS: stale ones are answered with what we know. False: malformed. */
bool merge_receive_records(struct cluster *cluster, struct cluster_link *link,
                           struct bytes payload);

/* Whether this name is in the list, or would have a place in it. */
bool merge_has_place_for(const struct cluster *cluster, struct bytes name);

#endif
