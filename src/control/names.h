/* The replies of the control socket about names (docs/control.md, `names`). */
#ifndef PORTOLAN_CONTROL_NAMES_H
#define PORTOLAN_CONTROL_NAMES_H

#include "control/control.h"

/* The command `names`: of this daemon, or with "cluster":true of all members. */
struct control_stream *control_names(struct control_context *control, struct control_conn *conn,
                                     const json_t *request);

/* The names of all members; the context of the directory's owners is their member. */
struct control_stream *control_names_of_members(const struct directory *directory);

#endif
