/*
 * The reply to NAMES and DUMP, made piece by piece, so that a reply of any length needs only a
 * small buffer, and a slow reader delays nobody else.
 */
#ifndef PORTOLAN_NAMES_LISTING_H
#define PORTOLAN_NAMES_LISTING_H

#include "names/registry.h"

enum listing_kind {
    LISTING_NAMES,
    LISTING_DUMP,
    LISTING_NO_NAMES, /* NAMES, to a caller who may not list: as if there were none */
};

/* From where a caller sees the nodes of this host. */
struct caller_view {
    bool local;    /* on this host (its address is loopback or the one it called) */
    bool loopback; /* by a loopback address */
};

/*
 * The port at which the caller reaches a node: from this host the node's own, from others its front
 * port, if it has one. A node that listens on loopback only is for callers of this host that came
 * by another address as far away as for others.
 */
uint16_t caller_view_port(struct caller_view view, const struct registration *registration);

/* Any buffer for listing_read must hold this: the longest line, whole. */
#define LISTING_PIECE_MIN 1536

struct listing {
    enum listing_kind kind;
    bool head_written;
    uint16_t port;
    struct caller_view view;
    enum registry_part part;
    struct registry_cursor cursor;
};

/* `port` is the daemon's own, which heads the reply. NAMES has the ports that the view gives, DUMP
 * the nodes' own. The registry must outlive the listing. */
void listing_begin(struct listing *listing, enum listing_kind kind, struct registry *registry,
                   uint16_t port, struct caller_view view);

/* Fills the buffer with the next whole lines. 0: all has been read. */
size_t listing_read(struct listing *listing, uint8_t *buffer, size_t size);

/* Must be called, wherever the reading stopped. Harmless when repeated. */
void listing_end(struct listing *listing);

#endif
