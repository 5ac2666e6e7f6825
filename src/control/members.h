/* The members of the cluster, in a reply. */
#ifndef PORTOLAN_CONTROL_MEMBERS_H
#define PORTOLAN_CONTROL_MEMBERS_H

#include "control/control.h"

/* A reply with `members` between the members of `head` and those of `rest`, both taken over. */
struct control_stream *control_members(const struct control_context *control, json_t *head,
                                       json_t *rest);

#endif
