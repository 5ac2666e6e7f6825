#include "control/reply.h"

#include "erlang/node_name.h"

#include <string.h>

json_t *control_ok(void) {
    return json_pack("{s:i, s:b}", "v", CONTROL_PROTOCOL_VERSION, "ok", 1);
}

json_t *control_ok_with(json_t *result) {
    json_t *reply = control_ok();
    bool is_whole = reply != NULL && result != NULL && json_object_update(reply, result) == 0;
    json_decref(result);
    if (is_whole)
        return reply;
    json_decref(reply);
    return control_failure("failed", "the daemon is out of memory");
}

json_t *control_failure(const char *code, const char *message) {
    return json_pack("{s:i, s:b, s:{s:s, s:s}}", "v", CONTROL_PROTOCOL_VERSION, "ok", 0, "error",
                     "code", code, "message", message);
}

json_t *control_port_or_null(uint16_t port) {
    return port == 0 ? json_null() : json_integer(port);
}

json_t *control_user_or_null(uint32_t user) {
    return user == USER_NOBODY ? json_null() : json_integer(user);
}

struct bytes control_text(const json_t *request, const char *member) {
    const json_t *value = json_object_get(request, member);
    if (!json_is_string(value))
        return bytes_of(NULL, 0);
    return bytes_of(json_string_value(value), json_string_length(value));
}

bool control_node_member(const json_t *request, struct control_node *node) {
    struct bytes whole = control_text(request, "node");
    const uint8_t *at = whole.len == 0 ? NULL : memchr(whole.data, '@', whole.len);
    node->alive = at == NULL ? whole : bytes_of(whole.data, (size_t)(at - whole.data));
    node->host = at == NULL ? bytes_of(NULL, 0) : bytes_of(at + 1, whole.len - node->alive.len - 1);
    return alive_name_check(node->alive) == ALIVE_NAME_OK;
}

json_t *control_bad_node(void) {
    return control_failure("bad_request",
                           "\"node\" must be the name of a node: Name@Host, or Name");
}
