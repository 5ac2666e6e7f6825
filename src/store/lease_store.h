/*
 * Keeps the leases of the port pool (names/port_pool) over restarts, in the file ports-PORT
 * (store/state_file). Where they cannot be kept, a restart forgets them.
 */
#ifndef PORTOLAN_STORE_LEASE_STORE_H
#define PORTOLAN_STORE_LEASE_STORE_H

#include "names/port_pool.h"
#include "store/state_worker.h"

struct lease_store;

/* Takes over into `pool` (borrowed) what was kept. NULL only when out of memory. */
struct lease_store *lease_store_open(const char *directory, uint16_t port, struct port_pool *pool);
void lease_store_free(struct lease_store *store);

/* What was to wait for a write up to this number may be told. */
typedef void lease_store_settled(void *context, uint64_t number);

/* From here on the worker (borrowed) writes; until then it is done at once. False: no memory. */
bool lease_store_attach(struct lease_store *store, struct state_worker *worker,
                        lease_store_settled *settled, void *context);

/* Saves when there is something to save: a promise. The number of the write that it is to be told
 * after; 0: at once. */
uint64_t lease_store_sync(struct lease_store *store);

/* Saves changes that nothing waits for, ends of leases, once a second at most. When to call it
 * next; INT64_MAX: not before something has changed. */
int64_t lease_store_tend(struct lease_store *store);

/* At the end: waits as long as the end of the daemon may take. */
void lease_store_save_last(struct lease_store *store);

#endif
