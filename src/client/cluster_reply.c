/* The names of a cluster, as portoland lists them. */
#include "client/json_view.h"
#include "client/names_reply.h"
#include "erlang/node_name.h"

#include <string.h>

struct entry {
    char name[ALIVE_NAME_MAX_BYTES + 1];
    char host[PORTOLAN_HOST_SIZE];
    char member[PORTOLAN_NODE_SIZE];
    struct portolan_name rest; /* without its texts */
};

static uint8_t type_of(const char *word) {
    return strcmp(word, "normal") == 0   ? PORTOLAN_NODE_NORMAL
           : strcmp(word, "hidden") == 0 ? PORTOLAN_NODE_HIDDEN
                                         : 0;
}

static uint8_t state_of(const char *word) {
    return strcmp(word, "alive") == 0     ? PORTOLAN_MEMBER_ALIVE
           : strcmp(word, "suspect") == 0 ? PORTOLAN_MEMBER_SUSPECT
           : strcmp(word, "down") == 0    ? PORTOLAN_MEMBER_DOWN
                                          : PORTOLAN_MEMBER_UNKNOWN;
}

static void read_member(struct bytes key, struct bytes value, struct entry *entry) {
    char word[16];
    int64_t number = 0;
    if (json_view_key_is(key, "name")) {
        json_view_text(value, entry->name, sizeof entry->name);
    } else if (json_view_key_is(key, "host")) {
        json_view_text(value, entry->host, sizeof entry->host);
    } else if (json_view_key_is(key, "member")) {
        json_view_text(value, entry->member, sizeof entry->member);
    } else if (json_view_key_is(key, "port")) {
        json_view_integer(value, 1, UINT16_MAX, &number);
        entry->rest.port = (uint16_t)number;
    } else if (json_view_key_is(key, "front_port")) {
        json_view_integer(value, 1, UINT16_MAX, &number);
        entry->rest.front_port = (uint16_t)number;
    } else if (json_view_key_is(key, "creation")) {
        json_view_integer(value, 0, UINT32_MAX, &number);
        entry->rest.creation = (uint32_t)number;
    } else if (json_view_key_is(key, "type")) {
        json_view_text(value, word, sizeof word);
        entry->rest.type = type_of(word);
    } else if (json_view_key_is(key, "member_state")) {
        json_view_text(value, word, sizeof word);
        entry->rest.member_state = state_of(word);
    }
}

/* False: without a name, a host or a port. */
static bool read_entry(struct bytes object, struct entry *entry) {
    struct bytes members = json_view_members(object), key, value;
    entry->name[0] = entry->host[0] = entry->member[0] = '\0';
    entry->rest = (struct portolan_name){.port = 0};
    while (json_view_next_member(&members, &key, &value))
        read_member(key, value, entry);
    return entry->name[0] != '\0' && entry->host[0] != '\0' && entry->rest.port != 0;
}

static size_t count_elements(struct bytes elements) {
    struct bytes object;
    size_t count = 0;
    while (json_view_next(&elements, &object))
        count++;
    return count;
}

static void fill(struct bytes elements, struct portolan_listing *listing) {
    struct bytes object;
    struct entry entry;
    while (json_view_next(&elements, &object)) {
        if (!read_entry(object, &entry)) {
            listing->malformed++;
            continue;
        }
        entry.rest.name = listing_add_text(listing, bytes_of_text(entry.name));
        entry.rest.host = listing_add_text(listing, bytes_of_text(entry.host));
        entry.rest.member = listing_add_text(listing, bytes_of_text(entry.member));
        listing->names[listing->count++] = entry.rest;
    }
}

enum portolan_code cluster_reply_names(struct bytes root, struct portolan_listing **listing) {
    struct bytes names = json_view_member(root, "names");
    if (names.len == 0 || names.data[0] != '[')
        return PORTOLAN_ERROR_REPLY;
    size_t count = count_elements(json_view_elements(names));
    if (count > PORTOLAN_CLUSTER_NAMES_MAX)
        return PORTOLAN_ERROR_TOO_LARGE;
    /* no text is longer than its JSON, which has two quotes more than it, as it has a NUL more */
    *listing = listing_new(count, names.len + 3 * count);
    if (*listing == NULL)
        return PORTOLAN_ERROR_MEMORY;
    fill(json_view_elements(names), *listing);
    return PORTOLAN_OK;
}
