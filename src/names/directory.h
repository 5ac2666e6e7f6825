/*
 * The directory: which Erlang nodes every member of the cluster has, at every member.
 *
 * A member (an owner here) alone writes its names. Each registration or end of one is a change with
 * the next sequence number of the owner's present generation; a generation is the incarnation with
 * which the owner started or joined (cluster/membership.h). So a version is (generation, sequence),
 * and what is held of an owner is complete up to its version: a change applies when it is the very
 * next, is old when it is not newer, and leaves a gap otherwise, to be closed with a snapshot: all
 * names of the owner at one version. A new generation starts empty: nothing of a dead generation
 * outlives it.
 *
 * The directory owns its owners and their entries. Pointers to an entry are good until it is
 * removed, to an owner until directory_owner_remove.
 */
#ifndef PORTOLAN_NAMES_DIRECTORY_H
#define PORTOLAN_NAMES_DIRECTORY_H

#include "base/bytes.h"
#include "erlang/node_name.h"

#include <sys/queue.h>

#define DIRECTORY_OWNER_NAMES_MAX 32768             /* names of one owner */
#define DIRECTORY_OWNER_BYTES_MAX (2 * 1024 * 1024) /* and the bytes of these names */
#define DIRECTORY_NAMES_MAX (1024 * 1024)           /* names of all owners */
#define DIRECTORY_BYTES_MAX (128 * 1024 * 1024)     /* and their bytes */

struct directory;
struct directory_owner;

/* What a look-up over epmd returns for a node, without the extra data. */
struct directory_name {
    struct bytes name;   /* the alive name: the node is name@host of its owner */
    uint16_t port;       /* its own */
    uint16_t front_port; /* where other hosts reach it through its daemon; 0: at its own port */
    uint8_t type;
    uint8_t protocol;
    uint16_t highest_version;
    uint16_t lowest_version;
    uint32_t creation;
};

struct directory_version {
    uint64_t generation, sequence;
};
int directory_version_compare(struct directory_version a, struct directory_version b);

struct directory_entry {
    struct directory_name node; /* its name generations as long as the entry */
    uint64_t sequence;          /* of the change that registered it */
    struct directory_owner *owner;
};

/* Told of every name that comes or goes, whatever the reason; the entry is good during the call. */
typedef void directory_watch(void *context, const struct directory_entry *entry, bool registered);

/* NULL when out of memory. `watch` may be NULL. */
struct directory *directory_new(directory_watch *watch, void *watch_context);
void directory_free(struct directory *directory);

/* A new owner without names, at version (0, 0); `name` is Name@Host and copied. NULL: no memory. */
struct directory_owner *directory_owner_add(struct directory *directory, struct bytes name,
                                            void *context);
void directory_owner_remove(struct directory_owner *owner);

struct bytes directory_owner_name(const struct directory_owner *owner);
struct bytes directory_owner_host(const struct directory_owner *owner);
void *directory_owner_context(const struct directory_owner *owner); /* borrowed */
struct directory_version directory_owner_version(const struct directory_owner *owner);
size_t directory_owner_count(const struct directory_owner *owner);

enum directory_verdict {
    DIRECTORY_APPLIED,
    DIRECTORY_OLD,     /* known already, or of an earlier generation */
    DIRECTORY_GAP,     /* changes before it are missing */
    DIRECTORY_FULL,    /* a bound was reached */
    DIRECTORY_INVALID, /* no alive name, or port 0 */
    DIRECTORY_NO_MEMORY,
};

/* A higher generation than the present one starts, without names. Otherwise nothing happens. */
void directory_begin_generation(struct directory_owner *owner, uint64_t generation);

/* One change by its owner, as it was told. A name that is there is replaced. */
enum directory_verdict directory_register(struct directory_owner *owner,
                                          struct directory_version version,
                                          const struct directory_name *node);
enum directory_verdict directory_unregister(struct directory_owner *owner,
                                            struct directory_version version, struct bytes name);

/* Gives all names of the owner new numbers from 1 on, in their order, in a higher generation. */
void directory_renumber(struct directory_owner *owner, uint64_t generation);

/*
 * A snapshot under way: entries are added in the order of their sequence, then all at once replaces
 * what the owner had. It ends with commit or abort, both of which free it. Names that stay as they
 * were are not told to the watch. Bounded like an owner.
 */
struct directory_snapshot;
struct directory_snapshot *directory_snapshot_begin(struct directory_version version);
struct directory_version directory_snapshot_version(const struct directory_snapshot *snapshot);
enum directory_verdict directory_snapshot_add(struct directory_snapshot *snapshot,
                                              uint64_t sequence, const struct directory_name *node);
enum directory_verdict directory_snapshot_commit(struct directory_snapshot *snapshot,
                                                 struct directory_owner *owner);
void directory_snapshot_abort(struct directory_snapshot *snapshot);

/*
 * Look-up by full node name, Name@Host, the host byte by byte as its owner writes it. Several
 * daemons of one host may have the same name: directory_find_next goes on, NULL at the end.
 */
const struct directory_entry *directory_find(const struct directory *directory,
                                             struct bytes full_name);
const struct directory_entry *directory_find_next(const struct directory_entry *entry);
const struct directory_entry *directory_find_own(const struct directory_owner *owner,
                                                 struct bytes name);

/* Walks: owners in the order in which they came, an owner's entries by sequence. NULL: the end. */
const struct directory_owner *directory_owner_first(const struct directory *directory);
const struct directory_owner *directory_owner_next(const struct directory_owner *owner);
const struct directory_entry *directory_entry_first(const struct directory_owner *owner);
const struct directory_entry *directory_entry_next(const struct directory_entry *entry);

/*
 * A walk over all names, owner by owner in the order in which they came, that may pause while names
 * come and go: what left before the walk reached it is not seen, and nothing is seen twice that did
 * not come again. The directory must outlive it; a cursor must be ended, and may be ended twice.
 */
struct directory_cursor {
    struct directory *directory; /* NULL once ended */
    const struct directory_owner *owner;
    const struct directory_entry *next;
    LIST_ENTRY(directory_cursor) entry;
};

void directory_cursor_begin(struct directory_cursor *cursor, const struct directory *directory);
const struct directory_entry *directory_cursor_peek(struct directory_cursor *cursor);
void directory_cursor_advance(struct directory_cursor *cursor);
void directory_cursor_end(struct directory_cursor *cursor);

size_t directory_count(const struct directory *directory);

/* NULL, or what does not hold inside that must: for tests, for it walks over everything. */
const char *directory_check(const struct directory *directory);

#endif
