/* A ClientHello built field by field, each length of which may lie. */
#ifndef PORTOLAN_TESTS_UNIT_SOME_HELLO_H
#define PORTOLAN_TESTS_UNIT_SOME_HELLO_H

#include "base/bytes.h"

#define SOME_HELLO_MAX 20000

/* The lengths in it, by where they stand. */
enum hello_length {
    HELLO_RECORD,
    HELLO_MESSAGE,
    HELLO_SESSION,
    HELLO_SUITES,
    HELLO_COMPRESSIONS,
    HELLO_EXTENSIONS,
    HELLO_OTHER_EXTENSION,
    HELLO_ALPN_EXTENSION,
    HELLO_ALPN_LIST,
    HELLO_ALPN_NAME,
    HELLO_LENGTHS,
};

struct some_hello {
    uint8_t data[SOME_HELLO_MAX];
    size_t len;
    size_t at[HELLO_LENGTHS];    /* where each length stands */
    size_t width[HELLO_LENGTHS]; /* its bytes */
};

static inline void some_hello_u(struct some_hello *hello, size_t value, size_t width) {
    for (size_t i = width; i-- > 0;)
        hello->data[hello->len++] = (uint8_t)(value >> 8 * i);
}

static inline void some_hello_put(struct some_hello *hello, const void *data, size_t len) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++)
        hello->data[hello->len++] = bytes[i];
}

static inline void some_hello_begin(struct some_hello *hello, enum hello_length which,
                                    size_t width) {
    hello->at[which] = hello->len;
    hello->width[which] = width;
    hello->len += width;
}

static inline size_t some_hello_length(const struct some_hello *hello, enum hello_length which) {
    size_t value = 0;
    for (size_t i = 0; i < hello->width[which]; i++)
        value = value << 8 | hello->data[hello->at[which] + i];
    return value;
}

static inline void some_hello_lie(struct some_hello *hello, enum hello_length which, size_t value) {
    size_t len = hello->len;
    hello->len = hello->at[which];
    some_hello_u(hello, value, hello->width[which]);
    hello->len = len;
}

/* What was begun ends here. */
static inline void some_hello_end(struct some_hello *hello, enum hello_length which) {
    some_hello_lie(hello, which, hello->len - hello->at[which] - hello->width[which]);
}

/* `alpn`: the names, NULL at the end; NULL: no such extension. `padding`: bytes before it. */
static inline void some_hello_make(struct some_hello *hello, const char *const *alpn,
                                   size_t padding) {
    hello->len = 0;
    some_hello_put(hello, "\x16\x03\x01", 3);
    some_hello_begin(hello, HELLO_RECORD, 2);
    some_hello_u(hello, 1, 1);
    some_hello_begin(hello, HELLO_MESSAGE, 3);
    some_hello_put(hello, "\x03\x03", 2);
    for (int i = 0; i < 32; i++)
        some_hello_u(hello, 0xa5, 1);
    some_hello_begin(hello, HELLO_SESSION, 1);
    some_hello_put(hello, "session id", 10);
    some_hello_end(hello, HELLO_SESSION);
    some_hello_begin(hello, HELLO_SUITES, 2);
    some_hello_put(hello, "\x13\x02\x13\x01", 4);
    some_hello_end(hello, HELLO_SUITES);
    some_hello_begin(hello, HELLO_COMPRESSIONS, 1);
    some_hello_u(hello, 0, 2);
    some_hello_end(hello, HELLO_COMPRESSIONS);
    some_hello_begin(hello, HELLO_EXTENSIONS, 2);
    some_hello_u(hello, 21, 2);
    some_hello_begin(hello, HELLO_OTHER_EXTENSION, 2);
    for (size_t i = 0; i < padding; i++)
        some_hello_u(hello, 0, 1);
    some_hello_end(hello, HELLO_OTHER_EXTENSION);
    if (alpn != NULL) {
        some_hello_u(hello, 16, 2);
        some_hello_begin(hello, HELLO_ALPN_EXTENSION, 2);
        some_hello_begin(hello, HELLO_ALPN_LIST, 2);
        for (; *alpn != NULL; alpn++) {
            const struct bytes name = bytes_of_text(*alpn);
            some_hello_begin(hello, HELLO_ALPN_NAME, 1);
            some_hello_put(hello, name.data, name.len);
            some_hello_end(hello, HELLO_ALPN_NAME);
        }
        some_hello_end(hello, HELLO_ALPN_LIST);
        some_hello_end(hello, HELLO_ALPN_EXTENSION);
    }
    some_hello_end(hello, HELLO_EXTENSIONS);
    some_hello_end(hello, HELLO_MESSAGE);
    some_hello_end(hello, HELLO_RECORD);
}

static inline struct bytes some_hello_bytes(const struct some_hello *hello) {
    return bytes_of(hello->data, hello->len);
}

#endif
