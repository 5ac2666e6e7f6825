/*
 * The reply to NAMES and DUMP, made piece by piece, so that a reply of any length needs only a
 * small buffer and a slow reader holds nobody up.
 */
#ifndef PORTOLAN_NAMES_LISTING_H
#define PORTOLAN_NAMES_LISTING_H

#include "names/registry.h"

enum listing_kind { LISTING_NAMES, LISTING_DUMP };

/* Any buffer for listing_read must hold this: the longest line, whole. */
#define LISTING_PIECE_MIN 1536

struct listing {
    enum listing_kind kind;
    bool head_written;
    uint16_t port;
    enum registry_part part;
    struct registry_cursor cursor;
};

/* `port` is the daemon's own, which heads the reply. The registry must outlive the listing. */
void listing_begin(struct listing *listing, enum listing_kind kind, struct registry *registry,
                   uint16_t port);

/* Fills the buffer with the next whole lines. 0: all has been read. */
size_t listing_read(struct listing *listing, uint8_t *buffer, size_t size);

/* Must be called, wherever the reading stopped. Harmless when repeated. */
void listing_end(struct listing *listing);

#endif
