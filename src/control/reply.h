/* The forms of replies on the control socket (docs/control.md), for those who answer commands. */
#ifndef PORTOLAN_CONTROL_REPLY_H
#define PORTOLAN_CONTROL_REPLY_H

#include "base/bytes.h"
#include "base/control_protocol.h"
#include "base/user.h"

#include <jansson.h>

/* NULL when out of memory, all of them. `result` is taken over: its members stand behind v and ok;
 * without one, out of memory, the reply is a failure. */
json_t *control_ok(void);
json_t *control_ok_with(json_t *result);
json_t *control_failure(const char *code, const char *message);

/* The port, or null for 0: there is none. */
json_t *control_port_or_null(uint16_t port);

/* The user's number, or null for USER_NOBODY: it is not known. */
json_t *control_user_or_null(uint32_t user);

/* A member of a request that is a text; empty where it is missing. Borrows the request. */
struct bytes control_text(const json_t *request, const char *member);

/* The node that a request is about. */
struct control_node {
    struct bytes alive;
    struct bytes host; /* empty: none was said */
};

/* Splits the member "node", Name@Host or Name. False when it has no valid name. Borrows
 * the request. */
bool control_node_member(const json_t *request, struct control_node *node);

/* What to reply then. */
json_t *control_bad_node(void);

#endif
