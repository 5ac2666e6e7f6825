#include "daemon/cluster_store_file.h"

#include "cluster/cluster_store.h"
#include "daemon/state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* As many lines as a member may have records, and then some. */
#define TEXT_MAX ((size_t)16 << 20)

struct cluster_store_file {
    struct state_file *file;
};

struct cluster_store_file *cluster_store_file_open(const char *directory) {
    struct cluster_store_file *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->file = state_file_open(directory, "cluster", "a restart forgets the cluster");
    if (store->file != NULL)
        return store;
    free(store);
    return NULL;
}

void cluster_store_file_free(struct cluster_store_file *store) {
    if (store == NULL)
        return;
    state_file_free(store->file);
    free(store);
}

struct start {
    struct cluster_options options;
    int64_t now_ms;
    struct cluster **made;
    enum cluster_start verdict;
    char *old_name;
};

/* Whether another than the one who wrote this was a member. */
static bool has_members(struct bytes text, char *old_name) {
    struct store_head head;
    struct store_record record;
    struct reader rest;
    if (!cluster_store_read_head(text, &head, &rest) || head.name.len > CLUSTER_NAME_MAX)
        return false;
    memcpy(old_name, head.name.data, head.name.len);
    old_name[head.name.len] = '\0';
    while (cluster_store_next(&rest, &record)) {
        bool is_listed = record.state == CLUSTER_ALIVE || record.state == CLUSTER_DOWN ||
                         record.state == CLUSTER_CLEANED;
        if (is_listed && !bytes_equal(record.name, head.name))
            return true;
    }
    return false;
}

static bool start_from(void *context, struct bytes text) {
    struct start *start = context;
    start->options.stored = text;
    start->verdict = cluster_new(&start->options, start->now_ms, start->made);
    start->options.stored = bytes_of(NULL, 0);
    if (start->verdict == CLUSTER_START_NAME_CHANGED && !has_members(text, start->old_name))
        start->verdict = cluster_new(&start->options, start->now_ms, start->made);
    return start->verdict != CLUSTER_START_STORE_DAMAGED;
}

enum cluster_start cluster_store_file_start(struct cluster_store_file *store,
                                            const struct cluster_options *options, int64_t now_ms,
                                            struct cluster **made,
                                            char old_name[CLUSTER_NAME_MAX + 1]) {
    struct start start = {.options = *options,
                          .now_ms = now_ms,
                          .made = made,
                          .verdict = CLUSTER_START_STORE_DAMAGED,
                          .old_name = old_name};
    start.options.stored = bytes_of(NULL, 0);
    old_name[0] = '\0';
    state_file_load(store->file, TEXT_MAX, start_from, &start);
    if (start.verdict != CLUSTER_START_STORE_DAMAGED)
        return start.verdict;
    return cluster_new(&start.options, now_ms, made);
}

bool cluster_store_file_save(struct cluster_store_file *store, const struct cluster *cluster) {
    size_t len;
    if (!state_file_writable(store->file))
        return false;
    uint8_t *text = cluster_store_of(cluster, &len);
    if (text == NULL) {
        state_file_not_saved(store->file, ENOMEM);
        return false;
    }
    bool saved = state_file_save(store->file, bytes_of(text, len), true);
    free(text);
    return saved;
}
