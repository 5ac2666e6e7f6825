/*
 * Keeps the leases of the port pool (names/port_pool) over restarts, in the file ports-PORT
 * (daemon/state_file). Where they cannot be kept, a restart forgets them.
 */
#ifndef PORTOLAN_DAEMON_LEASE_STORE_H
#define PORTOLAN_DAEMON_LEASE_STORE_H

#include "names/port_pool.h"

struct lease_store;

/* Takes over into `pool` (borrowed) what was kept. NULL only when out of memory. */
struct lease_store *lease_store_open(const char *directory, uint16_t port, struct port_pool *pool);
void lease_store_free(struct lease_store *store);

/* Saves when there is something to save. */
void lease_store_sync(struct lease_store *store);

#endif
