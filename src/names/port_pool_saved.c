#include "base/sealed_text.h"
#include "base/text.h"
#include "erlang/node_name.h"
#include "names/port_pool_inner.h"

#include <string.h>

#define HEADER "portolan ports 1"
#define LINE_MAX (32 + 2 * ALIVE_NAME_MAX_BYTES)

bool port_pool_unsaved(const struct port_pool *pool) {
    return pool->unsaved;
}

size_t port_pool_text_max(const struct port_pool *pool) {
    size_t lines = HASH_CNT(by_name, pool->claims_by_name) + HASH_COUNT(pool->memories);
    return SEALED_TEXT_OVERHEAD + lines * LINE_MAX;
}

static void write_line(struct writer *writer, const char *kind, uint16_t port, uint64_t left_ms,
                       struct bytes name) {
    write_text(writer, kind);
    write_u8(writer, ' ');
    write_decimal(writer, port);
    write_u8(writer, ' ');
    write_decimal(writer, left_ms);
    write_u8(writer, ' ');
    text_write_hex(writer, name);
    write_u8(writer, '\n');
}

bool port_pool_encode(const struct port_pool *pool, struct writer *writer, int64_t now_ms) {
    size_t begin = sealed_text_begin(writer, HEADER);
    struct claim *claim, *following;
    HASH_ITER(by_name, pool->claims_by_name, claim, following) {
        if (!pool_is_saved(claim))
            continue;
        int64_t left_ms = claim->held ? PORT_LEASE_MS : claim->expires_ms - now_ms;
        write_line(writer, "lease", claim->place->port, left_ms < 0 ? 0 : (uint64_t)left_ms,
                   bytes_of(claim->name, claim->len));
    }
    const struct memory *memory;
    TAILQ_FOREACH(memory, &pool->memories_by_age, link) {
        write_line(writer, "last", memory->port, 0, bytes_of(memory->name, memory->len));
    }
    sealed_text_end(writer, begin);
    return !writer->failed;
}

void port_pool_saved(struct port_pool *pool) {
    pool->unsaved = false;
}

/* Splits off the next word of a line; NULL when there is none. */
static char *next_word(char **rest) {
    char *word = strsep(rest, " ");
    return word != NULL && word[0] != '\0' ? word : NULL;
}

static bool restore_line(struct port_pool *pool, char *line, int64_t now_ms) {
    uint8_t buffer[ALIVE_NAME_MAX_BYTES];
    struct writer hex = writer_of(buffer, sizeof buffer);
    const char *kind = next_word(&line), *port_text = next_word(&line);
    const char *left_text = next_word(&line), *name_text = next_word(&line);
    uint64_t port, left_ms;
    if (kind == NULL || port_text == NULL || left_text == NULL || name_text == NULL ||
        line != NULL || !text_parse_number(port_text, 1, UINT16_MAX, &port) ||
        !text_parse_number(left_text, 0, PORT_LEASE_MS, &left_ms) ||
        !text_parse_hex(name_text, &hex))
        return false;
    struct bytes name = writer_bytes(&hex);
    if (alive_name_check(name) != ALIVE_NAME_OK)
        return false;
    if (strcmp(kind, "last") == 0) {
        pool_remember(pool, name, (uint16_t)port);
        return true;
    }
    if (strcmp(kind, "lease") != 0 || pool_claim_of_name(pool, name) != NULL ||
        pool_claim_on_port(pool, (uint16_t)port) != NULL)
        return false;
    struct claim *claim = pool_add_claim(pool, name, (uint16_t)port);
    if (claim != NULL) {
        claim->leased = true;
        pool_wait(pool, claim, now_ms + (int64_t)left_ms);
    }
    return true;
}

bool port_pool_restore(struct port_pool *pool, struct bytes text, int64_t now_ms) {
    struct reader lines;
    char line[LINE_MAX];
    if (!sealed_text_open(text, HEADER, &lines))
        return false;
    while (sealed_text_line(&lines, line, sizeof line)) {
        if (!restore_line(pool, line, now_ms))
            return false;
    }
    return lines.left == 0;
}
