#include "cluster/store.h"

#include "base/checksum.h"
#include "base/text.h"
#include "cluster/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEADER "portolan cluster 1\n"
#define WORD_MAX 24
#define SUM_LINE_LEN 21 /* "sum ", 16 digits, end of line */

static const char *const words[] = {
    [CLUSTER_ALIVE] = "alive",     [CLUSTER_SUSPECT] = "alive", [CLUSTER_DOWN] = "down",
    [CLUSTER_CLEANED] = "cleaned", [CLUSTER_LEFT] = "left",     [CLUSTER_FORCED_OUT] = "forced-out",
};
#define WORDS (sizeof words / sizeof words[0])

/* --- writing --- */

static void write_number(struct writer *writer, uint64_t number, char end) {
    write_decimal(writer, number);
    write_u8(writer, (uint8_t)end);
}

static void write_word(struct writer *writer, struct bytes word) {
    write_bytes(writer, word);
    write_u8(writer, ' ');
}

void cluster_store_write_head(struct writer *writer, const struct store_head *head) {
    write_text(writer, HEADER "self ");
    write_word(writer, head->name);
    write_number(writer, head->joined, ' ');
    write_number(writer, head->reserve, '\n');
    write_text(writer, "id ");
    write_number(writer, head->id.created_ms, ' ');
    write_number(writer, head->id.random, '\n');
}

void cluster_store_write(struct writer *writer, const struct store_record *record) {
    write_word(writer, bytes_of_text(words[record->state]));
    write_word(writer, record->name);
    write_number(writer, record->joined, ' ');
    write_number(writer, record->generation, ' ');
    write_number(writer, record->incarnation, ' ');
    write_number(writer, record->port, ' ');
    write_number(writer, record->since_ms, '\n');
}

void cluster_store_write_sum(struct writer *writer) {
    char line[32];
    snprintf(line, sizeof line, "sum %016" PRIx64 "\n", checksum_of(writer_bytes(writer)));
    write_text(writer, line);
}

/* --- reading --- */

/* The next word of a line; `end` is what has to follow it. */
static struct bytes take_word(struct reader *reader, char end) {
    const uint8_t *stop = reader->left == 0 ? NULL : memchr(reader->at, end, reader->left);
    if (stop == NULL || reader->failed) {
        reader->failed = true;
        return bytes_of(NULL, 0);
    }
    struct bytes word = read_bytes(reader, (size_t)(stop - reader->at));
    read_u8(reader);
    return word;
}

static uint64_t take_number(struct reader *reader, uint64_t max, char end) {
    struct bytes word = take_word(reader, end);
    char text[WORD_MAX];
    uint64_t number = 0;
    if (word.len >= sizeof text) {
        reader->failed = true;
        return 0;
    }
    if (word.len > 0)
        memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    if (!text_parse_number(text, 0, max, &number))
        reader->failed = true;
    return number;
}

static struct bytes take_name(struct reader *reader) {
    struct bytes name = take_word(reader, ' ');
    if (!member_name_is_valid(name))
        reader->failed = true;
    return name;
}

static void expect(struct reader *reader, const char *text) {
    if (!bytes_equal(read_bytes(reader, strlen(text)), bytes_of_text(text)))
        reader->failed = true;
}

/* Cuts the last line off, which has to be the sum of all before it. */
static bool check_sum(struct bytes text, struct bytes *body) {
    if (text.len < SUM_LINE_LEN)
        return false;
    *body = bytes_of(text.data, text.len - SUM_LINE_LEN);
    char line[32];
    snprintf(line, sizeof line, "sum %016" PRIx64 "\n", checksum_of(*body));
    return bytes_equal(bytes_of(text.data + body->len, SUM_LINE_LEN), bytes_of_text(line));
}

bool cluster_store_read_head(struct bytes text, struct store_head *head, struct reader *rest) {
    struct bytes body;
    if (!check_sum(text, &body))
        return false;
    *rest = reader_of(body);
    expect(rest, HEADER "self ");
    head->name = take_name(rest);
    head->joined = take_number(rest, WIRE_NUMBER_MAX, ' ');
    head->reserve = take_number(rest, WIRE_NUMBER_MAX, '\n');
    expect(rest, "id ");
    head->id.created_ms = take_number(rest, UINT64_MAX, ' ');
    head->id.random = take_number(rest, UINT64_MAX, '\n');
    return !rest->failed;
}

static bool state_of(struct bytes word, enum cluster_state *state) {
    for (size_t i = 0; i < WORDS; i++) {
        if (bytes_equal(word, bytes_of_text(words[i]))) {
            *state = (enum cluster_state)i;
            return true;
        }
    }
    return false;
}

bool cluster_store_next(struct reader *rest, struct store_record *record) {
    if (rest->failed || rest->left == 0)
        return false;
    if (!state_of(take_word(rest, ' '), &record->state))
        rest->failed = true;
    record->name = take_name(rest);
    record->joined = take_number(rest, WIRE_NUMBER_MAX, ' ');
    record->generation = take_number(rest, WIRE_NUMBER_MAX, ' ');
    record->incarnation = take_number(rest, WIRE_NUMBER_MAX, ' ');
    record->port = (uint16_t)take_number(rest, UINT16_MAX, ' ');
    record->since_ms = take_number(rest, INT64_MAX, '\n');
    return !rest->failed;
}
