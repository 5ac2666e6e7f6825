#include "store/member_store.h"

#include "cluster/store.h"
#include "store/state_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "cluster"

/* As many lines as a member may have records, and then some. */
#define TEXT_MAX ((size_t)16 << 20)

struct cluster_store_file {
    struct state_file *file;
    struct cluster *cluster; /* borrowed; NULL until it is attached */
    struct cluster_store_hooks hooks;
    bool unsaved; /* since what was encoded last, or that failed */
};

static uint8_t *encode(void *context, size_t *len) {
    struct cluster_store_file *store = context;
    store->unsaved = false;
    return cluster_store_of(store->cluster, len);
}

static bool unsaved(void *context) {
    const struct cluster_store_file *store = context;
    return store->unsaved;
}

static void saved(void *context, bool kept) {
    struct cluster_store_file *store = context;
    if (!kept)
        store->unsaved = true;
    store->hooks.saved(store->hooks.context, kept);
}

static void settled(void *context, uint64_t number) {
    const struct cluster_store_file *store = context;
    store->hooks.settled(store->hooks.context, number);
}

struct cluster_store_file *cluster_store_file_open(const char *directory) {
    struct cluster_store_file *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    const struct state_hooks hooks = {.encode = encode,
                                      .unsaved = unsaved,
                                      .saved = saved,
                                      .settled = settled,
                                      .context = store,
                                      .durable = true};
    store->file = state_file_open(directory, FILE_NAME, "a restart forgets the cluster", &hooks);
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

struct fit {
    const char *name;
    char *old_name;
    bool fits;
};

static void judge_fit(void *context, struct bytes text) {
    struct fit *fit = context;
    fit->fits = !has_members(text, fit->old_name) || strcmp(fit->old_name, fit->name) == 0;
}

bool cluster_store_file_fits(const char *directory, const char *name,
                             char old_name[CLUSTER_NAME_MAX + 1]) {
    struct fit fit = {.name = name, .old_name = old_name, .fits = true};
    state_file_peek(directory, FILE_NAME, TEXT_MAX, judge_fit, &fit);
    return fit.fits;
}

void cluster_store_file_explain_name(const char *directory, const char *name, const char *old_name,
                                     char *out, size_t size) {
    snprintf(out, size,
             "cannot start as %s: this daemon is a member of a cluster as %s, and a member's name "
             "cannot change (%s/" FILE_NAME " says so); start it with node.name = %s, run "
             "'portolan cluster leave', and then change the name",
             name, old_name, directory, old_name);
}

bool cluster_store_file_attach(struct cluster_store_file *store, struct cluster *cluster,
                               struct state_worker *worker,
                               const struct cluster_store_hooks *hooks) {
    store->cluster = cluster;
    store->hooks = *hooks;
    return state_file_attach(store->file, worker);
}

uint64_t cluster_store_file_save(struct cluster_store_file *store) {
    store->unsaved = true;
    return state_file_save(store->file);
}

bool cluster_store_file_unsaved(const struct cluster_store_file *store) {
    return store->unsaved;
}

void cluster_store_file_save_last(struct cluster_store_file *store) {
    store->unsaved = true;
    state_file_save_last(store->file);
}
