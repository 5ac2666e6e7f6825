#include "client/control.h"

#include "base/control_protocol.h"
#include "base/text.h"
#include "client/json_view.h"
#include "client/names_reply.h"

#include <stdio.h>
#include <string.h>

#define MESSAGE_SHOWN_SIZE 320
#define MESSAGE_SIZE 1024
#define NAME_SIZE (ALIVE_NAME_MAX_BYTES + 1)

static const char *const commands[] = {[CONTROL_RESOLVE] = "resolve",
                                       [CONTROL_LEASE] = "lease",
                                       [CONTROL_RELEASE] = "release",
                                       [CONTROL_NAMES] = "names"};

static void write_node(struct writer *writer, const struct node *node) {
    write_text(writer, ",\"node\":\"");
    text_write_escaped(writer, bytes_of_text(node->name));
    if (node->host[0] != '\0') {
        write_text(writer, "@");
        text_write_escaped(writer, bytes_of_text(node->host));
    }
    write_text(writer, "\"");
}

void control_write_request(struct writer *writer, enum control_command command,
                           const struct node *node) {
    write_text(writer, "{\"v\":" CONTROL_PROTOCOL_VERSION_TEXT ","
                       "\"command\":\"");
    write_text(writer, commands[command]);
    write_text(writer, "\"");
    if (command == CONTROL_NAMES)
        write_text(writer, ",\"cluster\":true");
    else
        write_node(writer, node);
    write_text(writer, "}\n");
}

size_t control_line_len(struct bytes reply, size_t *scanned) {
    const uint8_t *end = NULL;
    if (reply.len > *scanned)
        end = memchr(reply.data + *scanned, '\n', reply.len - *scanned);
    *scanned = reply.len;
    return end == NULL ? 0 : (size_t)(end - reply.data) + 1;
}

/* A port that is there and is one. */
static bool get_port(struct bytes object, const char *key, uint16_t *port) {
    int64_t number;
    if (!json_view_integer(json_view_member(object, key), 1, UINT16_MAX, &number))
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool get_endpoint(struct bytes object, struct control_answer *answer) {
    if (!get_port(object, "port", &answer->port))
        return false;
    get_port(object, "own_port", &answer->own_port);
    get_port(object, "front_port", &answer->front_port);
    json_view_text(json_view_member(object, "member"), answer->member, sizeof answer->member);
    return true;
}

static bool get_lease(struct bytes object, struct control_answer *answer) {
    struct bytes held = json_view_member(object, "held");
    if (!get_port(object, "port", &answer->port) ||
        !get_port(object, "epmd_port", &answer->epmd_port))
        return false;
    answer->held = json_view_is_true(held);
    if (answer->held)
        return true;
    return json_view_is_false(held) && json_view_integer(json_view_member(object, "expires_in_ms"),
                                                         0, INT64_MAX, &answer->expires_in_ms);
}

static enum portolan_code get_result(struct bytes root, enum control_command command,
                                     struct control_answer *answer) {
    switch (command) {
    case CONTROL_RESOLVE:
        return get_endpoint(root, answer) ? PORTOLAN_OK : PORTOLAN_ERROR_REPLY;
    case CONTROL_LEASE:
        return get_lease(root, answer) ? PORTOLAN_OK : PORTOLAN_ERROR_REPLY;
    case CONTROL_RELEASE:
        return PORTOLAN_OK;
    case CONTROL_NAMES:
        return cluster_reply_names(root, &answer->listing);
    }
    return PORTOLAN_ERROR_REPLY;
}

static enum portolan_code code_of(const char *word) {
    static const struct {
        const char *word;
        enum portolan_code code;
    } known[] = {
        {"not_found", PORTOLAN_ERROR_NOT_FOUND},   {"denied", PORTOLAN_ERROR_DENIED},
        {"pool_full", PORTOLAN_ERROR_PORTS_TAKEN}, {"port_taken", PORTOLAN_ERROR_PORTS_TAKEN},
        {"no_port", PORTOLAN_ERROR_NO_PORT},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(word, known[i].word) == 0)
            return known[i].code;
    }
    return PORTOLAN_ERROR_DAEMON;
}

/* "rabbit has 6369, emqx has 6370, and 8 more": what fits in `size` bytes. */
static void list_holders(struct bytes holders, char *out, size_t size) {
    struct bytes elements = json_view_elements(holders), holder;
    size_t at = 0, more = 0;
    out[0] = '\0';
    while (json_view_next(&elements, &holder)) {
        char name[NAME_SIZE], shown[FAILURE_SHOWN_SIZE];
        uint16_t port;
        if (!json_view_text(json_view_member(holder, "name"), name, sizeof name) ||
            !get_port(holder, "port", &port))
            continue;
        if (at + 2 * FAILURE_SHOWN_SIZE >= size) {
            more++;
            continue;
        }
        bool front = json_view_is_true(json_view_member(holder, "front"));
        at += (size_t)snprintf(out + at, size - at, "%s%s has %u%s", at == 0 ? " (" : ", ",
                               failure_show(bytes_of_text(name), shown, sizeof shown), port,
                               front ? " as its front port" : "");
    }
    if (more > 0)
        at += (size_t)snprintf(out + at, size - at, ", and %zu more", more);
    if (at > 0)
        snprintf(out + at, size - at, ")");
}

static enum portolan_code refused(struct bytes root, struct failure *failure) {
    struct bytes error = json_view_member(root, "error");
    char word[64], message[MESSAGE_SIZE];
    char shown[MESSAGE_SHOWN_SIZE], holders[3 * FAILURE_SHOWN_SIZE];
    if (!json_view_text(json_view_member(error, "code"), word, sizeof word))
        return PORTOLAN_ERROR_REPLY;
    const char *message_text =
        json_view_text(json_view_member(error, "message"), message, sizeof message) ? message
                                                                                    : word;
    enum portolan_code code = code_of(word);
    list_holders(json_view_member(error, "holders"), holders, sizeof holders);
    failure_note(failure, code, "portoland reports: %s%s",
                 failure_show(bytes_of_text(message_text), shown, sizeof shown), holders);
    failure->is_advised = true; /* portoland has its own way to say it */
    return code;
}

static enum portolan_code read_head(struct bytes root, struct failure *failure) {
    struct bytes ok = json_view_member(root, "ok");
    int64_t version;
    if (!json_view_integer(json_view_member(root, "v"), CONTROL_PROTOCOL_VERSION,
                           CONTROL_PROTOCOL_VERSION, &version))
        return PORTOLAN_ERROR_REPLY;
    if (json_view_is_false(ok))
        return refused(root, failure);
    return json_view_is_true(ok) ? PORTOLAN_OK : PORTOLAN_ERROR_REPLY;
}

static enum portolan_code note_bad(enum portolan_code code, struct failure *failure) {
    if (code == PORTOLAN_ERROR_MEMORY)
        failure_note(failure, code, "out of memory for portoland's reply");
    if (code == PORTOLAN_ERROR_TOO_LARGE)
        failure_note(failure, code, "portoland lists more than %d names",
                     PORTOLAN_CLUSTER_NAMES_MAX);
    if (code == PORTOLAN_ERROR_REPLY)
        failure_note(failure, code, "invalid reply from portoland");
    return code;
}

enum portolan_code control_parse_ok(struct bytes line, struct failure *failure) {
    return note_bad(json_view_check(line) ? read_head(line, failure) : PORTOLAN_ERROR_REPLY,
                    failure);
}

enum portolan_code control_parse_answer(struct bytes line, enum control_command command,
                                        struct control_answer *answer, struct failure *failure) {
    *answer = (struct control_answer){.expires_in_ms = -1};
    enum portolan_code code = control_parse_ok(line, failure);
    if (code != PORTOLAN_OK)
        return code;
    return note_bad(get_result(line, command, answer), failure);
}
