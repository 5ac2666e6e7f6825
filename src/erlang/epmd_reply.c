#include "erlang/epmd_reply.h"

enum epmd_reply epmd_reply_port2(struct bytes reply, struct bytes asked, struct epmd_node *node) {
    struct reader reader = reader_of(reply);
    uint8_t operation = read_u8(&reader);
    if (!reader.failed && operation != 'w')
        return EPMD_REPLY_MALFORMED;
    uint8_t result = read_u8(&reader);
    if (reader.failed)
        return EPMD_REPLY_INCOMPLETE;
    if (result != 0)
        return EPMD_REPLY_NO;
    node->port = read_u16(&reader);
    node->type = read_u8(&reader);
    node->protocol = read_u8(&reader);
    node->highest_version = read_u16(&reader);
    node->lowest_version = read_u16(&reader);
    size_t name_len = read_u16(&reader);
    if (!reader.failed && name_len != asked.len)
        return EPMD_REPLY_MALFORMED;
    node->name = read_bytes(&reader, name_len);
    size_t extra_len = read_u16(&reader);
    if (!reader.failed && (!bytes_equal(node->name, asked) || extra_len > EPMD_EXTRA_MAX))
        return EPMD_REPLY_MALFORMED;
    node->extra = read_bytes(&reader, extra_len);
    return reader.failed ? EPMD_REPLY_INCOMPLETE : EPMD_REPLY_COMPLETE;
}

enum epmd_reply epmd_reply_alive2(struct bytes reply, uint32_t *creation) {
    struct reader reader = reader_of(reply);
    uint8_t operation = read_u8(&reader);
    if (!reader.failed && operation != 'v' && operation != 'y')
        return EPMD_REPLY_MALFORMED;
    uint8_t result = read_u8(&reader);
    uint32_t number = operation == 'v' ? read_u32(&reader) : read_u16(&reader);
    if (reader.failed)
        return EPMD_REPLY_INCOMPLETE;
    if (result != 0)
        return EPMD_REPLY_NO;
    if (reader.left > 0 || number == 0)
        return EPMD_REPLY_MALFORMED;
    *creation = number;
    return EPMD_REPLY_COMPLETE;
}
