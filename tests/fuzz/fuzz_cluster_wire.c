/* Every decoder of the cluster protocol, fed the same bytes: nothing crashes, and what a payload
 * says comes out of the encoder as it went in. */
#include "fuzz.h"

#include "cluster/store.h"
#include "cluster/wire.h"

#include <string.h>

/* The payload of the one frame that was written: it has to be how `read` began. */
static void must_be_the_start_of(struct bytes read, const struct writer *written) {
    struct bytes frame = writer_bytes(written);
    must(!written->failed && wire_frame_len(frame) == frame.len);
    size_t len = frame.len - WIRE_HEAD;
    must(len <= read.len && memcmp(frame.data + WIRE_HEAD, read.data, len) == 0);
}

static void read_hello(struct bytes payload) {
    struct wire_hello hello;
    uint8_t buffer[1024];
    struct writer writer = writer_of(buffer, sizeof buffer);
    if (!wire_read_hello(payload, &hello))
        return;
    wire_write_hello(&writer, &hello);
    must_be_the_start_of(payload, &writer);
}

static void read_change(struct bytes payload) {
    struct wire_change change;
    uint8_t buffer[WIRE_HEAD + 18 + CLUSTER_NAME_MAX + WIRE_NODE_MAX];
    struct writer writer = writer_of(buffer, sizeof buffer);
    if (!wire_read_change(payload, &change))
        return;
    wire_write_change(&writer, &change);
    must_be_the_start_of(payload, &writer);
}

static void read_ask(struct bytes payload, enum wire_type type) {
    struct wire_probe ask;
    uint8_t buffer[64];
    struct writer writer = writer_of(buffer, sizeof buffer);
    if (!wire_read_probe(payload, type, &ask))
        return;
    wire_write_probe(&writer, type, &ask);
    if (type == WIRE_PROBE_ACK && !ask.responsive) /* whatever is not 1 says so */
        buffer[writer.len - 1] = payload.data[writer.len - 1 - WIRE_HEAD];
    must_be_the_start_of(payload, &writer);
}

static void read_records(struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct wire_record record, again;
    while (wire_next_record(&reader, &record)) {
        uint8_t buffer[WIRE_RECORD_MAX];
        struct writer writer = writer_of(buffer, sizeof buffer);
        wire_write_record(&writer, &record);
        struct reader second = reader_of(writer_bytes(&writer));
        must(!writer.failed && wire_next_record(&second, &again) && second.left == 0);
        must(bytes_equal(record.name, again.name) && record.incarnation == again.incarnation);
        must(record.detail == again.detail);
    }
}

static void read_names(struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct wire_names names;
    if (!wire_read_names(&reader, &names))
        return;
    uint64_t sequence;
    struct directory_name node;
    while (wire_next_node(&reader, &sequence, &node)) {
        uint8_t buffer[WIRE_NODE_MAX];
        struct writer writer = writer_of(buffer, sizeof buffer);
        wire_write_node(&writer, &node);
        must(!writer.failed);
    }
}

static void read_store(struct bytes text) {
    struct store_head head;
    struct store_record record;
    struct reader rest;
    /* past the sum, which no fuzzer guesses */
    uint8_t *summed = malloc(text.len + 64);
    if (summed == NULL)
        return;
    struct writer writer = writer_of(summed, text.len + 64);
    write_bytes(&writer, text);
    cluster_store_write_sum(&writer);
    if (cluster_store_read_head(writer_bytes(&writer), &head, &rest)) {
        while (cluster_store_next(&rest, &record)) {
        }
    }
    free(summed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes payload = bytes_of(data, size);
    struct reader reader = reader_of(payload);
    uint32_t length = read_u32(&reader);
    size_t len = wire_frame_len(payload);
    if (size >= 4 && (length == 0 || length > CLUSTER_FRAME_MAX - 4))
        must(len == SIZE_MAX);
    else
        must(len == 0 || (len == 4 + (size_t)length && len <= size));
    read_hello(payload);
    read_change(payload);
    read_ask(payload, WIRE_PROBE_REQ);
    read_ask(payload, WIRE_PROBE_ACK);
    read_records(payload);
    read_names(payload);
    read_store(payload);
    return 0;
}
