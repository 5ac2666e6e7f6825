#include "store/creation_store.h"

#include "store/state_file.h"

#include <stdio.h>
#include <stdlib.h>

struct creation_store {
    struct creations *creations; /* borrowed */
    struct state_file *file;
    creation_store_settled *settled; /* NULL: none waits */
    void *settled_context;
};

static bool restore(void *context, struct bytes text) {
    const struct creation_store *store = context;
    return creations_restore(store->creations, text);
}

static uint8_t *encode(void *context, size_t *len) {
    const struct creation_store *store = context;
    uint8_t *text = malloc(CREATIONS_TEXT_MAX);
    if (text == NULL)
        return NULL;
    struct writer writer = writer_of(text, CREATIONS_TEXT_MAX);
    if (creations_encode(store->creations, &writer)) {
        *len = writer.len;
        return text;
    }
    free(text);
    return NULL;
}

static bool unsaved(void *context) {
    const struct creation_store *store = context;
    return creations_unsaved(store->creations);
}

static void saved(void *context, bool kept) {
    const struct creation_store *store = context;
    if (kept)
        creations_saved(store->creations);
}

static void settled(void *context, uint64_t number) {
    const struct creation_store *store = context;
    if (store->settled != NULL)
        store->settled(store->settled_context, number);
}

struct creation_store *creation_store_open(const char *directory, uint16_t port,
                                           struct creations *creations) {
    struct creation_store *store = calloc(1, sizeof *store);
    char name[32];
    if (store == NULL)
        return NULL;
    /* durable: other hosts may still know pids of nodes that a crash of this machine has ended */
    const struct state_hooks hooks = {.encode = encode,
                                      .unsaved = unsaved,
                                      .saved = saved,
                                      .settled = settled,
                                      .context = store,
                                      .durable = true};
    snprintf(name, sizeof name, "creations-%u", port);
    store->creations = creations;
    store->file = state_file_open(directory, name, "creations follow the clock", &hooks);
    if (store->file == NULL) {
        free(store);
        return NULL;
    }
    state_file_load(store->file, CREATIONS_TEXT_MAX, restore, store);
    return store;
}

bool creation_store_attach(struct creation_store *store, struct state_worker *worker,
                           creation_store_settled *settled_hook, void *context) {
    store->settled = settled_hook;
    store->settled_context = context;
    return state_file_attach(store->file, worker);
}

void creation_store_free(struct creation_store *store) {
    if (store == NULL)
        return;
    state_file_free(store->file);
    free(store);
}

uint64_t creation_store_sync(struct creation_store *store) {
    return creations_unsaved(store->creations) ? state_file_save(store->file) : 0;
}

void creation_store_save_last(struct creation_store *store) {
    state_file_save_last(store->file);
}

uint64_t creation_store_given(struct creation_store *store, uint16_t highest_version) {
    uint64_t number = creation_store_sync(store);
    return creations_is_kept(store->creations, highest_version) ? 0 : number;
}
