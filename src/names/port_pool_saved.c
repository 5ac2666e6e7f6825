#include "base/assert.h"
#include "base/checksum.h"
#include "base/checksummed_text.h"
#include "base/text.h"
#include "erlang/node_name.h"
#include "names/port_pool_inner.h"

#include <string.h>

#define HEADER "portolan ports 2"
#define OLD_HEADER "portolan ports 1" /* knew no users */
#define LINE_MAX (48 + 2 * ALIVE_NAME_MAX_BYTES)

/* A piece ends when it has so many lines, or no room for one more and the last. */
#define PIECE_LINES 256
#define PIECE_FULL (PORT_POOL_PIECE_MAX - LINE_MAX - CHECKSUMMED_TEXT_OVERHEAD)

bool port_pool_unsaved(const struct port_pool *pool) {
    return pool->changes != pool->saved_changes;
}

/* Without the end of the line. */
static void write_line(struct writer *writer, const char *kind, uint16_t port, uint64_t left_ms,
                       struct bytes name) {
    write_text(writer, kind);
    write_u8(writer, ' ');
    write_decimal(writer, port);
    write_u8(writer, ' ');
    write_decimal(writer, left_ms);
    write_u8(writer, ' ');
    text_write_hex(writer, name);
}

static void write_lease(struct writer *writer, const struct allocation *allocation,
                        int64_t now_ms) {
    int64_t left_ms = allocation->held ? PORT_LEASE_MS : allocation->expires_ms - now_ms;
    write_line(writer, "lease", allocation->port_entry->port, left_ms < 0 ? 0 : (uint64_t)left_ms,
               bytes_of(allocation->name, allocation->len));
    write_u8(writer, ' ');
    write_decimal(writer, allocation->user);
    write_u8(writer, '\n');
}

static void write_sticky(struct writer *writer, const struct sticky_port *sticky) {
    write_line(writer, "last", sticky->port, 0, bytes_of(sticky->name, sticky->len));
    write_u8(writer, '\n');
}

void port_pool_encode_begin(struct port_pool *pool) {
    pool->encoded_changes = pool->changes;
    pool->text = (struct pool_text){.sum = CHECKSUM_OF_NOTHING};
}

/* The next port that is taken, with its lease if it is saved. False: there is none. */
static bool encode_port(struct port_pool *pool, struct writer *writer, int64_t now_ms) {
    struct pool_text *text = &pool->text;
    uint32_t port = port_set_next(&pool->taken, text->port);
    if (port > UINT16_MAX)
        return false;
    const struct allocation *allocation = pool_allocation_on_port(pool, (uint16_t)port);
    if (allocation != NULL && pool_is_saved(allocation))
        write_lease(writer, allocation, now_ms);
    text->port = port + 1;
    return true;
}

/* The next of the sticky ports. False: there is none. */
static bool encode_sticky(struct port_pool *pool, struct writer *writer) {
    struct pool_text *text = &pool->text;
    if (text->sticky == NULL)
        return false;
    write_sticky(writer, text->sticky);
    text->sticky = TAILQ_NEXT(text->sticky, entry);
    return true;
}

/* False: there is nothing left. */
static bool encode_next(struct port_pool *pool, struct writer *writer, int64_t now_ms) {
    struct pool_text *text = &pool->text;
    if (!text->at_sticky) {
        if (encode_port(pool, writer, now_ms))
            return true;
        text->at_sticky = true;
        text->sticky = TAILQ_FIRST(&pool->sticky_by_age);
    }
    return encode_sticky(pool, writer);
}

bool port_pool_encode_piece(struct port_pool *pool, struct writer *writer, int64_t now_ms) {
    struct pool_text *text = &pool->text;
    size_t begin = writer->len;
    bool more = true;
    if (!text->begun)
        checksummed_text_begin(writer, HEADER);
    text->begun = true;
    for (size_t n = 0; more && n < PIECE_LINES && writer->len - begin <= PIECE_FULL; n++)
        more = encode_next(pool, writer, now_ms);
    text->sum = checksum_add(text->sum, bytes_of(writer->start + begin, writer->len - begin));
    if (!more)
        checksummed_text_end_sum(writer, text->sum);
    return !more;
}

void port_pool_saved(struct port_pool *pool) {
    PORTOLAN_ASSERT(pool->encoded_changes <= pool->changes);
    pool->saved_changes = pool->encoded_changes;
}

/* Splits off the next word of a line; NULL when there is none. */
static char *next_word(char **rest) {
    char *word = strsep(rest, " ");
    return word != NULL && word[0] != '\0' ? word : NULL;
}

struct saved_line {
    const char *kind;
    uint64_t port, left_ms, user;
    struct bytes name;
};

/* The user stands behind a lease alone, and not in the old form; then it is nobody. */
static bool read_user(char **line, const char *kind, bool old, uint64_t *user) {
    *user = USER_NOBODY;
    if (old || strcmp(kind, "lease") != 0)
        return true;
    const char *text = next_word(line);
    return text != NULL && text_parse_number(text, 0, UINT32_MAX, user);
}

/* The name goes to `buffer`, which has room for the longest. */
static bool read_line(char *line, bool old, uint8_t *buffer, struct saved_line *saved) {
    struct writer hex = writer_of(buffer, ALIVE_NAME_MAX_BYTES);
    saved->kind = next_word(&line);
    const char *port_text = next_word(&line);
    const char *left_text = next_word(&line), *name_text = next_word(&line);
    if (saved->kind == NULL || port_text == NULL || left_text == NULL || name_text == NULL ||
        !read_user(&line, saved->kind, old, &saved->user) || line != NULL ||
        !text_parse_number(port_text, 1, UINT16_MAX, &saved->port) ||
        !text_parse_number(left_text, 0, PORT_LEASE_MS, &saved->left_ms) ||
        !text_parse_hex(name_text, &hex))
        return false;
    saved->name = writer_bytes(&hex);
    return alive_name_check(saved->name) == ALIVE_NAME_OK;
}

static bool restore_line(struct port_pool *pool, char *line, bool old, int64_t now_ms) {
    uint8_t buffer[ALIVE_NAME_MAX_BYTES];
    struct saved_line saved;
    if (!read_line(line, old, buffer, &saved))
        return false;
    if (strcmp(saved.kind, "last") == 0) {
        pool_remember(pool, saved.name, (uint16_t)saved.port);
        return true;
    }
    if (strcmp(saved.kind, "lease") != 0 ||
        pool_allocation_on_port(pool, (uint16_t)saved.port) != NULL)
        return false;
    if (pool_allocation_of_name(pool, saved.name) != NULL)
        return true; /* it moved while the text was written, and is not reported yet */
    struct allocation *allocation = pool_add_allocation(pool, saved.name, (uint16_t)saved.port);
    if (allocation != NULL) {
        allocation->leased = true;
        allocation->user = (uint32_t)saved.user;
        pool_wait(pool, allocation, now_ms + (int64_t)saved.left_ms);
    }
    return true;
}

bool port_pool_restore(struct port_pool *pool, struct bytes text, int64_t now_ms) {
    struct reader lines;
    char line[LINE_MAX];
    bool old = checksummed_text_open(text, OLD_HEADER, &lines);
    if (!old && !checksummed_text_open(text, HEADER, &lines))
        return false;
    while (checksummed_text_line(&lines, line, sizeof line)) {
        if (!restore_line(pool, line, old, now_ms))
            return false;
    }
    return lines.left == 0;
}
