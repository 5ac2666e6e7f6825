#include "store/lease_store.h"

#include "base/clock.h"
#include "store/state_file.h"

#include <stdio.h>
#include <stdlib.h>

/* What a file may hold at most: the names that are remembered and as many leases as there are
 * ports. */
#define TEXT_MAX ((size_t)32 << 20)

/* Ends of leases are saved together: a lease too many ends by itself a minute after a restart. */
#define ENDS_MS 1000

struct lease_store {
    struct port_pool *pool; /* borrowed */
    struct state_file *file;
    uint8_t *text; /* that is being made; NULL: none is */
    size_t text_len, text_size;
    size_t last_len;              /* of the previous text, an estimate for the next one */
    int64_t tended_ms;            /* when the last write of ends began */
    lease_store_settled *settled; /* NULL: none waits */
    void *settled_context;
};

static bool restore(void *context, struct bytes text) {
    const struct lease_store *store = context;
    return port_pool_restore(store->pool, text, clock_monotonic_ms());
}

static void drop_text(struct lease_store *store) {
    free(store->text);
    store->text = NULL;
    store->text_len = store->text_size = 0;
}

/* Room for one more piece; the text begins with the first. False: no memory, and no text. */
static bool make_room(struct lease_store *store) {
    if (store->text_size - store->text_len >= PORT_POOL_PIECE_MAX)
        return true;
    if (store->text == NULL)
        port_pool_encode_begin(store->pool);
    size_t known = store->text == NULL ? store->last_len : store->text_size;
    size_t size = known + known / 2 + PORT_POOL_PIECE_MAX; /* not to be copied often */
    uint8_t *text = realloc(store->text, size);
    if (text == NULL) {
        drop_text(store);
        return false;
    }
    store->text = text;
    store->text_size = size;
    return true;
}

static bool prepare(void *context) {
    struct lease_store *store = context;
    if (!make_room(store))
        return true;
    struct writer writer = writer_of(store->text, store->text_size);
    writer.len = store->text_len;
    bool is_whole = port_pool_encode_piece(store->pool, &writer, clock_monotonic_ms());
    store->text_len = writer.len;
    return is_whole;
}

static uint8_t *encode(void *context, size_t *len) {
    struct lease_store *store = context;
    uint8_t *text = store->text;
    *len = store->last_len = store->text_len;
    store->text = NULL;
    drop_text(store);
    return text;
}

static bool unsaved(void *context) {
    const struct lease_store *store = context;
    return port_pool_unsaved(store->pool);
}

static void saved(void *context, bool kept) {
    const struct lease_store *store = context;
    if (kept)
        port_pool_saved(store->pool);
}

static void settled(void *context, uint64_t number) {
    const struct lease_store *store = context;
    if (store->settled != NULL)
        store->settled(store->settled_context, number);
}

struct lease_store *lease_store_open(const char *directory, uint16_t port, struct port_pool *pool) {
    struct lease_store *store = calloc(1, sizeof *store);
    char name[32];
    if (store == NULL)
        return NULL;
    /* not durable: a crash of the machine ends the nodes that the leases were for */
    const struct state_hooks hooks = {.prepare = prepare,
                                      .encode = encode,
                                      .unsaved = unsaved,
                                      .saved = saved,
                                      .settled = settled,
                                      .context = store};
    snprintf(name, sizeof name, "ports-%u", port);
    store->pool = pool;
    store->file = state_file_open(directory, name, "a restart forgets the leases", &hooks);
    if (store->file == NULL) {
        free(store);
        return NULL;
    }
    state_file_load(store->file, TEXT_MAX, restore, store);
    return store;
}

bool lease_store_attach(struct lease_store *store, struct state_worker *worker,
                        lease_store_settled *settled_hook, void *context) {
    store->settled = settled_hook;
    store->settled_context = context;
    return state_file_attach(store->file, worker);
}

void lease_store_free(struct lease_store *store) {
    if (store == NULL)
        return;
    state_file_free(store->file);
    drop_text(store);
    free(store);
}

uint64_t lease_store_sync(struct lease_store *store) {
    return port_pool_unsaved(store->pool) ? state_file_save(store->file) : 0;
}

int64_t lease_store_tend(struct lease_store *store) {
    int64_t now_ms = clock_monotonic_ms();
    int64_t due_ms = store->tended_ms + ENDS_MS;
    if (!port_pool_unsaved(store->pool))
        return INT64_MAX;
    if (now_ms < due_ms)
        return due_ms;
    store->tended_ms = now_ms;
    state_file_save(store->file);
    return INT64_MAX;
}

void lease_store_save_last(struct lease_store *store) {
    state_file_save_last(store->file);
}
