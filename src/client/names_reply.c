#include "client/names_reply.h"

#include "base/text.h"
#include "client/listing.h"
#include "erlang/node_name.h"

#include <string.h>

/* Reads the daemon's port, which stands before the lines. */
static enum epmd_reply read_head(struct reader *reader, uint16_t *port) {
    uint32_t number = read_u32(reader);
    if (reader->failed)
        return EPMD_REPLY_INCOMPLETE;
    if (number == 0 || number > UINT16_MAX)
        return EPMD_REPLY_MALFORMED;
    *port = (uint16_t)number;
    return EPMD_REPLY_COMPLETE;
}

enum epmd_reply epmd_reply_names_scan(struct epmd_names_scan *scan, struct bytes reply) {
    struct reader reader = reader_of(reply);
    uint16_t port;
    enum epmd_reply head = read_head(&reader, &port);
    if (head != EPMD_REPLY_COMPLETE)
        return head;
    for (size_t i = scan->scanned; i < reply.len; i++) {
        if (i >= 4 && reply.data[i] == '\n')
            scan->lines++;
    }
    scan->scanned = reply.len;
    return scan->lines > PORTOLAN_NAMES_MAX ? EPMD_REPLY_TOO_LARGE : EPMD_REPLY_INCOMPLETE;
}

/* Takes the next line without its end. False: none is left. A line without an end fails. */
static bool next_line(struct reader *reader, struct bytes *line) {
    if (reader->left == 0)
        return false;
    const uint8_t *end = memchr(reader->at, '\n', reader->left);
    if (end == NULL) {
        reader->failed = true;
        return false;
    }
    *line = read_bytes(reader, (size_t)(end - reader->at));
    read_u8(reader);
    return true;
}

/* Where `needle` begins last: a name may hold the words that stand behind names. */
static const uint8_t *find_last(struct bytes line, struct bytes needle) {
    if (line.len < needle.len)
        return NULL;
    for (size_t at = line.len - needle.len + 1; at-- > 0;) {
        if (memcmp(line.data + at, needle.data, needle.len) == 0)
            return line.data + at;
    }
    return NULL;
}

static bool parse_port(const uint8_t *at, size_t len, uint16_t *port) {
    char digits[6];
    uint64_t number;
    if (len >= sizeof digits)
        return false;
    memcpy(digits, at, len);
    digits[len] = '\0';
    if (!text_parse_number(digits, 0, UINT16_MAX, &number))
        return false;
    *port = (uint16_t)number;
    return true;
}

#define LINE_MAX_LEN (sizeof "name  at port 65535" - 1 + ALIVE_NAME_MAX_BYTES)

/* "name NAME at port PORT" */
static bool parse_line(struct bytes line, struct bytes *name, uint16_t *port) {
    const struct bytes before = bytes_of_text("name "), between = bytes_of_text(" at port ");
    if (line.len > LINE_MAX_LEN || line.len < before.len ||
        memcmp(line.data, before.data, before.len) != 0)
        return false;
    struct bytes rest = bytes_of(line.data + before.len, line.len - before.len);
    const uint8_t *end = find_last(rest, between);
    if (end == NULL)
        return false;
    *name = bytes_of(rest.data, (size_t)(end - rest.data));
    size_t taken = name->len + between.len;
    return alive_name_check(*name) == ALIVE_NAME_OK &&
           parse_port(rest.data + taken, rest.len - taken, port);
}

/* How many names there are, and how many bytes they take with their NULs. */
static size_t measure(struct reader lines, size_t *text_len) {
    struct bytes line, name;
    uint16_t port;
    size_t count = 0;
    *text_len = 0;
    while (next_line(&lines, &line)) {
        if (!parse_line(line, &name, &port))
            continue;
        count++;
        *text_len += name.len + 1;
    }
    return count;
}

static void fill(struct reader lines, struct portolan_listing *listing) {
    struct bytes line, name;
    uint16_t port;
    while (next_line(&lines, &line)) {
        if (!parse_line(line, &name, &port)) {
            listing->malformed++;
            continue;
        }
        listing->names[listing->count++] = (struct portolan_name){
            .name = listing_add_text(listing, name), .host = "", .member = "", .port = port};
    }
}

enum epmd_reply epmd_reply_names(struct bytes reply, struct portolan_listing **listing) {
    struct reader lines = reader_of(reply);
    uint16_t port;
    size_t text_len;
    enum epmd_reply head = read_head(&lines, &port);
    if (head != EPMD_REPLY_COMPLETE)
        return head;
    if (lines.left > 0 && reply.data[reply.len - 1] != '\n')
        return EPMD_REPLY_INCOMPLETE;
    size_t count = measure(lines, &text_len);
    if (count > PORTOLAN_NAMES_MAX)
        return EPMD_REPLY_TOO_LARGE;
    struct portolan_listing *made = listing_new(count, text_len);
    if (made == NULL)
        return EPMD_REPLY_NO_MEMORY;
    made->epmd_port = port;
    fill(lines, made);
    *listing = made;
    return EPMD_REPLY_COMPLETE;
}
