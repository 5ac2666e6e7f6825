#include "daemon/lease_store.h"

#include "base/clock.h"
#include "daemon/state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What a file may hold at most: the names that are remembered and as many leases as there are
 * ports. */
#define TEXT_MAX ((size_t)32 << 20)

struct lease_store {
    struct port_pool *pool; /* borrowed */
    struct state_file *file;
};

static bool restore(void *context, struct bytes text) {
    const struct lease_store *store = context;
    return port_pool_restore(store->pool, text, clock_monotonic_ms());
}

struct lease_store *lease_store_open(const char *directory, uint16_t port, struct port_pool *pool) {
    struct lease_store *store = calloc(1, sizeof *store);
    char name[32];
    if (store == NULL)
        return NULL;
    snprintf(name, sizeof name, "ports-%u", port);
    store->pool = pool;
    store->file = state_file_open(directory, name, "a restart forgets the leases");
    if (store->file == NULL) {
        free(store);
        return NULL;
    }
    state_file_load(store->file, TEXT_MAX, restore, store);
    return store;
}

void lease_store_free(struct lease_store *store) {
    if (store == NULL)
        return;
    state_file_free(store->file);
    free(store);
}

void lease_store_sync(struct lease_store *store) {
    if (!port_pool_unsaved(store->pool) || !state_file_writable(store->file))
        return;
    size_t size = port_pool_text_max(store->pool);
    uint8_t *buffer = malloc(size);
    if (buffer == NULL) {
        state_file_not_saved(store->file, ENOMEM);
        return;
    }
    struct writer writer = writer_of(buffer, size);
    /* not durable: a crash of the machine ends the nodes that the leases were for */
    if (port_pool_encode(store->pool, &writer, clock_monotonic_ms()) &&
        state_file_save(store->file, writer_bytes(&writer), false))
        port_pool_saved(store->pool);
    free(buffer);
}
