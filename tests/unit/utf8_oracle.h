/*
 * A second opinion on UTF-8, made another way than base/text: it decodes whatever the leading bits
 * promise, encodes the code point again in its shortest form, and compares.
 */
#ifndef PORTOLAN_TESTS_UNIT_UTF8_ORACLE_H
#define PORTOLAN_TESTS_UNIT_UTF8_ORACLE_H

#include "base/bytes.h"

#include <string.h>

/* Writes up to 4 bytes and returns how many. */
static inline size_t utf8_encode(uint32_t code_point, uint8_t *out) {
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t len = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    out[0] = (uint8_t)(marks[len] | code_point);
    return len;
}

static inline size_t utf8_leading_ones(uint8_t byte) {
    size_t ones = 0;
    for (; ones < 8 && (byte & (0x80 >> ones)) != 0; ones++)
        ;
    return ones;
}

/* The length of the character at the front, 0 when there is none. */
static inline size_t utf8_first(struct bytes bytes) {
    size_t ones = utf8_leading_ones(bytes.data[0]);
    size_t len = ones == 0 ? 1 : ones;
    if (ones == 1 || ones > 4 || len > bytes.len)
        return 0;
    uint32_t code_point = bytes.data[0] & (0xffu >> (ones + 1));
    for (size_t i = 1; i < len; i++)
        code_point = code_point << 6 | (bytes.data[i] & 0x3f);
    if (code_point > 0x10ffff || (code_point >= 0xd800 && code_point <= 0xdfff))
        return 0;
    uint8_t again[4];
    return utf8_encode(code_point, again) == len && memcmp(again, bytes.data, len) == 0 ? len : 0;
}

static inline bool utf8_oracle(struct bytes bytes, size_t *characters) {
    for (*characters = 0; bytes.len > 0; ++*characters) {
        size_t len = utf8_first(bytes);
        if (len == 0)
            return false;
        bytes = bytes_of(bytes.data + len, bytes.len - len);
    }
    return true;
}

#endif
