#include "erlang/tls_hello.h"

#define RECORD_HANDSHAKE 22
#define RECORD_MAJOR_VERSION 3
#define RECORD_HEADER 5
#define MESSAGE_CLIENT_HELLO 1
#define RANDOM_LEN 32
#define EXTENSION_ALPN 16

bool tls_hello_begins(struct bytes received) {
    return received.len >= 2 && received.data[0] == RECORD_HANDSHAKE &&
           received.data[1] == RECORD_MAJOR_VERSION;
}

static bool lists(struct bytes extension, struct bytes protocol) {
    struct reader reader = reader_of(extension);
    size_t len = read_u16(&reader);
    struct reader names = reader_of(read_bytes(&reader, len));
    while (names.left > 0 && !names.failed) {
        size_t name_len = read_u8(&names);
        if (bytes_equal(read_bytes(&names, name_len), protocol) && !names.failed)
            return true;
    }
    return false;
}

static bool offers(struct reader *hello, struct bytes protocol) {
    size_t len = read_u16(hello);
    /* of a hello that goes on in another record, what is here */
    struct reader extensions = reader_of(read_bytes(hello, len < hello->left ? len : hello->left));
    while (extensions.left > 0 && !extensions.failed) {
        uint16_t type = read_u16(&extensions);
        size_t data_len = read_u16(&extensions);
        struct bytes data = read_bytes(&extensions, data_len);
        if (type == EXTENSION_ALPN && !extensions.failed)
            return lists(data, protocol);
    }
    return false;
}

static enum tls_hello judge(struct bytes record, struct bytes protocol) {
    struct reader hello = reader_of(record);
    if (read_u8(&hello) != MESSAGE_CLIENT_HELLO)
        return TLS_HELLO_BAD;
    size_t len = (size_t)read_u8(&hello) << 16;
    len |= read_u16(&hello);
    if (hello.failed || (len < hello.left)) /* a second message in the record is not the hello's */
        return TLS_HELLO_BAD;
    (void)read_u16(&hello); /* version */
    (void)read_bytes(&hello, RANDOM_LEN);
    (void)read_bytes(&hello, read_u8(&hello));  /* session id */
    (void)read_bytes(&hello, read_u16(&hello)); /* cipher suites */
    (void)read_bytes(&hello, read_u8(&hello));  /* compression methods */
    if (hello.failed)
        return TLS_HELLO_BAD;
    return offers(&hello, protocol) ? TLS_HELLO_OFFERS : TLS_HELLO_OTHER;
}

enum tls_hello tls_hello_offers(struct bytes received, struct bytes protocol) {
    struct reader reader = reader_of(received);
    struct bytes header = read_bytes(&reader, RECORD_HEADER);
    if (received.len >= 2 && !tls_hello_begins(received))
        return TLS_HELLO_BAD;
    if (reader.failed)
        return TLS_HELLO_INCOMPLETE;
    size_t len = (size_t)(header.data[3] << 8 | header.data[4]);
    if (len == 0 || len > TLS_HELLO_MAX - RECORD_HEADER)
        return TLS_HELLO_BAD;
    /* the kind of message is told as soon as it can be */
    if (reader.left > 0 && reader.at[0] != MESSAGE_CLIENT_HELLO)
        return TLS_HELLO_BAD;
    if (reader.left < len)
        return TLS_HELLO_INCOMPLETE;
    return judge(read_bytes(&reader, len), protocol);
}

size_t tls_hello_wants(struct bytes received) {
    if (received.len < RECORD_HEADER)
        return RECORD_HEADER;
    if (received.len == RECORD_HEADER)
        return RECORD_HEADER + 1; /* the kind of message */
    return RECORD_HEADER + (size_t)(received.data[3] << 8 | received.data[4]);
}
