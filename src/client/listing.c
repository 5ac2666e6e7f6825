#include "client/listing.h"

#include <stdlib.h>
#include <string.h>

struct portolan_listing *listing_new(size_t names, size_t text_bytes) {
    struct portolan_listing *made =
        calloc(1, sizeof *made + names * sizeof *made->names + text_bytes);
    if (made == NULL)
        return NULL;
    made->names = (struct portolan_name *)(made + 1);
    made->texts = (char *)(made->names + names);
    return made;
}

const char *listing_add_text(struct portolan_listing *listing, struct bytes text) {
    char *at = listing->texts;
    if (text.len > 0)
        memcpy(at, text.data, text.len);
    at[text.len] = '\0';
    listing->texts += text.len + 1;
    return at;
}

size_t portolan_listing_count(const struct portolan_listing *listing) {
    return listing->count;
}

const struct portolan_name *portolan_listing_name(const struct portolan_listing *listing,
                                                  size_t index) {
    return index < listing->count ? &listing->names[index] : NULL;
}

uint16_t portolan_listing_epmd_port(const struct portolan_listing *listing) {
    return listing->epmd_port;
}

size_t portolan_listing_malformed(const struct portolan_listing *listing) {
    return listing->malformed;
}

void portolan_listing_free(struct portolan_listing *listing) {
    free(listing);
}
