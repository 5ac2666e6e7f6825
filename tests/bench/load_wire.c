#include "load_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIVE2_REQ = 120,
    ALIVE2_X_RESP = 118,
    PORT_PLEASE2_REQ = 122,
    PORT2_RESP = 119,
    NAMES_REQ = 110,
    NORMAL_NODE = 77,
    HIGHEST_VERSION = 6,
    LOWEST_VERSION = 5,
    FIRST_PORT = 10000,
    PORTS = 50000,
};

static const char asked_kind[] = "bench";

static uint16_t port_of(uint32_t number) {
    return (uint16_t)(FIRST_PORT + number % PORTS);
}

static void put16(uint8_t *out, size_t value) {
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *in) {
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* port:16 type:8 protocol:8 highest:16 lowest:16 nlen:16 name elen:16, the part that a
 * registration and the answer to a look-up have in common */
static size_t put_node(uint8_t *out, const char *kind, uint32_t number) {
    char name[WIRE_REQUEST_MAX - 16];
    size_t len = (size_t)snprintf(name, sizeof(name), "%s%u", kind, number);

    put16(out, port_of(number));
    out[2] = NORMAL_NODE;
    out[3] = 0;
    put16(out + 4, HIGHEST_VERSION);
    put16(out + 6, LOWEST_VERSION);
    put16(out + 8, len);
    memcpy(out + 10, name, len);
    put16(out + 10 + len, 0);
    return 10 + len + 2;
}

size_t wire_put_register(uint8_t *out, const char *kind, uint32_t number) {
    size_t len = put_node(out + 3, kind, number);

    put16(out, 1 + len);
    out[2] = ALIVE2_REQ;
    return 3 + len;
}

size_t wire_put_lookup(uint8_t *out, uint32_t number) {
    size_t len =
        (size_t)snprintf((char *)out + 3, WIRE_REQUEST_MAX - 3, "%s%u", asked_kind, number);

    put16(out, 1 + len);
    out[2] = PORT_PLEASE2_REQ;
    return 3 + len;
}

size_t wire_put_listing(uint8_t *out) {
    put16(out, 1);
    out[2] = NAMES_REQ;
    return 3;
}

bool wire_is_registered(const uint8_t *reply, size_t len) {
    return len == WIRE_REGISTERED_LEN && reply[0] == ALIVE2_X_RESP && reply[1] == 0 &&
           get32(reply + 2) > 3;
}

bool wire_is_found(const uint8_t *reply, size_t len, uint32_t number) {
    uint8_t expected[WIRE_REPLY_MAX] = {PORT2_RESP, 0};
    size_t expected_len = 2 + put_node(expected + 2, asked_kind, number);

    return len == expected_len && memcmp(reply, expected, len) == 0;
}

static size_t put_line(char *out, size_t size, uint32_t number) {
    return (size_t)snprintf(out, size, "name %s%u at port %u\n", asked_kind, number,
                            port_of(number));
}

size_t wire_listing_len(uint32_t names) {
    size_t len = WIRE_LISTING_HEAD_LEN;

    for (uint32_t number = 0; number < names; number++)
        len += put_line(NULL, 0, number);
    return len;
}

bool wire_is_listing_head(const uint8_t *head, uint16_t daemon_port) {
    return get32(head) == daemon_port;
}

/* The number of the bench name whose line stands at the start of `text`, or -1. */
static int64_t number_of_line(const char *text, size_t len) {
    char copy[64], expected[64];
    unsigned number;

    if (len >= sizeof(copy))
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (sscanf(copy, "name bench%u", &number) != 1)
        return -1;
    put_line(expected, sizeof(expected), number);
    return strcmp(copy, expected) == 0 ? (int64_t)number : -1;
}

bool wire_is_listing_text(const char *text, size_t len, uint32_t names) {
    bool *seen = calloc((size_t)names + 1, sizeof(*seen));
    const char *end = text + len;
    uint32_t found = 0;

    while (seen && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        int64_t number = newline ? number_of_line(text, (size_t)(newline + 1 - text)) : -1;

        if (number < 0 || number >= names || seen[number])
            break;
        seen[number] = true;
        found++;
        text = newline + 1;
    }
    free(seen);
    return text == end && found == names;
}
