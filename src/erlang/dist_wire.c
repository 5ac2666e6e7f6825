#include "erlang/dist_wire.h"

#include "erlang/node_name.h"

static struct bytes read_name(struct reader *reader) {
    (void)read_u64(reader); /* flags */
    (void)read_u32(reader); /* creation */
    size_t len = read_u16(reader);
    return read_bytes(reader, len);
}

static struct bytes read_name_old(struct reader *reader) {
    if (read_u16(reader) != DIST_OLD_VERSION)
        reader->failed = true;
    (void)read_u32(reader); /* flags */
    return read_rest(reader);
}

bool dist_send_name_decode(struct bytes payload, struct bytes *caller) {
    struct reader reader = reader_of(payload);
    uint8_t tag = read_u8(&reader);
    if (tag != DIST_SEND_NAME && tag != DIST_SEND_NAME_OLD)
        return false;
    *caller = tag == DIST_SEND_NAME ? read_name(&reader) : read_name_old(&reader);
    /* a whole node name is an atom, and so bounded as its alive name is */
    return !reader.failed && alive_name_check(*caller) == ALIVE_NAME_OK;
}
