#include "names/creations.h"

#include "base/assert.h"
#include "base/checksummed_text.h"
#include "base/hash_table.h"
#include "base/text.h"
#include "erlang/epmd_wire.h"
#include "erlang/node_name.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define FIRST_CREATION 4
#define OLD_CREATIONS 3
#define HEADER "portolan creations 1"

/* What the last life of an older node's name had. */
struct old_name {
    UT_hash_handle hh;
    TAILQ_ENTRY(old_name) entry;
    uint8_t creation;
    size_t len;
    uint8_t name[];
};
TAILQ_HEAD(old_names, old_name);

struct creations {
    uint64_t next;                           /* a creation is its low 32 bits */
    uint64_t saved_up_to;                    /* the last state that was saved says: start here */
    uint64_t old_changes, saved_old_changes; /* of the older names */
    uint64_t encoded_up_to, encoded_old_changes; /* what was encoded last */
    struct old_name *old_by_name;
    struct old_names old_by_age; /* the least recently used first */
    size_t old_count;
};

/* The counter's next place whose low 32 bits, which are the creation, are not 0 to 3. */
static uint64_t usable(uint64_t place) {
    uint32_t creation = (uint32_t)place;
    return creation < FIRST_CREATION ? place + FIRST_CREATION - creation : place;
}

struct creations *creations_new(int64_t clock_us) {
    struct creations *creations = calloc(1, sizeof *creations);
    if (creations == NULL)
        return NULL;
    creations->next = usable((uint64_t)clock_us / CREATIONS_TICK_US);
    creations->saved_up_to = creations->next;
    TAILQ_INIT(&creations->old_by_age);
    return creations;
}

static void forget_old(struct creations *creations, struct old_name *old) {
    HASH_DELETE(hh, creations->old_by_name, old);
    TAILQ_REMOVE(&creations->old_by_age, old, entry);
    creations->old_count--;
    free(old);
}

void creations_free(struct creations *creations) {
    if (creations == NULL)
        return;
    while (!TAILQ_EMPTY(&creations->old_by_age))
        forget_old(creations, TAILQ_FIRST(&creations->old_by_age));
    free(creations);
}

static struct old_name *find_old(const struct creations *creations, struct bytes name) {
    struct old_name *found;
    HASH_FIND(hh, creations->old_by_name, name.data, name.len, found);
    return found;
}

static void remember_old(struct creations *creations, struct bytes name, uint8_t creation) {
    struct old_name *old = malloc(sizeof *old + name.len);
    if (old == NULL)
        return;
    memset(old, 0, sizeof *old);
    old->creation = creation;
    old->len = name.len;
    memcpy(old->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, creations->old_by_name, old->name, old->len, old);
    if (old->hh.tbl == NULL) {
        free(old);
        return;
    }
    TAILQ_INSERT_TAIL(&creations->old_by_age, old, entry);
    if (++creations->old_count > CREATIONS_OLD_NAMES)
        forget_old(creations, TAILQ_FIRST(&creations->old_by_age));
}

static uint32_t take_number(struct creations *creations) {
    uint32_t taken = (uint32_t)creations->next;
    creations->next = usable(creations->next + 1);
    PORTOLAN_ASSERT(taken >= FIRST_CREATION && (uint32_t)creations->next >= FIRST_CREATION);
    return taken;
}

static uint32_t next_old(struct creations *creations, struct bytes name) {
    struct old_name *old = find_old(creations, name);
    uint8_t creation;
    if (old == NULL) {
        creation = (uint8_t)(take_number(creations) % OLD_CREATIONS + 1);
        remember_old(creations, name, creation);
    } else {
        creation = old->creation = (uint8_t)(old->creation % OLD_CREATIONS + 1);
        TAILQ_REMOVE(&creations->old_by_age, old, entry);
        TAILQ_INSERT_TAIL(&creations->old_by_age, old, entry);
    }
    creations->old_changes++;
    PORTOLAN_ASSERT(creation >= 1 && creation <= OLD_CREATIONS);
    PORTOLAN_ASSERT(creations->old_count <= CREATIONS_OLD_NAMES);
    return creation;
}

uint32_t creations_next(struct creations *creations, struct bytes name, uint16_t highest_version) {
    if (highest_version >= EPMD_WIDE_CREATION_VERSION)
        return take_number(creations);
    return next_old(creations, name);
}

bool creations_unsaved(const struct creations *creations) {
    /* a part of the block is left when this turns true: the save need not be this instant */
    return creations->old_changes != creations->saved_old_changes ||
           creations->next + CREATIONS_BLOCK_LEFT >= creations->saved_up_to;
}

static uint64_t block_end(const struct creations *creations) {
    return usable(creations->next + CREATIONS_BLOCK);
}

bool creations_encode(struct creations *creations, struct writer *writer) {
    size_t begin = checksummed_text_begin(writer, HEADER);
    creations->encoded_up_to = block_end(creations);
    creations->encoded_old_changes = creations->old_changes;
    write_text(writer, "next ");
    write_decimal(writer, creations->encoded_up_to);
    write_u8(writer, '\n');
    const struct old_name *old;
    TAILQ_FOREACH(old, &creations->old_by_age, entry) {
        write_text(writer, "last ");
        write_decimal(writer, old->creation);
        write_u8(writer, ' ');
        text_write_hex(writer, bytes_of(old->name, old->len));
        write_u8(writer, '\n');
    }
    checksummed_text_end(writer, begin);
    return !writer->failed;
}

void creations_saved(struct creations *creations) {
    PORTOLAN_ASSERT(creations->encoded_up_to >= creations->saved_up_to);
    PORTOLAN_ASSERT(creations->encoded_old_changes <= creations->old_changes);
    creations->saved_up_to = creations->encoded_up_to;
    creations->saved_old_changes = creations->encoded_old_changes;
}

bool creations_is_kept(const struct creations *creations, uint16_t highest_version) {
    if (highest_version >= EPMD_WIDE_CREATION_VERSION)
        return creations->next <= creations->saved_up_to;
    return creations->old_changes == creations->saved_old_changes;
}

/* Reads "C HEX", what stands behind "last " in a line. */
static bool restore_old(struct creations *creations, const char *line) {
    uint8_t buffer[ALIVE_NAME_MAX_BYTES];
    struct writer name = writer_of(buffer, sizeof buffer);
    if (line[0] < '1' || line[0] > '3' || line[1] != ' ' || !text_parse_hex(line + 2, &name))
        return false;
    if (name.len == 0 || find_old(creations, writer_bytes(&name)) != NULL)
        return false;
    remember_old(creations, writer_bytes(&name), (uint8_t)(line[0] - '0'));
    return true;
}

bool creations_restore(struct creations *creations, struct bytes text) {
    struct reader lines;
    char line[16 + 2 * ALIVE_NAME_MAX_BYTES];
    uint64_t next;
    if (!checksummed_text_open(text, HEADER, &lines))
        return false;
    if (!checksummed_text_line(&lines, line, sizeof line) || strncmp(line, "next ", 5) != 0 ||
        !text_parse_number(line + 5, FIRST_CREATION, INT64_MAX, &next))
        return false;
    while (checksummed_text_line(&lines, line, sizeof line)) {
        if (strncmp(line, "last ", 5) != 0 || !restore_old(creations, line + 5))
            return false;
    }
    if (lines.left > 0)
        return false;
    if (usable(next) > creations->next)
        creations->next = usable(next);
    creations->saved_up_to = creations->next;
    return true;
}

const char *creations_check(const struct creations *creations) {
    const struct old_name *old;
    size_t count = 0;
    if (usable(creations->next) != creations->next)
        return "the next creation is reserved";
    TAILQ_FOREACH(old, &creations->old_by_age, entry) {
        if (find_old(creations, bytes_of(old->name, old->len)) != old)
            return "an older node's name is listed and not found";
        if (old->creation < 1 || old->creation > OLD_CREATIONS)
            return "an older node has a creation of more than two bits";
        count++;
    }
    if (count != creations->old_count || count != HASH_COUNT(creations->old_by_name))
        return "older nodes are miscounted";
    return count <= CREATIONS_OLD_NAMES ? NULL : "too many older nodes are kept";
}
