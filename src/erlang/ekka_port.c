#include "erlang/ekka_port.h"

#include <string.h>

static struct bytes alive_part(struct bytes node) {
    const uint8_t *at = node.len == 0 ? NULL : memchr(node.data, '@', node.len);
    return at == NULL ? node : bytes_of(node.data, (size_t)(at - node.data));
}

bool ekka_is_remote_shell(struct bytes node) {
    const struct bytes prefix = bytes_of_text("remsh");
    struct bytes alive = alive_part(node);
    return alive.len >= prefix.len && memcmp(alive.data, prefix.data, prefix.len) == 0;
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

uint16_t ekka_offset(struct bytes node) {
    struct bytes alive = alive_part(node);
    if (ekka_is_remote_shell(node))
        return 0;
    size_t first = alive.len;
    while (first > 0 && is_digit(alive.data[first - 1]))
        first--;
    uint32_t offset = 0;
    for (size_t i = first; i < alive.len; i++)
        offset = (offset * 10 + (uint32_t)(alive.data[i] - '0')) % EKKA_OFFSET_MODULO;
    return (uint16_t)offset;
}

bool ekka_port(struct bytes node, uint16_t base, uint32_t *port) {
    *port = ekka_is_remote_shell(node) ? 0 : (uint32_t)base + ekka_offset(node);
    return *port <= UINT16_MAX;
}
