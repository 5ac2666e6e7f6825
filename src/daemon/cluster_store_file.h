/* Keeps what a member needs over restarts (cluster/cluster_store), in the file "cluster" of the
 * data directory (daemon/state_file). */
#ifndef PORTOLAN_DAEMON_CLUSTER_STORE_FILE_H
#define PORTOLAN_DAEMON_CLUSTER_STORE_FILE_H

#include "cluster/cluster.h"

struct cluster_store_file;

/* NULL only when out of memory. */
struct cluster_store_file *cluster_store_file_open(const char *directory);
void cluster_store_file_free(struct cluster_store_file *file);

/*
 * Makes the cluster from what was kept; `options->stored` is not looked at. What is damaged is set
 * aside, and the cluster starts without it. A new name is taken on as long as nobody else was
 * a member; else CLUSTER_START_NAME_CHANGED, and `old_name` tells which it was.
 */
enum cluster_start cluster_store_file_start(struct cluster_store_file *file,
                                            const struct cluster_options *options, int64_t now_ms,
                                            struct cluster **made,
                                            char old_name[CLUSTER_NAME_MAX + 1]);

/* Saves the state, to survive a crash of the machine. False: it was not kept, and is to be tried
 * again later. */
bool cluster_store_file_save(struct cluster_store_file *file, const struct cluster *cluster);

#endif
