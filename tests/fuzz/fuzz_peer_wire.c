/* Every decoder of the cluster protocol, fed the same bytes: nothing crashes, and what a record
 * says comes out of the encoder as it went in. */
#include "cluster/cluster_store.h"
#include "cluster/peer_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_records(struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct peer_record record, again;
    while (peer_next_record(&reader, &record)) {
        uint8_t buffer[PEER_RECORD_MAX];
        struct writer writer = writer_of(buffer, sizeof buffer);
        peer_write_record(&writer, &record);
        struct reader second = reader_of(writer_bytes(&writer));
        if (writer.failed || !peer_next_record(&second, &again) || second.left != 0 ||
            !bytes_equal(record.name, again.name) || record.incarnation != again.incarnation ||
            record.detail != again.detail)
            abort();
    }
}

static void read_names(struct bytes payload) {
    struct reader reader = reader_of(payload);
    struct peer_names names;
    if (!peer_read_names(&reader, &names))
        return;
    uint64_t sequence;
    struct directory_name node;
    while (peer_next_node(&reader, &sequence, &node)) {
        uint8_t buffer[PEER_NODE_MAX];
        struct writer writer = writer_of(buffer, sizeof buffer);
        peer_write_node(&writer, &node);
        if (writer.failed)
            abort();
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
    struct peer_hello hello;
    struct peer_change change;
    struct peer_ask ask;
    size_t len = peer_frame_len(payload);
    if (len != 0 && len != SIZE_MAX && len > size)
        abort();
    peer_read_hello(payload, &hello);
    peer_read_change(payload, &change);
    peer_read_ask(payload, PEER_ASK, &ask);
    peer_read_ask(payload, PEER_ANSWER, &ask);
    read_records(payload);
    read_names(payload);
    read_store(payload);
    return 0;
}
