/*
 * Keeps the creations (names/creations) in a file, so that they do not repeat over restarts: one
 * file a port, DIR/creations-PORT, written whole to a new file, synced and renamed. A daemon whose
 * directory cannot be used goes on with the clock alone and says so once.
 */
#ifndef PORTOLAN_DAEMON_CREATION_STORE_H
#define PORTOLAN_DAEMON_CREATION_STORE_H

#include "names/creations.h"

struct creation_store;

/*
 * Opens the store in `directory` (made if it is missing; NULL: nowhere), takes over what it holds
 * into `creations` (borrowed), and locks it. A damaged file is set aside as creations-PORT.damaged.
 * NULL only when out of memory.
 */
struct creation_store *creation_store_open(const char *directory, uint16_t port,
                                           struct creations *creations);
void creation_store_free(struct creation_store *store);

/* Saves when there is something to save. */
void creation_store_sync(struct creation_store *store);

#endif
