/*
 * Fuzzes what libportolan makes of replies: epmd's and those on the control socket.
 *
 * The first byte says which reply the rest is. What the library hands on must keep its promises.
 */
#include "client/control.h"
#include "client/names_reply.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds) {
    if (!holds)
        abort();
}

static void try_port2(struct bytes reply) {
    struct bytes asked = bytes_of("rabbit", 6);
    struct epmd_node node;
    if (epmd_reply_port2(reply, asked, &node) != EPMD_REPLY_COMPLETE)
        return;
    demand(bytes_equal(node.name, asked) && node.extra.len <= EPMD_EXTRA_MAX);
    demand(node.extra.len == 0 || node.extra.data + node.extra.len <= reply.data + reply.len);
}

static void try_alive2(struct bytes reply) {
    uint32_t creation;
    if (epmd_reply_alive2(reply, &creation) == EPMD_REPLY_COMPLETE)
        demand(creation != 0);
}

/* In two pieces and whole: the scan must not depend on where it was cut. */
static void try_names(struct bytes reply) {
    struct epmd_names_scan pieces = {0}, whole = {0};
    struct portolan_listing *listing;
    epmd_reply_names_scan(&pieces, bytes_of(reply.data, reply.len / 2));
    epmd_reply_names_scan(&pieces, reply);
    epmd_reply_names_scan(&whole, reply);
    demand(pieces.lines == whole.lines);
    if (epmd_reply_names(reply, &listing) != EPMD_REPLY_COMPLETE)
        return;
    demand(listing->epmd_port != 0 && listing->count + listing->malformed == whole.lines);
    for (size_t i = 0; i < listing->count; i++)
        demand(alive_name_check(bytes_of_text(listing->names[i].name)) == ALIVE_NAME_OK);
    portolan_listing_free(listing);
}

static void try_listing(struct portolan_listing *listing) {
    for (size_t i = 0; i < portolan_listing_count(listing); i++) {
        const struct portolan_name *name = portolan_listing_name(listing, i);
        demand(name->name[0] != '\0' && name->host[0] != '\0' && name->port != 0);
        demand(strlen(name->member) < PORTOLAN_NODE_SIZE);
    }
    portolan_listing_free(listing);
}

static void try_control(enum control_command command, struct bytes reply) {
    struct control_answer answer;
    struct failure failure = {.code = PORTOLAN_OK};
    char message[PORTOLAN_MESSAGE_SIZE];
    size_t scanned = 0, len = control_line_len(reply, &scanned);
    if (len == 0)
        return;
    enum portolan_code code =
        control_parse_answer(bytes_of(reply.data, len), command, &answer, &failure);
    demand((code == PORTOLAN_OK) == (failure.notes[0] == '\0'));
    demand(code != PORTOLAN_OK || command == CONTROL_RELEASE || command == CONTROL_NAMES ||
           answer.port != 0);
    demand((answer.listing != NULL) == (code == PORTOLAN_OK && command == CONTROL_NAMES));
    if (answer.listing != NULL)
        try_listing(answer.listing);
    failure_message(&failure, code, "resolve", "rabbit", message);
    demand(memchr(message, 0, sizeof message) != NULL && strchr(message, '\n') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct bytes reply = bytes_of(data + 1, size - 1);
    switch (data[0] % 7) {
    case 0:
        try_port2(reply);
        break;
    case 1:
        try_alive2(reply);
        break;
    case 2:
        try_names(reply);
        break;
    default:
        try_control((enum control_command)(data[0] % 7 - 3), reply);
        break;
    }
    return 0;
}
