#include "names/listing.h"

#include "erlang/node_name.h"

uint16_t caller_view_port(struct caller_view view, const struct registration *registration) {
    bool reaches = view.local && (view.loopback || !registration->loopback_only);
    bool in_front = registration->front_port != 0 && !reaches;
    return in_front ? registration->front_port : registration->node.port;
}

void listing_begin(struct listing *listing, enum listing_kind kind, struct registry *registry,
                   uint16_t port, struct caller_view view) {
    *listing = (struct listing){.kind = kind, .port = port, .view = view, .part = REGISTRY_LIVE};
    if (kind != LISTING_NO_NAMES)
        registry_cursor_begin(&listing->cursor, registry, REGISTRY_LIVE);
}

static void write_line(struct writer *writer, const struct listing *listing,
                       const struct registration *registration) {
    const struct epmd_node *node = &registration->node;
    if (listing->kind == LISTING_NAMES)
        epmd_write_names_line(writer, node->name, caller_view_port(listing->view, registration));
    else if (listing->part == REGISTRY_LIVE)
        epmd_write_dump_line(writer, node, registration->holder_number);
    else
        epmd_write_dump_unused_line(writer, node->name, node->port, registration->holder_number);
}

/* The next name to write, of the departed after the live ones where those are asked for. */
static const struct registration *next_registration(struct listing *listing) {
    const struct registration *next = registry_cursor_peek(&listing->cursor);
    if (next != NULL || listing->kind != LISTING_DUMP || listing->part == REGISTRY_DEPARTED)
        return next;
    struct registry *registry = listing->cursor.registry;
    if (registry == NULL)
        return NULL;
    registry_cursor_end(&listing->cursor);
    listing->part = REGISTRY_DEPARTED;
    registry_cursor_begin(&listing->cursor, registry, REGISTRY_DEPARTED);
    return registry_cursor_peek(&listing->cursor);
}

size_t listing_read(struct listing *listing, uint8_t *buffer, size_t size) {
    struct writer writer = writer_of(buffer, size);
    if (!listing->head_written) {
        write_u32(&writer, listing->port);
        listing->head_written = true;
    }
    const struct registration *next;
    while ((next = next_registration(listing)) != NULL) {
        struct writer before = writer;
        if (alive_name_fits_line(next->node.name))
            write_line(&writer, listing, next);
        if (writer.failed)
            return before.len;
        registry_cursor_advance(&listing->cursor);
    }
    return writer.len;
}

void listing_end(struct listing *listing) {
    registry_cursor_end(&listing->cursor);
}
