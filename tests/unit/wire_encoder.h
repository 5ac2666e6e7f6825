/* The half of epmd's protocol that only nodes speak: registering. */
#ifndef PORTOLAN_TESTS_UNIT_WIRE_ENCODER_H
#define PORTOLAN_TESTS_UNIT_WIRE_ENCODER_H

#include "erlang/epmd_wire.h"

/* A whole ALIVE2 request frame. */
static inline void wire_write_alive2(struct writer *writer, const struct epmd_node *node) {
    write_u16(writer, (uint16_t)(13 + node->name.len + node->extra.len));
    write_u8(writer, EPMD_ALIVE2);
    write_u16(writer, node->port);
    write_u8(writer, node->type);
    write_u8(writer, node->protocol);
    write_u16(writer, node->highest_version);
    write_u16(writer, node->lowest_version);
    write_u16(writer, (uint16_t)node->name.len);
    write_bytes(writer, node->name);
    write_u16(writer, (uint16_t)node->extra.len);
    write_bytes(writer, node->extra);
}

#endif
