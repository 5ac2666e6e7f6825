/*
 * Keeps the creations (names/creations) over restarts, in the file creations-PORT
 * (store/state_file). Where they cannot be kept, creations follow the clock.
 */
#ifndef PORTOLAN_STORE_CREATION_STORE_H
#define PORTOLAN_STORE_CREATION_STORE_H

#include "names/creations.h"
#include "store/state_worker.h"

struct creation_store;

/* Takes over into `creations` (borrowed) what was kept. NULL only when out of memory. */
struct creation_store *creation_store_open(const char *directory, uint16_t port,
                                           struct creations *creations);
void creation_store_free(struct creation_store *store);

/* What was to wait for a write up to this number may be told. */
typedef void creation_store_settled(void *context, uint64_t number);

/* From here on the worker (borrowed) writes; until then it is done at once. False: no memory. */
bool creation_store_attach(struct creation_store *store, struct state_worker *worker,
                           creation_store_settled *settled, void *context);

/* Saves when there is something to save. The number of the write that will have it; 0: nothing is
 * to be waited for. */
uint64_t creation_store_sync(struct creation_store *store);

/* The same just after a creation was given to a node of this highest version: the number of the
 * write that the creation is to be told after; 0: at once. */
uint64_t creation_store_given(struct creation_store *store, uint16_t highest_version);

/* At the end: waits as long as the end of the daemon may take. */
void creation_store_save_last(struct creation_store *store);

#endif
