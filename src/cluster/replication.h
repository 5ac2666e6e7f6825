/* The names of members, as they travel: changes are passed on, snapshots pulled. */
#ifndef PORTOLAN_CLUSTER_REPLICATION_H
#define PORTOLAN_CLUSTER_REPLICATION_H

#include "cluster/link.h"

/* Somebody says that the member has come so far with its names: pulls what we have not. */
void replication_note_sequence(struct cluster *cluster, struct member *member, uint64_t sequence,
                               struct cluster_link *from);
void replication_pull_done(struct member *member); /* its names came, or are not wanted any more */
void replication_link_gone(struct cluster *cluster, struct cluster_link *link);

/* Frames. False: malformed. */
bool replication_receive_pull(struct cluster *cluster, struct cluster_link *link,
                              struct bytes payload);
bool replication_receive_names(struct cluster *cluster, struct cluster_link *link,
                               struct bytes payload);
bool replication_receive_change(struct cluster *cluster, struct cluster_link *link,
                                struct bytes payload);

/* Our own names. */
void replication_register(struct cluster *cluster, const struct directory_name *name);
void replication_unregister(struct cluster *cluster, struct bytes name);

/* The directory's watcher: tells the shell. */
void replication_watch(void *cluster, const struct directory_entry *entry, bool registered);

#endif
