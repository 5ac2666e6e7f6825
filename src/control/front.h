/* The replies of the control socket about front ports (docs/control.md). */
#ifndef PORTOLAN_CONTROL_FRONT_H
#define PORTOLAN_CONTROL_FRONT_H

#include "control/control.h"

/* The command `streams`. */
struct control_stream *control_streams(struct control_context *control, struct control_conn *conn,
                                       const json_t *request);

/* A status (taken over) with its member `front` added: null where there is no front port. */
struct control_stream *control_status_with_front(const struct control_context *control,
                                                 json_t *status);

#endif
