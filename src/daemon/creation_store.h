/*
 * Keeps the creations (names/creations) over restarts, in the file creations-PORT
 * (daemon/state_file). Where they cannot be kept, creations follow the clock.
 */
#ifndef PORTOLAN_DAEMON_CREATION_STORE_H
#define PORTOLAN_DAEMON_CREATION_STORE_H

#include "names/creations.h"

struct creation_store;

/* Takes over into `creations` (borrowed) what was kept. NULL only when out of memory. */
struct creation_store *creation_store_open(const char *directory, uint16_t port,
                                           struct creations *creations);
void creation_store_free(struct creation_store *store);

/* Saves when there is something to save. */
void creation_store_sync(struct creation_store *store);

#endif
