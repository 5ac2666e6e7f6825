/*
 * The commands `lease` and `release` of the control socket (docs/control.md): who may have which
 * lease of the port pool, for whom.
 */
#ifndef PORTOLAN_CONTROL_LEASES_H
#define PORTOLAN_CONTROL_LEASES_H

#include "control/control.h"

struct control_stream *control_lease(struct control_context *control, struct control_conn *conn,
                                     const json_t *request);
json_t *control_release(struct control_context *control, struct control_conn *conn,
                        const json_t *request);

#endif
