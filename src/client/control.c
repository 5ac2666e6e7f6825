#include "client/control.h"

#include "base/text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SHOWN_SIZE 320

static const char *const commands[] = {
    [CONTROL_RESOLVE] = "resolve", [CONTROL_LEASE] = "lease", [CONTROL_RELEASE] = "release"};

void control_write_request(struct writer *writer, enum control_command command,
                           const struct node *node) {
    write_text(writer, "{\"v\":1,\"command\":\"");
    write_text(writer, commands[command]);
    write_text(writer, "\",\"node\":\"");
    text_write_escaped(writer, bytes_of_text(node->name));
    if (node->host[0] != '\0') {
        write_text(writer, "@");
        text_write_escaped(writer, bytes_of_text(node->host));
    }
    write_text(writer, "\"}\n");
}

size_t control_line_len(struct bytes reply) {
    const uint8_t *end = reply.len == 0 ? NULL : memchr(reply.data, '\n', reply.len);
    return end == NULL ? 0 : (size_t)(end - reply.data) + 1;
}

/* A port that is there and is one. */
static bool get_port(const json_t *object, const char *key, uint16_t *port) {
    const json_t *value = json_object_get(object, key);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 1 || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool get_lease(const json_t *object, struct control_answer *answer) {
    const json_t *held = json_object_get(object, "held");
    const json_t *expires = json_object_get(object, "expires_in_ms");
    if (!json_is_boolean(held) || !get_port(object, "epmd_port", &answer->epmd_port))
        return false;
    answer->held = json_is_true(held);
    answer->expires_in_ms = -1;
    if (answer->held)
        return true;
    if (!json_is_integer(expires) || json_integer_value(expires) < 0)
        return false;
    answer->expires_in_ms = json_integer_value(expires);
    return true;
}

static bool get_result(const json_t *root, enum control_command command,
                       struct control_answer *answer) {
    switch (command) {
    case CONTROL_RESOLVE:
        return get_port(root, "port", &answer->port);
    case CONTROL_LEASE:
        return get_port(root, "port", &answer->port) && get_lease(root, answer);
    case CONTROL_RELEASE:
        return true;
    }
    return false;
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
static void list_holders(const json_t *holders, char *out, size_t size) {
    size_t count = json_array_size(holders), at = 0, i;
    out[0] = '\0';
    for (i = 0; i < count && at + 2 * FAILURE_SHOWN_SIZE < size; i++) {
        const json_t *holder = json_array_get(holders, i);
        const char *name = json_string_value(json_object_get(holder, "name"));
        char shown[FAILURE_SHOWN_SIZE];
        uint16_t port;
        if (name == NULL || !get_port(holder, "port", &port))
            continue;
        bool front = json_is_true(json_object_get(holder, "front"));
        at += (size_t)snprintf(out + at, size - at, "%s%s has %u%s", at == 0 ? " (" : ", ",
                               failure_show(bytes_of_text(name), shown, sizeof shown), port,
                               front ? " as its front port" : "");
    }
    if (at > 0 && i < count)
        at += (size_t)snprintf(out + at, size - at, ", and %zu more", count - i);
    if (at > 0)
        snprintf(out + at, size - at, ")");
}

static enum portolan_code refused(const json_t *root, struct failure *failure) {
    const json_t *error = json_object_get(root, "error");
    const char *word = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    char shown[MESSAGE_SHOWN_SIZE], holders[3 * FAILURE_SHOWN_SIZE];
    if (word == NULL)
        return PORTOLAN_ERROR_REPLY;
    enum portolan_code code = code_of(word);
    list_holders(json_object_get(error, "holders"), holders, sizeof holders);
    failure_note(failure, code, "portoland says: %s%s",
                 failure_show(bytes_of_text(message != NULL ? message : word), shown, sizeof shown),
                 holders);
    failure->is_advised = true; /* portoland has its own way to say it */
    return code;
}

static enum portolan_code read_answer(const json_t *root, enum control_command command,
                                      struct control_answer *answer, struct failure *failure) {
    const json_t *version = json_object_get(root, "v"), *ok = json_object_get(root, "ok");
    if (!json_is_integer(version) || json_integer_value(version) != 1 || !json_is_boolean(ok))
        return PORTOLAN_ERROR_REPLY;
    if (json_is_false(ok))
        return refused(root, failure);
    return get_result(root, command, answer) ? PORTOLAN_OK : PORTOLAN_ERROR_REPLY;
}

enum portolan_code control_parse_answer(struct bytes line, enum control_command command,
                                        struct control_answer *answer, struct failure *failure) {
    json_error_t wrong;
    *answer = (struct control_answer){.expires_in_ms = -1};
    json_t *root = json_loadb((const char *)line.data, line.len, 0, &wrong);
    enum portolan_code code;
    if (root == NULL && json_error_code(&wrong) == json_error_out_of_memory)
        code = PORTOLAN_ERROR_MEMORY;
    else
        code = read_answer(root, command, answer, failure);
    json_decref(root);
    if (code == PORTOLAN_ERROR_MEMORY)
        failure_note(failure, code, "out of memory for portoland's answer");
    if (code == PORTOLAN_ERROR_REPLY)
        failure_note(failure, code, "the answer of portoland is not that of its protocol");
    return code;
}
