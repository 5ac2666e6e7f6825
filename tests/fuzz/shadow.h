/*
 * What fuzz_epmd_service remembers beside the registry: of each connection the node that it holds,
 * and of each listing that is being read the lines that must still come.
 */
#ifndef PORTOLAN_TESTS_FUZZ_SHADOW_H
#define PORTOLAN_TESTS_FUZZ_SHADOW_H

#include "fuzz.h"

#include "erlang/node_name.h"
#include "names/listing.h"

#include <string.h>

#define SHADOWS 12

struct shadow {
    uint64_t life; /* 0: none; grows with every registration */
    struct epmd_node node;
    uint32_t holder_number;
    uint8_t name[ALIVE_NAME_MAX_BYTES];
    uint8_t extra[EPMD_EXTRA_MAX];
};

static inline struct bytes shadow_name(const struct shadow *shadow) {
    return bytes_of(shadow->name, shadow->node.name.len);
}

static inline struct epmd_node shadow_node(const struct shadow *shadow) {
    struct epmd_node node = shadow->node;
    node.name.data = shadow->name;
    node.extra.data = shadow->extra;
    return node;
}

static inline void shadow_fill(struct shadow *shadow, uint64_t life, const struct epmd_node *node,
                               uint32_t holder_number) {
    shadow->life = life;
    shadow->node = *node;
    shadow->holder_number = holder_number;
    memcpy(shadow->name, node->name.data, node->name.len);
    if (node->extra.len > 0)
        memcpy(shadow->extra, node->extra.data, node->extra.len);
}

static inline bool shadow_is_of(const struct shadow *shadow, const struct epmd_node *node) {
    const struct epmd_node own = shadow_node(shadow);
    return own.port == node->port && own.type == node->type && own.protocol == node->protocol &&
           own.highest_version == node->highest_version &&
           own.lowest_version == node->lowest_version && bytes_equal(own.name, node->name) &&
           bytes_equal(own.extra, node->extra);
}

struct shadow_listing {
    enum listing_kind kind;
    uint16_t port;
    bool head_seen;
    struct shadow ahead[SHADOWS]; /* by connection; life 0: has left, or was seen */
};

static inline void shadow_listing_begin(struct shadow_listing *listing, enum listing_kind kind,
                                        uint16_t port) {
    listing->kind = kind;
    listing->port = port;
    listing->head_seen = false;
    for (size_t i = 0; i < SHADOWS; i++)
        listing->ahead[i].life = 0;
}

/* Call it for all connections that the listing may have, in order. */
static inline void shadow_listing_add(struct shadow_listing *listing, size_t which,
                                      const struct shadow *shadow) {
    listing->ahead[which] = *shadow;
}

/* Before each piece: who has left since the beginning need not come any more. */
static inline void shadow_listing_keep(struct shadow_listing *listing, size_t which,
                                       const struct shadow *now) {
    if (listing->ahead[which].life != now->life)
        listing->ahead[which].life = 0;
}

/* The newest of those that must still come; NULL when there is none. */
static inline struct shadow *shadow_listing_next(struct shadow_listing *listing) {
    struct shadow *newest = NULL;
    for (size_t i = 0; i < SHADOWS; i++) {
        struct shadow *shadow = &listing->ahead[i];
        if (shadow->life != 0 && alive_name_fits_line(shadow_node(shadow).name) &&
            (newest == NULL || shadow->life > newest->life))
            newest = shadow;
    }
    return newest;
}

static inline void shadow_take_line(struct reader *piece, const struct shadow_listing *listing,
                                    const struct shadow *shadow) {
    uint8_t line[LISTING_PIECE_MIN];
    struct writer writer = writer_of(line, sizeof line);
    const struct epmd_node node = shadow_node(shadow);
    if (listing->kind == LISTING_NAMES)
        epmd_write_names_line(&writer, node.name, node.port);
    else
        epmd_write_dump_line(&writer, &node, shadow->holder_number);
    must(bytes_equal(read_bytes(piece, writer.len), writer_bytes(&writer)));
}

/* "old/unused name <NAME>, port = PORT, fd = FD \n\0": a name has no NUL, so that ends the line. */
static inline void shadow_take_unused_line(struct reader *piece) {
    const struct bytes begin = bytes_of_text("old/unused name <");
    const struct bytes finish = bytes_of(" \n", 3);
    const uint8_t *nul = memchr(piece->at, 0, piece->left);
    must(nul != NULL);
    struct bytes line = read_bytes(piece, (size_t)(nul - piece->at) + 1);
    must(line.len > begin.len + finish.len);
    must(bytes_equal(bytes_of(line.data, begin.len), begin));
    must(bytes_equal(bytes_of(line.data + line.len - finish.len, finish.len), finish));
}

/* A piece, empty at the end of the listing, must hold whole lines, those that are due. */
static inline void shadow_listing_check(struct shadow_listing *listing, struct bytes bytes) {
    struct reader piece = reader_of(bytes);
    struct shadow *next;
    if (!listing->head_seen)
        must(read_u32(&piece) == listing->port);
    listing->head_seen = true;
    while (piece.left > 0 && (next = shadow_listing_next(listing)) != NULL) {
        shadow_take_line(&piece, listing, next);
        next->life = 0;
    }
    must(piece.left == 0 || listing->kind == LISTING_DUMP);
    while (piece.left > 0)
        shadow_take_unused_line(&piece);
    must(!piece.failed);
    must(bytes.len > 0 || shadow_listing_next(listing) == NULL);
}

#endif
