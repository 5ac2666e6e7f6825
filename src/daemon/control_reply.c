#include "daemon/control_reply.h"

json_t *control_ok(void) {
    return json_pack("{s:i, s:b}", "v", CONTROL_PROTOCOL_VERSION, "ok", 1);
}

json_t *control_ok_with(json_t *result) {
    json_t *reply = control_ok();
    if (reply != NULL && result != NULL)
        json_object_update(reply, result);
    json_decref(result);
    return reply;
}

json_t *control_failure(const char *code, const char *message) {
    return json_pack("{s:i, s:b, s:{s:s, s:s}}", "v", CONTROL_PROTOCOL_VERSION, "ok", 0, "error",
                     "code", code, "message", message);
}

json_t *control_port_or_null(uint16_t port) {
    return port == 0 ? json_null() : json_integer(port);
}

struct bytes control_text(const json_t *request, const char *member) {
    const json_t *value = json_object_get(request, member);
    if (!json_is_string(value))
        return bytes_of(NULL, 0);
    return bytes_of(json_string_value(value), json_string_length(value));
}
