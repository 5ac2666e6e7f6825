/* The members of the cluster, in a reply. */
#ifndef PORTOLAN_DAEMON_CONTROL_MEMBERS_H
#define PORTOLAN_DAEMON_CONTROL_MEMBERS_H

#include "daemon/control.h"

/* A reply with `members` between the members of `head` and those of `rest`, both taken over. */
struct control_stream *control_members(const struct control_context *control, json_t *head,
                                       json_t *rest);

#endif
