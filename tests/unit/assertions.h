/* Assertions about bytes, beside those of check. */
#ifndef PORTOLAN_TESTS_UNIT_ASSERTIONS_H
#define PORTOLAN_TESTS_UNIT_ASSERTIONS_H

#include "base/text.h"

#include <check.h>

/* The bytes of a string literal, NULs and all. */
#define LITERAL(text) bytes_of(text, sizeof(text) - 1)

#define assert_bytes(actual, expected)                                                             \
    do {                                                                                           \
        char have_[256], want_[256];                                                               \
        const struct bytes actual_ = (actual), expected_ = (expected);                             \
        ck_assert_msg(bytes_equal(actual_, expected_), "%zu bytes \"%s\", expected %zu \"%s\"",    \
                      actual_.len, show_bytes(actual_, have_, sizeof have_), expected_.len,        \
                      show_bytes(expected_, want_, sizeof want_));                                 \
    } while (0)

/* What fits of the bytes, printable. */
static inline const char *show_bytes(struct bytes bytes, char *out, size_t size) {
    struct writer writer = writer_of(out, size - 1);
    text_write_escaped(&writer, bytes);
    out[writer.len] = '\0';
    return out;
}

#endif
