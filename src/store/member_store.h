/* Keeps what a member needs over restarts (cluster/cluster_store), in the file "cluster" of the
 * data directory (store/state_file). */
#ifndef PORTOLAN_STORE_MEMBER_STORE_H
#define PORTOLAN_STORE_MEMBER_STORE_H

#include "cluster/cluster.h"
#include "store/state_worker.h"

struct cluster_store_file;

/* NULL only when out of memory. */
struct cluster_store_file *cluster_store_file_open(const char *directory);
void cluster_store_file_free(struct cluster_store_file *file);

/*
 * Makes the cluster from what was kept; `options->stored` is ignored. What is damaged is set
 * aside, and the cluster starts without it. A new name is taken on as long as nobody else was
 * a member; else CLUSTER_START_NAME_CHANGED, and `old_name` is that name.
 */
enum cluster_start cluster_store_file_start(struct cluster_store_file *file,
                                            const struct cluster_options *options, int64_t now_ms,
                                            struct cluster **made,
                                            char old_name[CLUSTER_NAME_MAX + 1]);

/* Whether a daemon of this name could start in the directory; if not, `old_name` is the name that
 * it must have. Changes nothing, also while a daemon runs there. */
bool cluster_store_file_fits(const char *directory, const char *name,
                             char old_name[CLUSTER_NAME_MAX + 1]);

/* Why it could not, and what to do, for people. */
void cluster_store_file_explain_name(const char *directory, const char *name, const char *old_name,
                                     char *out, size_t size);

/* Reports of the store, in the event loop. */
struct cluster_store_hooks {
    void (*saved)(void *context, bool kept);
    void (*settled)(void *context, uint64_t number); /* see cluster_store_file_save */
    void *context;
};

/* From here on it saves this cluster, and the worker writes; both are borrowed. False: no
 * memory. */
bool cluster_store_file_attach(struct cluster_store_file *file, struct cluster *cluster,
                               struct state_worker *worker,
                               const struct cluster_store_hooks *hooks);

/* Saves the state, to survive a crash of the machine. The number of the write, for `settled`; 0:
 * nothing is to be waited for. Where it is not kept, `saved` says so, now or later. */
uint64_t cluster_store_file_save(struct cluster_store_file *file);

/* Whether there is something that no write has, because none could be tried. */
bool cluster_store_file_unsaved(const struct cluster_store_file *file);

/* At the end: waits as long as the end of the daemon may take. */
void cluster_store_file_save_last(struct cluster_store_file *file);

#endif
