#include "erlang/epmd_wire.h"

#include "erlang/node_name.h"

#include <string.h>

enum epmd_frame epmd_frame_parse(struct bytes received, struct bytes *payload) {
    struct reader reader = reader_of(received);
    size_t length = read_u16(&reader);
    if (reader.failed)
        return EPMD_FRAME_INCOMPLETE;
    if (length == 0 || length > EPMD_REQUEST_MAX)
        return EPMD_FRAME_BAD_LENGTH;
    if (reader.left < length)
        return EPMD_FRAME_INCOMPLETE;
    if (reader.left > length)
        return EPMD_FRAME_OVERRUN;
    *payload = read_rest(&reader);
    return EPMD_FRAME_COMPLETE;
}

static enum epmd_decode decode_alive2(struct reader *reader, struct epmd_node *node) {
    node->port = read_u16(reader);
    node->type = read_u8(reader);
    node->protocol = read_u8(reader);
    node->highest_version = read_u16(reader);
    node->lowest_version = read_u16(reader);
    size_t name_len = read_u16(reader);
    /* even a node without a name has the length of its extra data to send */
    if (reader->failed || reader->left < 2)
        return EPMD_DECODE_TOO_SHORT;
    node->name = read_bytes(reader, name_len);
    size_t extra_len = read_u16(reader);
    if (reader->failed)
        return EPMD_DECODE_NAME_SIZE;
    node->extra = read_bytes(reader, extra_len);
    if (reader->failed)
        return EPMD_DECODE_EXTRA_SIZE;
    if (node->name.len == 0 || bytes_contain(node->name, 0))
        return EPMD_DECODE_BAD_NAME;
    return EPMD_DECODE_OK;
}

static enum epmd_decode decode_name(struct reader *reader, struct bytes *name) {
    *name = read_rest(reader);
    if (name->len == 0)
        return EPMD_DECODE_TOO_SHORT;
    if (name->data[name->len - 1] == 0)
        name->len--;
    return alive_name_check(*name) == ALIVE_NAME_OK ? EPMD_DECODE_OK : EPMD_DECODE_BAD_NAME;
}

/* STOP asks for any bytes up to the first NUL: a name that cannot be is one that is not there. */
static enum epmd_decode decode_stop(struct reader *reader, struct bytes *name) {
    *name = read_rest(reader);
    if (name->len == 0)
        return EPMD_DECODE_TOO_SHORT;
    const uint8_t *nul = memchr(name->data, 0, name->len);
    if (nul != NULL)
        name->len = (size_t)(nul - name->data);
    return EPMD_DECODE_OK;
}

enum epmd_decode epmd_request_decode(struct bytes payload, struct epmd_request *request) {
    struct reader reader = reader_of(payload);
    *request = (struct epmd_request){.operation = read_u8(&reader)};
    if (reader.failed)
        return EPMD_DECODE_TOO_SHORT;
    switch (request->operation) {
    case EPMD_ALIVE2:
        return decode_alive2(&reader, &request->node);
    case EPMD_PORT_PLEASE2:
        return decode_name(&reader, &request->name);
    case EPMD_STOP:
        return decode_stop(&reader, &request->name);
    case EPMD_NAMES:
    case EPMD_DUMP:
    case EPMD_KILL:
        return EPMD_DECODE_OK;
    }
    return EPMD_DECODE_UNKNOWN_OPERATION;
}

const char *epmd_decode_reason(enum epmd_decode error) {
    switch (error) {
    case EPMD_DECODE_OK:
        return "no error";
    case EPMD_DECODE_UNKNOWN_OPERATION:
        return "unknown operation";
    case EPMD_DECODE_TOO_SHORT:
        return "request too short";
    case EPMD_DECODE_NAME_SIZE:
        return "name exceeds the request";
    case EPMD_DECODE_EXTRA_SIZE:
        return "extra data exceeds the request";
    case EPMD_DECODE_BAD_NAME:
        return "not a valid node name";
    }
    return "unknown error";
}

const char *epmd_operation_name(enum epmd_operation operation) {
    switch (operation) {
    case EPMD_ALIVE2:
        return "ALIVE2";
    case EPMD_PORT_PLEASE2:
        return "PORT_PLEASE2";
    case EPMD_NAMES:
        return "NAMES";
    case EPMD_DUMP:
        return "DUMP";
    case EPMD_KILL:
        return "KILL";
    case EPMD_STOP:
        return "STOP";
    }
    return "unknown";
}

const char *epmd_node_type_name(uint8_t type) {
    switch (type) {
    case EPMD_NODE_NORMAL:
        return "normal";
    case EPMD_NODE_HIDDEN:
    case EPMD_NODE_HIDDEN_C:
        return "hidden";
    default:
        return "other";
    }
}

void epmd_write_alive2_reply(struct writer *writer, uint16_t highest_version, bool accepted,
                             uint32_t creation) {
    bool wide = highest_version >= EPMD_WIDE_CREATION_VERSION;
    write_u8(writer, wide ? 'v' : 'y');
    write_u8(writer, accepted ? 0 : 1);
    if (wide)
        write_u32(writer, creation);
    else
        write_u16(writer, (uint16_t)creation);
}

void epmd_write_port2_reply(struct writer *writer, const struct epmd_node *node) {
    write_u8(writer, 'w');
    write_u8(writer, node == NULL ? 1 : 0);
    if (node == NULL)
        return;
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

void epmd_write_names_line(struct writer *writer, struct bytes name, uint16_t port) {
    write_text(writer, "name ");
    write_bytes(writer, name);
    write_text(writer, " at port ");
    write_decimal(writer, port);
    write_u8(writer, '\n');
}

void epmd_write_dump_line(struct writer *writer, const struct epmd_node *node, uint32_t holder) {
    write_text(writer, "active name     <");
    write_bytes(writer, node->name);
    write_text(writer, "> at port ");
    write_decimal(writer, node->port);
    write_text(writer, ", fd = ");
    write_decimal(writer, holder);
    write_bytes(writer, bytes_of("\n", 2)); /* the NUL is part of the line */
}

void epmd_write_dump_unused_line(struct writer *writer, struct bytes name, uint16_t port,
                                 uint32_t holder) {
    write_text(writer, "old/unused name <");
    write_bytes(writer, name);
    write_text(writer, ">, port = ");
    write_decimal(writer, port);
    write_text(writer, ", fd = ");
    write_decimal(writer, holder);
    write_bytes(writer, bytes_of(" \n", 3));
}

void epmd_write_request(struct writer *writer, enum epmd_operation operation, struct bytes name) {
    write_u16(writer, (uint16_t)(1 + name.len));
    write_u8(writer, (uint8_t)operation);
    write_bytes(writer, name);
}
