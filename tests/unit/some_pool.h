/* A port pool, and a host whose foreign listeners a test chooses. */
#ifndef PORTOLAN_TESTS_UNIT_SOME_POOL_H
#define PORTOLAN_TESTS_UNIT_SOME_POOL_H

#include "names/port_pool.h"

#include <check.h>
#include <string.h>

/* Ports that a program outside of the pool listens on, and how often the pool has asked. */
struct some_host {
    bool listens[UINT16_MAX + 1];
    size_t asked;
};

static inline bool some_host_is_free(void *context, uint16_t port) {
    struct some_host *host = context;
    host->asked++;
    return !host->listens[port];
}

static inline struct port_probe some_host_probe(struct some_host *host) {
    return (struct port_probe){.is_free = some_host_is_free, .context = host};
}

#define SOME_POOL_TEXT_MAX (16u << 20)

/* The pool's state, each piece within its bound; good until the next call. */
static inline struct bytes some_pool_text(struct port_pool *pool, int64_t now_ms) {
    static uint8_t text[SOME_POOL_TEXT_MAX];
    struct writer writer = writer_of(text, sizeof text);
    size_t before;
    port_pool_encode_begin(pool);
    do
        before = writer.len;
    while (!port_pool_encode_piece(pool, &writer, now_ms) &&
           writer.len - before <= PORT_POOL_PIECE_MAX);
    ck_assert_uint_le(writer.len - before, PORT_POOL_PIECE_MAX);
    ck_assert(!writer.failed);
    return writer_bytes(&writer);
}

#endif
