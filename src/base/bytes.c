#include "base/bytes.h"

#include <string.h>

struct bytes bytes_of(const void *data, size_t len) {
    return (struct bytes){.data = data, .len = len};
}

struct bytes bytes_of_text(const char *text) {
    return bytes_of(text, strlen(text));
}

bool bytes_equal(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool bytes_contain(struct bytes haystack, uint8_t needle) {
    return haystack.len > 0 && memchr(haystack.data, needle, haystack.len) != NULL;
}

struct reader reader_of(struct bytes bytes) {
    return (struct reader){.at = bytes.data, .left = bytes.len};
}

struct bytes read_bytes(struct reader *reader, size_t len) {
    if (reader->failed || len > reader->left) {
        reader->failed = true;
        return bytes_of(NULL, 0);
    }
    struct bytes taken = bytes_of(reader->at, len);
    if (len > 0)
        reader->at += len;
    reader->left -= len;
    return taken;
}

struct bytes read_rest(struct reader *reader) {
    return read_bytes(reader, reader->left);
}

static uint64_t read_number(struct reader *reader, size_t width) {
    struct bytes taken = read_bytes(reader, width);
    uint64_t value = 0;
    for (size_t i = 0; i < taken.len; i++)
        value = value << 8 | taken.data[i];
    return value;
}

uint8_t read_u8(struct reader *reader) {
    return (uint8_t)read_number(reader, 1);
}

uint16_t read_u16(struct reader *reader) {
    return (uint16_t)read_number(reader, 2);
}

uint32_t read_u32(struct reader *reader) {
    return (uint32_t)read_number(reader, 4);
}

uint64_t read_u64(struct reader *reader) {
    return read_number(reader, 8);
}

struct writer writer_of(void *buffer, size_t capacity) {
    return (struct writer){.start = buffer, .capacity = capacity};
}

void write_bytes(struct writer *writer, struct bytes bytes) {
    if (writer->failed || bytes.len > writer->capacity - writer->len) {
        writer->failed = true;
        return;
    }
    if (bytes.len > 0)
        memcpy(writer->start + writer->len, bytes.data, bytes.len);
    writer->len += bytes.len;
}

void write_u8(struct writer *writer, uint8_t value) {
    write_bytes(writer, bytes_of(&value, 1));
}

void write_u16(struct writer *writer, uint16_t value) {
    const uint8_t wire[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    write_bytes(writer, bytes_of(wire, sizeof wire));
}

void write_u32(struct writer *writer, uint32_t value) {
    const uint8_t wire[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                             (uint8_t)value};
    write_bytes(writer, bytes_of(wire, sizeof wire));
}

void write_u64(struct writer *writer, uint64_t value) {
    write_u32(writer, (uint32_t)(value >> 32));
    write_u32(writer, (uint32_t)value);
}

void write_text(struct writer *writer, const char *text) {
    write_bytes(writer, bytes_of_text(text));
}

void write_decimal(struct writer *writer, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    write_bytes(writer, bytes_of(digits + at, sizeof digits - at));
}

struct bytes writer_bytes(const struct writer *writer) {
    return bytes_of(writer->start, writer->len);
}
