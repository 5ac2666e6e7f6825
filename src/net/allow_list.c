#include "net/allow_list.h"

#include "base/comma_list.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

#define ITEM_SIZE 64 /* more than the longest address, a slash, three digits */

static bool bit_is_set(const struct allow_network *network, unsigned bit) {
    return (network->address[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

/* Most likely another prefix was meant: 10.1.2.3/8 is not a single host. */
static bool has_bits_beyond(const struct allow_network *network) {
    for (unsigned bit = network->bits; bit < network->len * 8U; bit++) {
        if (bit_is_set(network, bit))
            return true;
    }
    return false;
}

/* `item` is cut at the slash. */
static const char *parse_network(char *item, struct allow_network *network) {
    struct address address;
    uint64_t bits;
    bool is_cut = strlen(item) == ITEM_SIZE - 1;
    char *slash = strchr(item, '/');
    if (slash != NULL)
        *slash++ = '\0';
    if (is_cut || strchr(item, '%') != NULL || !address_parse(item, 0, &address))
        return "it contains something other than addresses, networks or 'members'";
    struct bytes host = address_host(&address);
    unsigned unmapped = address.any.sa_family == AF_INET6 && host.len == 4 ? 96 : 0;
    *network = (struct allow_network){.len = (uint8_t)host.len, .bits = (uint8_t)(host.len * 8)};
    memcpy(network->address, host.data, host.len);
    if (slash == NULL)
        return NULL;
    if (!text_parse_number(slash, unmapped, host.len * 8 + unmapped, &bits))
        return "invalid prefix length after a '/'";
    network->bits = (uint8_t)(bits - unmapped);
    return has_bits_beyond(network) ? "an address has bits beyond its prefix length" : NULL;
}

static const char *add_item(struct allow_list *list, char *item) {
    if (strcasecmp(item, "any") == 0) {
        list->any = true;
        return NULL;
    }
    if (strcasecmp(item, "members") == 0) {
        list->members = true;
        return NULL;
    }
    if (list->count == ALLOW_NETWORKS_MAX)
        return "it has more than 64 networks";
    return parse_network(item, &list->networks[list->count++]);
}

const char *allow_list_parse(const char *text, struct allow_list *list) {
    char item[ITEM_SIZE];
    *list = (struct allow_list){.any = false};
    while (comma_list_next(&text, item, sizeof item)) {
        const char *why = add_item(list, item);
        if (why != NULL)
            return why;
    }
    if (!list->any && !list->members && list->count == 0)
        return "it is empty";
    return list->any && (list->members || list->count > 0) ? "'any' cannot be combined" : NULL;
}

static bool is_in(const struct allow_network *network, struct bytes host) {
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    if (host.len != network->len || memcmp(host.data, network->address, whole) != 0)
        return false;
    return rest == 0 || (host.data[whole] ^ network->address[whole]) >> (8 - rest) == 0;
}

bool allow_list_has(const struct allow_list *list, const struct address *address) {
    struct bytes host = address_host(address);
    for (size_t i = 0; i < list->count; i++) {
        if (is_in(&list->networks[i], host))
            return true;
    }
    return false;
}
