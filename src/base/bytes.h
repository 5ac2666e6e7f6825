/*
 * Runs of bytes, and how to read and write them without leaving their bounds.
 *
 * A struct bytes borrows: whoever made it says how long the memory lives. A reader or a writer that
 * is asked for more than is there sets `failed` and stays failed, so that a caller may check once,
 * at the end. All integers are big-endian, as everywhere in the Erlang protocols.
 */
#ifndef PORTOLAN_BASE_BYTES_H
#define PORTOLAN_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *data;
    size_t len;
};

struct bytes bytes_of(const void *data, size_t len);

/* The bytes of a C string, without its NUL. */
struct bytes bytes_of_text(const char *text);

bool bytes_equal(struct bytes a, struct bytes b);
bool bytes_contain(struct bytes haystack, uint8_t needle);

struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

struct reader reader_of(struct bytes bytes);

/* Each takes the next bytes; 0 or empty after a failure. */
uint8_t read_u8(struct reader *reader);
uint16_t read_u16(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
struct bytes read_bytes(struct reader *reader, size_t len);

/* All that is left. */
struct bytes read_rest(struct reader *reader);

struct writer {
    uint8_t *start;
    size_t len; /* written so far */
    size_t capacity;
    bool failed;
};

struct writer writer_of(void *buffer, size_t capacity);

/* Each appends, or writes nothing and fails when it does not fit whole. */
void write_u8(struct writer *writer, uint8_t value);
void write_u16(struct writer *writer, uint16_t value);
void write_u32(struct writer *writer, uint32_t value);
void write_u64(struct writer *writer, uint64_t value);
void write_bytes(struct writer *writer, struct bytes bytes);
void write_text(struct writer *writer, const char *text);

/* A number in decimal digits. */
void write_decimal(struct writer *writer, uint64_t value);

/* What was written: borrows the buffer. */
struct bytes writer_bytes(const struct writer *writer);

#endif
