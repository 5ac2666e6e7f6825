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

/* The pool's state, whose promised size must be enough for it; good until the next call. */
static inline struct bytes some_pool_text(struct port_pool *pool, int64_t now_ms) {
    static uint8_t text[SOME_POOL_TEXT_MAX];
    size_t size = port_pool_text_max(pool);
    ck_assert_uint_le(size, sizeof text);
    struct writer writer = writer_of(text, size);
    ck_assert(port_pool_encode(pool, &writer, now_ms));
    return writer_bytes(&writer);
}

#endif
