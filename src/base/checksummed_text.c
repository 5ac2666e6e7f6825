#include "base/checksummed_text.h"

#include "base/checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUM_LINE_LEN (sizeof "sum 0123456789abcdef\n" - 1)

static void format_sum(uint64_t sum, char line[SUM_LINE_LEN + 1]) {
    snprintf(line, SUM_LINE_LEN + 1, "sum %016" PRIx64 "\n", sum);
}

size_t checksummed_text_begin(struct writer *writer, const char *header) {
    size_t begin = writer->len;
    write_text(writer, header);
    write_u8(writer, '\n');
    return begin;
}

void checksummed_text_end_sum(struct writer *writer, uint64_t sum) {
    char line[SUM_LINE_LEN + 1];
    format_sum(sum, line);
    write_text(writer, line);
}

void checksummed_text_end(struct writer *writer, size_t begin) {
    checksummed_text_end_sum(writer,
                             checksum_of(bytes_of(writer->start + begin, writer->len - begin)));
}

bool checksummed_text_open(struct bytes text, const char *header, struct reader *lines) {
    char expected[SUM_LINE_LEN + 1], first[CHECKSUMMED_TEXT_OVERHEAD];
    if (text.len < SUM_LINE_LEN)
        return false;
    const struct bytes body = bytes_of(text.data, text.len - SUM_LINE_LEN);
    format_sum(checksum_of(body), expected);
    if (memcmp(expected, text.data + body.len, SUM_LINE_LEN) != 0)
        return false;
    *lines = reader_of(body);
    return checksummed_text_line(lines, first, sizeof first) && strcmp(first, header) == 0;
}

bool checksummed_text_line(struct reader *lines, char *line, size_t size) {
    const uint8_t *end = lines->left == 0 ? NULL : memchr(lines->at, '\n', lines->left);
    if (end == NULL || (size_t)(end - lines->at) >= size)
        return false;
    struct bytes taken = read_bytes(lines, (size_t)(end - lines->at));
    if (taken.len > 0)
        memcpy(line, taken.data, taken.len);
    line[taken.len] = '\0';
    read_u8(lines);
    return true;
}
