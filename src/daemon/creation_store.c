#include "daemon/creation_store.h"

#include "daemon/state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct creation_store {
    struct creations *creations; /* borrowed */
    struct state_file *file;
};

static bool restore(void *context, struct bytes text) {
    const struct creation_store *store = context;
    return creations_restore(store->creations, text);
}

struct creation_store *creation_store_open(const char *directory, uint16_t port,
                                           struct creations *creations) {
    struct creation_store *store = calloc(1, sizeof *store);
    char name[32];
    if (store == NULL)
        return NULL;
    snprintf(name, sizeof name, "creations-%u", port);
    store->creations = creations;
    store->file = state_file_open(directory, name, "creations follow the clock");
    if (store->file == NULL) {
        free(store);
        return NULL;
    }
    state_file_load(store->file, CREATIONS_TEXT_MAX, restore, store);
    return store;
}

void creation_store_free(struct creation_store *store) {
    if (store == NULL)
        return;
    state_file_free(store->file);
    free(store);
}

void creation_store_sync(struct creation_store *store) {
    if (!creations_unsaved(store->creations) || !state_file_writable(store->file))
        return;
    uint8_t *buffer = malloc(CREATIONS_TEXT_MAX);
    if (buffer == NULL) {
        state_file_not_saved(store->file, ENOMEM);
        return;
    }
    struct writer writer = writer_of(buffer, CREATIONS_TEXT_MAX);
    /* durable: other hosts may still know pids of nodes that a crash of this machine has ended */
    if (creations_encode(store->creations, &writer) &&
        state_file_save(store->file, writer_bytes(&writer), true))
        creations_saved(store->creations);
    free(buffer);
}
