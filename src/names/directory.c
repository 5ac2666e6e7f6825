#include "names/directory.h"

#include "base/assert.h"
#include "base/hash_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* Its key is the full name, so that a look-up takes one step; the alive name is the key's start. */
struct slot {
    struct directory_entry entry; /* first: an entry is its slot */
    UT_hash_handle hh;
    TAILQ_ENTRY(slot) by_sequence;
    size_t key_len;
    char key[];
};
TAILQ_HEAD(slots, slot);

struct directory_owner {
    TAILQ_ENTRY(directory_owner) entry;
    struct directory *directory;
    void *context;
    struct directory_version version;
    struct slots slots; /* by sequence */
    size_t count, bytes;
    size_t name_len;
    size_t host_at;
    char name[];
};
TAILQ_HEAD(owners, directory_owner);

struct directory {
    struct slot *by_name; /* several slots may have one key: daemons of one host */
    struct owners owners;
    size_t count, bytes;
    LIST_HEAD(directory_cursors, directory_cursor) cursors;
    directory_watch *watch;
    void *watch_context;
};

struct directory_snapshot {
    struct directory_version version;
    struct slots slots; /* their keys are alive names only, and they are in no table */
    size_t count, bytes;
};

int directory_version_compare(struct directory_version a, struct directory_version b) {
    if (a.generation != b.generation)
        return a.generation < b.generation ? -1 : 1;
    if (a.sequence != b.sequence)
        return a.sequence < b.sequence ? -1 : 1;
    return 0;
}

struct directory *directory_new(directory_watch *watch, void *watch_context) {
    struct directory *directory = calloc(1, sizeof *directory);
    if (directory == NULL)
        return NULL;
    TAILQ_INIT(&directory->owners);
    LIST_INIT(&directory->cursors);
    directory->watch = watch;
    directory->watch_context = watch_context;
    return directory;
}

void directory_free(struct directory *directory) {
    if (directory == NULL)
        return;
    directory->watch = NULL;
    while (!TAILQ_EMPTY(&directory->owners))
        directory_owner_remove(TAILQ_FIRST(&directory->owners));
    free(directory);
}

struct directory_owner *directory_owner_add(struct directory *directory, struct bytes name,
                                            void *context) {
    struct directory_owner *owner = calloc(1, sizeof *owner + name.len);
    if (owner == NULL)
        return NULL;
    const uint8_t *at = name.len == 0 ? NULL : memchr(name.data, '@', name.len);
    owner->host_at = at == NULL ? name.len : (size_t)(at - name.data);
    owner->directory = directory;
    owner->context = context;
    owner->name_len = name.len;
    if (name.len > 0)
        memcpy(owner->name, name.data, name.len);
    TAILQ_INIT(&owner->slots);
    TAILQ_INSERT_TAIL(&directory->owners, owner, entry);
    return owner;
}

static struct slot *slot_of(const struct directory_entry *entry) {
    return (struct slot *)entry;
}

static void notify_watch(struct directory *directory, const struct slot *slot, bool registered) {
    if (directory->watch != NULL)
        directory->watch(directory->watch_context, &slot->entry, registered);
}

/* The walks that were about to see the entry see the one behind it. */
static void pass_cursors_by(struct slot *slot) {
    struct directory_cursor *cursor;
    LIST_FOREACH(cursor, &slot->entry.owner->directory->cursors, entry) {
        if (cursor->next == &slot->entry)
            directory_cursor_advance(cursor);
    }
}

static void slot_drop(struct slot *slot) {
    struct directory_owner *owner = slot->entry.owner;
    struct directory *directory = owner->directory;
    pass_cursors_by(slot);
    HASH_DELETE(hh, directory->by_name, slot);
    TAILQ_REMOVE(&owner->slots, slot, by_sequence);
    PORTOLAN_ASSERT(owner->count > 0 && directory->count >= owner->count);
    PORTOLAN_ASSERT(owner->bytes <= directory->bytes);
    owner->count--;
    directory->count--;
    owner->bytes -= slot->entry.node.name.len;
    directory->bytes -= slot->entry.node.name.len;
    notify_watch(directory, slot, false);
    free(slot);
}

static void move_to_owner(struct directory_cursor *cursor, const struct directory_owner *owner) {
    cursor->owner = owner;
    cursor->next = owner == NULL ? NULL : directory_entry_first(owner);
}

static void owner_clear(struct directory_owner *owner) {
    while (!TAILQ_EMPTY(&owner->slots))
        slot_drop(TAILQ_FIRST(&owner->slots));
}

void directory_owner_remove(struct directory_owner *owner) {
    struct directory_cursor *cursor;
    owner_clear(owner);
    PORTOLAN_ASSERT(owner->count == 0 && owner->bytes == 0);
    LIST_FOREACH(cursor, &owner->directory->cursors, entry) {
        if (cursor->owner == owner)
            move_to_owner(cursor, TAILQ_NEXT(owner, entry));
    }
    TAILQ_REMOVE(&owner->directory->owners, owner, entry);
    free(owner);
}

struct bytes directory_owner_name(const struct directory_owner *owner) {
    return bytes_of(owner->name, owner->name_len);
}

struct bytes directory_owner_host(const struct directory_owner *owner) {
    size_t start = owner->host_at < owner->name_len ? owner->host_at + 1 : owner->name_len;
    return bytes_of(owner->name + start, owner->name_len - start);
}

void *directory_owner_context(const struct directory_owner *owner) {
    return owner->context;
}

struct directory_version directory_owner_version(const struct directory_owner *owner) {
    return owner->version;
}

size_t directory_owner_count(const struct directory_owner *owner) {
    return owner->count;
}

static bool node_is_valid(const struct directory_name *node) {
    return node->port != 0 && alive_name_check(node->name) == ALIVE_NAME_OK;
}

/* A slot whose key is the alive name, then `host` with its @. */
static struct slot *slot_new(const struct directory_name *node, uint64_t sequence,
                             struct bytes host) {
    size_t key_len = node->name.len + host.len;
    struct slot *slot = malloc(sizeof *slot + key_len);
    if (slot == NULL)
        return NULL;
    memset(slot, 0, sizeof *slot);
    slot->key_len = key_len;
    memcpy(slot->key, node->name.data, node->name.len);
    if (host.len > 0)
        memcpy(slot->key + node->name.len, host.data, host.len);
    slot->entry.node = *node;
    slot->entry.node.name = bytes_of(slot->key, node->name.len);
    slot->entry.sequence = sequence;
    return slot;
}

/* The owner's part of a key: its host with the @ before it. */
static struct bytes owner_suffix(const struct directory_owner *owner) {
    return bytes_of(owner->name + owner->host_at, owner->name_len - owner->host_at);
}

static bool owner_is_full(const struct directory_owner *owner, size_t more_bytes) {
    const struct directory *directory = owner->directory;
    return owner->count >= DIRECTORY_OWNER_NAMES_MAX ||
           owner->bytes + more_bytes > DIRECTORY_OWNER_BYTES_MAX ||
           directory->count >= DIRECTORY_NAMES_MAX ||
           directory->bytes + more_bytes > DIRECTORY_BYTES_MAX;
}

/* Puts a new slot in the table and before `before` in the owner's list, at its end when NULL. */
static enum directory_verdict owner_insert(struct directory_owner *owner,
                                           const struct directory_name *node, uint64_t sequence,
                                           struct slot *before) {
    struct directory *directory = owner->directory;
    if (owner_is_full(owner, node->name.len))
        return DIRECTORY_FULL;
    struct slot *slot = slot_new(node, sequence, owner_suffix(owner));
    if (slot == NULL)
        return DIRECTORY_NO_MEMORY;
    HASH_ADD_KEYPTR(hh, directory->by_name, slot->key, slot->key_len, slot);
    if (slot->hh.tbl == NULL) {
        free(slot);
        return DIRECTORY_NO_MEMORY;
    }
    slot->entry.owner = owner;
    if (before == NULL)
        TAILQ_INSERT_TAIL(&owner->slots, slot, by_sequence);
    else
        TAILQ_INSERT_BEFORE(before, slot, by_sequence);
    owner->count++;
    directory->count++;
    owner->bytes += node->name.len;
    directory->bytes += node->name.len;
    notify_watch(directory, slot, true);
    return DIRECTORY_APPLIED;
}

/* In its slot, so that nothing can fail; to the watch the old one goes and the new one comes. */
static void slot_replace(struct slot *slot, const struct directory_name *node, uint64_t sequence) {
    struct directory_owner *owner = slot->entry.owner;
    struct bytes name = slot->entry.node.name;
    notify_watch(owner->directory, slot, false);
    pass_cursors_by(slot);
    slot->entry.node = *node;
    slot->entry.node.name = name;
    slot->entry.sequence = sequence;
    TAILQ_REMOVE(&owner->slots, slot, by_sequence);
    TAILQ_INSERT_TAIL(&owner->slots, slot, by_sequence);
    notify_watch(owner->directory, slot, true);
}

void directory_begin_generation(struct directory_owner *owner, uint64_t generation) {
    if (generation <= owner->version.generation)
        return;
    owner_clear(owner);
    owner->version = (struct directory_version){.generation = generation};
}

/* Whether a change of this version is the next. The first of a generation is the next after 0. */
static enum directory_verdict check_next(const struct directory_owner *owner,
                                         struct directory_version version) {
    if (directory_version_compare(version, owner->version) <= 0)
        return DIRECTORY_OLD;
    bool next = version.generation == owner->version.generation
                    ? version.sequence == owner->version.sequence + 1
                    : version.sequence == 1;
    return next ? DIRECTORY_APPLIED : DIRECTORY_GAP;
}

enum directory_verdict directory_register(struct directory_owner *owner,
                                          struct directory_version version,
                                          const struct directory_name *node) {
    enum directory_verdict verdict = check_next(owner, version);
    if (verdict != DIRECTORY_APPLIED)
        return verdict;
    if (!node_is_valid(node))
        return DIRECTORY_INVALID;
    directory_begin_generation(owner, version.generation);
    const struct directory_entry *earlier = directory_find_own(owner, node->name);
    if (earlier != NULL)
        slot_replace(slot_of(earlier), node, version.sequence);
    else
        verdict = owner_insert(owner, node, version.sequence, NULL);
    if (verdict == DIRECTORY_APPLIED)
        owner->version = version;
    PORTOLAN_ASSERT(owner->count <= DIRECTORY_OWNER_NAMES_MAX);
    return verdict;
}

enum directory_verdict directory_unregister(struct directory_owner *owner,
                                            struct directory_version version, struct bytes name) {
    enum directory_verdict verdict = check_next(owner, version);
    if (verdict != DIRECTORY_APPLIED)
        return verdict;
    directory_begin_generation(owner, version.generation);
    const struct directory_entry *entry = directory_find_own(owner, name);
    if (entry != NULL)
        slot_drop(slot_of(entry));
    owner->version = version;
    return DIRECTORY_APPLIED;
}

void directory_renumber(struct directory_owner *owner, uint64_t generation) {
    if (generation <= owner->version.generation)
        return;
    uint64_t sequence = 0;
    struct slot *slot;
    TAILQ_FOREACH(slot, &owner->slots, by_sequence) {
        slot->entry.sequence = ++sequence;
    }
    owner->version = (struct directory_version){.generation = generation, .sequence = sequence};
}

struct directory_snapshot *directory_snapshot_begin(struct directory_version version) {
    struct directory_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return NULL;
    snapshot->version = version;
    TAILQ_INIT(&snapshot->slots);
    return snapshot;
}

struct directory_version directory_snapshot_version(const struct directory_snapshot *snapshot) {
    return snapshot->version;
}

enum directory_verdict directory_snapshot_add(struct directory_snapshot *snapshot,
                                              uint64_t sequence,
                                              const struct directory_name *node) {
    const struct slot *last = TAILQ_LAST(&snapshot->slots, slots);
    if (!node_is_valid(node) || sequence > snapshot->version.sequence || sequence == 0 ||
        (last != NULL && sequence <= last->entry.sequence))
        return DIRECTORY_INVALID;
    if (snapshot->count >= DIRECTORY_OWNER_NAMES_MAX ||
        snapshot->bytes + node->name.len > DIRECTORY_OWNER_BYTES_MAX)
        return DIRECTORY_FULL;
    struct slot *slot = slot_new(node, sequence, bytes_of(NULL, 0));
    if (slot == NULL)
        return DIRECTORY_NO_MEMORY;
    TAILQ_INSERT_TAIL(&snapshot->slots, slot, by_sequence);
    snapshot->count++;
    snapshot->bytes += node->name.len;
    return DIRECTORY_APPLIED;
}

static bool same_name(const struct directory_entry *a, const struct directory_entry *b) {
    return a->sequence == b->sequence && bytes_equal(a->node.name, b->node.name);
}

/* Drops what the snapshot has not, adds what it has new: both lists go by sequence. */
static enum directory_verdict replace(struct directory_owner *owner,
                                      const struct directory_snapshot *snapshot) {
    struct slot *current = TAILQ_FIRST(&owner->slots);
    const struct slot *wanted;
    TAILQ_FOREACH(wanted, &snapshot->slots, by_sequence) {
        while (current != NULL && current->entry.sequence <= wanted->entry.sequence &&
               !same_name(&current->entry, &wanted->entry)) {
            struct slot *gone = current;
            current = TAILQ_NEXT(current, by_sequence);
            slot_drop(gone);
        }
        if (current != NULL && same_name(&current->entry, &wanted->entry)) {
            current = TAILQ_NEXT(current, by_sequence);
            continue;
        }
        const struct directory_entry *earlier = directory_find_own(owner, wanted->entry.node.name);
        if (earlier != NULL) {
            if (current == slot_of(earlier))
                current = TAILQ_NEXT(current, by_sequence);
            slot_drop(slot_of(earlier));
        }
        enum directory_verdict verdict =
            owner_insert(owner, &wanted->entry.node, wanted->entry.sequence, current);
        if (verdict != DIRECTORY_APPLIED)
            return verdict;
    }
    while (current != NULL) {
        struct slot *gone = current;
        current = TAILQ_NEXT(current, by_sequence);
        slot_drop(gone);
    }
    return DIRECTORY_APPLIED;
}

enum directory_verdict directory_snapshot_commit(struct directory_snapshot *snapshot,
                                                 struct directory_owner *owner) {
    enum directory_verdict verdict = DIRECTORY_OLD;
    if (directory_version_compare(snapshot->version, owner->version) > 0) {
        directory_begin_generation(owner, snapshot->version.generation);
        verdict = replace(owner, snapshot);
        if (verdict == DIRECTORY_APPLIED) {
            owner->version = snapshot->version;
        } else {
            /* half a snapshot is not a state that its owner ever had: start over, and ask again */
            owner_clear(owner);
            owner->version.sequence = 0;
        }
    }
    directory_snapshot_abort(snapshot);
    return verdict;
}

void directory_snapshot_abort(struct directory_snapshot *snapshot) {
    if (snapshot == NULL)
        return;
    while (!TAILQ_EMPTY(&snapshot->slots)) {
        struct slot *slot = TAILQ_FIRST(&snapshot->slots);
        TAILQ_REMOVE(&snapshot->slots, slot, by_sequence);
        free(slot);
    }
    free(snapshot);
}

const struct directory_entry *directory_find(const struct directory *directory,
                                             struct bytes full_name) {
    struct slot *slot;
    HASH_FIND(hh, directory->by_name, full_name.data, full_name.len, slot);
    return slot == NULL ? NULL : &slot->entry;
}

/* uthash keeps items of one key in one bucket, and finds the first of them. */
const struct directory_entry *directory_find_next(const struct directory_entry *entry) {
    const struct slot *slot = slot_of(entry);
    for (const UT_hash_handle *hh = slot->hh.hh_next; hh != NULL; hh = hh->hh_next) {
        if (hh->hashv == slot->hh.hashv && hh->keylen == slot->hh.keylen &&
            memcmp(hh->key, slot->key, slot->key_len) == 0) {
            return &((const struct slot *)ELMT_FROM_HH(slot->hh.tbl, hh))->entry;
        }
    }
    return NULL;
}

const struct directory_entry *directory_find_own(const struct directory_owner *owner,
                                                 struct bytes name) {
    struct bytes suffix = owner_suffix(owner);
    char key[ALIVE_NAME_MAX_BYTES + 1024];
    if (name.len + suffix.len > sizeof key || name.len == 0)
        return NULL;
    memcpy(key, name.data, name.len);
    if (suffix.len > 0)
        memcpy(key + name.len, suffix.data, suffix.len);
    const struct directory_entry *entry =
        directory_find(owner->directory, bytes_of(key, name.len + suffix.len));
    while (entry != NULL && (entry->owner != owner || entry->node.name.len != name.len))
        entry = directory_find_next(entry);
    return entry;
}

const struct directory_owner *directory_owner_first(const struct directory *directory) {
    return TAILQ_FIRST(&directory->owners);
}

const struct directory_owner *directory_owner_next(const struct directory_owner *owner) {
    return TAILQ_NEXT(owner, entry);
}

const struct directory_entry *directory_entry_first(const struct directory_owner *owner) {
    const struct slot *slot = TAILQ_FIRST(&owner->slots);
    return slot == NULL ? NULL : &slot->entry;
}

const struct directory_entry *directory_entry_next(const struct directory_entry *entry) {
    const struct slot *slot = TAILQ_NEXT(slot_of(entry), by_sequence);
    return slot == NULL ? NULL : &slot->entry;
}

/* A cursor is noted at its directory, which does not change it. */
void directory_cursor_begin(struct directory_cursor *cursor, const struct directory *directory) {
    cursor->directory = (struct directory *)(uintptr_t)directory;
    LIST_INSERT_HEAD(&cursor->directory->cursors, cursor, entry);
    move_to_owner(cursor, directory_owner_first(directory));
}

const struct directory_entry *directory_cursor_peek(struct directory_cursor *cursor) {
    while (cursor->next == NULL && cursor->owner != NULL)
        move_to_owner(cursor, directory_owner_next(cursor->owner));
    return cursor->next;
}

void directory_cursor_advance(struct directory_cursor *cursor) {
    if (cursor->next != NULL)
        cursor->next = directory_entry_next(cursor->next);
}

void directory_cursor_end(struct directory_cursor *cursor) {
    if (cursor->directory != NULL)
        LIST_REMOVE(cursor, entry);
    *cursor = (struct directory_cursor){.directory = NULL};
}

size_t directory_count(const struct directory *directory) {
    return directory->count;
}
