#include "cluster/wire.h"

#include <string.h>

#define LENGTH_SIZE 4

size_t wire_frame_len(struct bytes bytes) {
    struct reader reader = reader_of(bytes);
    uint32_t length = read_u32(&reader);
    if (reader.failed)
        return 0;
    if (length == 0 || length > CLUSTER_FRAME_MAX - LENGTH_SIZE)
        return SIZE_MAX;
    return bytes.len < LENGTH_SIZE + length ? 0 : LENGTH_SIZE + length;
}

bool member_name_is_valid(struct bytes name) {
    if (name.len > CLUSTER_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || name.data[i] == 0x7f)
            return false; /* they end lines and words in logs and in the store */
    }
    const uint8_t *at = name.len == 0 ? NULL : memchr(name.data, '@', name.len);
    if (at == NULL || at == name.data || at == name.data + name.len - 1)
        return false;
    return alive_name_check(name) == ALIVE_NAME_OK;
}

struct bytes wire_read_name(struct reader *reader) {
    struct bytes name = read_bytes(reader, read_u8(reader));
    if (!member_name_is_valid(name))
        reader->failed = true;
    return name;
}

static uint64_t read_count(struct reader *reader) {
    uint64_t value = read_u64(reader);
    if (value > WIRE_NUMBER_MAX)
        reader->failed = true;
    return value;
}

bool wire_read_id(struct reader *reader, struct cluster_id *id) {
    id->created_ms = read_u64(reader);
    id->random = read_u64(reader);
    return !reader->failed;
}

bool wire_read_version(struct reader *reader, struct directory_version *version) {
    version->generation = read_count(reader);
    version->sequence = read_count(reader);
    return !reader->failed;
}

bool wire_read_hello(struct bytes payload, struct wire_hello *hello) {
    struct reader reader = reader_of(payload);
    memset(hello, 0, sizeof *hello);
    hello->version = read_u8(&reader);
    hello->flags = read_u8(&reader);
    hello->intent = read_u8(&reader);
    wire_read_id(&reader, &hello->id);
    hello->joined = read_count(&reader);
    hello->generation = read_count(&reader);
    hello->incarnation = read_count(&reader);
    hello->names = read_count(&reader);
    hello->known_joined = read_count(&reader);
    hello->known_incarnation = read_count(&reader);
    hello->known_state = read_u8(&reader);
    hello->port = read_u16(&reader);
    hello->name = wire_read_name(&reader);
    hello->cluster_name = read_bytes(&reader, read_u8(&reader));
    if (hello->joined > hello->generation || hello->generation > hello->incarnation)
        reader.failed = true;
    return !reader.failed;
}

static bool record_is_sane(const struct wire_record *record) {
    switch ((enum cluster_state)record->state) {
    case CLUSTER_ALIVE:
    case CLUSTER_SUSPECT:
    case CLUSTER_DOWN:
        return record->joined <= record->generation && record->generation <= record->incarnation;
    case CLUSTER_LEFT:
    case CLUSTER_FORCED_OUT:
        return true;
    case CLUSTER_CLEANED:
        break;
    }
    return false;
}

bool wire_next_record(struct reader *reader, struct wire_record *record) {
    if (reader->failed || reader->left == 0)
        return false;
    record->state = read_u8(reader);
    record->name = wire_read_name(reader);
    record->joined = read_count(reader);
    record->generation = read_count(reader);
    record->incarnation = read_count(reader);
    record->names = read_count(reader);
    record->detail = read_u64(reader);
    record->port = read_u16(reader);
    record->age_ms = read_u32(reader);
    if (!reader->failed && !record_is_sane(record))
        reader->failed = true;
    return !reader->failed;
}

static void read_node(struct reader *reader, struct directory_name *node) {
    node->name = read_bytes(reader, read_u16(reader));
    node->port = read_u16(reader);
    node->front_port = read_u16(reader);
    node->type = read_u8(reader);
    node->protocol = read_u8(reader);
    node->highest_version = read_u16(reader);
    node->lowest_version = read_u16(reader);
    node->creation = read_u32(reader);
    if (alive_name_check(node->name) != ALIVE_NAME_OK)
        reader->failed = true;
}

bool wire_next_node(struct reader *reader, uint64_t *sequence, struct directory_name *node) {
    if (reader->failed || reader->left == 0)
        return false;
    *sequence = read_count(reader);
    read_node(reader, node);
    return !reader->failed;
}

bool wire_read_names(struct reader *reader, struct wire_names *names) {
    wire_read_version(reader, &names->version);
    names->flags = read_u8(reader);
    names->owner = wire_read_name(reader);
    return !reader->failed;
}

bool wire_read_change(struct bytes payload, struct wire_change *change) {
    struct reader reader = reader_of(payload);
    wire_read_version(&reader, &change->version);
    change->operation = read_u8(&reader);
    change->owner = wire_read_name(&reader);
    read_node(&reader, &change->node);
    return !reader.failed &&
           (change->operation == WIRE_REGISTERED || change->operation == WIRE_UNREGISTERED);
}

bool wire_read_probe(struct bytes payload, enum wire_type type, struct wire_probe *probe) {
    struct reader reader = reader_of(payload);
    memset(probe, 0, sizeof *probe);
    probe->ttl = read_u8(&reader);
    probe->to = read_u64(&reader);
    if (type == WIRE_PROBE_REQ)
        probe->from = read_u64(&reader);
    probe->subject = read_u64(&reader);
    probe->number = read_u32(&reader);
    if (type == WIRE_PROBE_ACK)
        probe->responsive = read_u8(&reader) == 1;
    return !reader.failed;
}

size_t wire_begin(struct writer *writer, enum wire_type type) {
    size_t begun = writer->len;
    write_u32(writer, 0);
    write_u8(writer, (uint8_t)type);
    return begun;
}

void wire_end(struct writer *writer, size_t begun) {
    size_t len = writer->len - begun;
    if (writer->failed || len > CLUSTER_FRAME_MAX) {
        writer->failed = true;
        return;
    }
    struct writer length = writer_of(writer->start + begun, LENGTH_SIZE);
    write_u32(&length, (uint32_t)(len - LENGTH_SIZE));
}

void wire_write_name(struct writer *writer, struct bytes name) {
    write_u8(writer, (uint8_t)name.len);
    write_bytes(writer, name);
}

void wire_write_id(struct writer *writer, struct cluster_id id) {
    write_u64(writer, id.created_ms);
    write_u64(writer, id.random);
}

void wire_write_version(struct writer *writer, struct directory_version version) {
    write_u64(writer, version.generation);
    write_u64(writer, version.sequence);
}

void wire_write_hello(struct writer *writer, const struct wire_hello *hello) {
    size_t begun = wire_begin(writer, WIRE_HELLO);
    write_u8(writer, hello->version);
    write_u8(writer, hello->flags);
    write_u8(writer, hello->intent);
    wire_write_id(writer, hello->id);
    write_u64(writer, hello->joined);
    write_u64(writer, hello->generation);
    write_u64(writer, hello->incarnation);
    write_u64(writer, hello->names);
    write_u64(writer, hello->known_joined);
    write_u64(writer, hello->known_incarnation);
    write_u8(writer, hello->known_state);
    write_u16(writer, hello->port);
    wire_write_name(writer, hello->name);
    wire_write_name(writer, hello->cluster_name);
    wire_end(writer, begun);
}

void wire_write_record(struct writer *writer, const struct wire_record *record) {
    write_u8(writer, record->state);
    wire_write_name(writer, record->name);
    write_u64(writer, record->joined);
    write_u64(writer, record->generation);
    write_u64(writer, record->incarnation);
    write_u64(writer, record->names);
    write_u64(writer, record->detail);
    write_u16(writer, record->port);
    write_u32(writer, record->age_ms);
}

void wire_write_node(struct writer *writer, const struct directory_name *node) {
    write_u16(writer, (uint16_t)node->name.len);
    write_bytes(writer, node->name);
    write_u16(writer, node->port);
    write_u16(writer, node->front_port);
    write_u8(writer, node->type);
    write_u8(writer, node->protocol);
    write_u16(writer, node->highest_version);
    write_u16(writer, node->lowest_version);
    write_u32(writer, node->creation);
}

void wire_write_change(struct writer *writer, const struct wire_change *change) {
    size_t begun = wire_begin(writer, WIRE_CHANGE);
    wire_write_version(writer, change->version);
    write_u8(writer, change->operation);
    wire_write_name(writer, change->owner);
    wire_write_node(writer, &change->node);
    wire_end(writer, begun);
}

void wire_write_probe(struct writer *writer, enum wire_type type, const struct wire_probe *probe) {
    size_t begun = wire_begin(writer, type);
    write_u8(writer, probe->ttl);
    write_u64(writer, probe->to);
    if (type == WIRE_PROBE_REQ)
        write_u64(writer, probe->from);
    write_u64(writer, probe->subject);
    write_u32(writer, probe->number);
    if (type == WIRE_PROBE_ACK)
        write_u8(writer, probe->responsive ? 1 : 0);
    wire_end(writer, begun);
}
