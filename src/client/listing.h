/* A listing of names, in one piece: the listing, its entries, their texts. */
#ifndef PORTOLAN_CLIENT_LISTING_H
#define PORTOLAN_CLIENT_LISTING_H

#include "base/bytes.h"
#include "portolan.h"

struct portolan_listing {
    uint16_t epmd_port;
    size_t count, malformed;
    struct portolan_name *names;
    char *texts; /* where the next text goes, while it is made */
};

/* Room for so many names with so many bytes of texts, NULs included; NULL: out of memory. */
struct portolan_listing *listing_new(size_t names, size_t text_bytes);

/* Copies a text to its place; the listing's. */
const char *listing_add_text(struct portolan_listing *listing, struct bytes text);

#endif
