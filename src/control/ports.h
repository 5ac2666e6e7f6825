/* The control socket's replies about ports and leases (docs/control.md, `port` and `leases`). */
#ifndef PORTOLAN_CONTROL_PORTS_H
#define PORTOLAN_CONTROL_PORTS_H

#include "control/control.h"

/* The commands `port` and `leases`. */
struct control_stream *control_port(struct control_context *control, struct control_conn *conn,
                                    const json_t *request);
struct control_stream *control_leases(struct control_context *control, struct control_conn *conn,
                                      const json_t *request);

/* A failure that lists who has which port. */
struct control_stream *control_failure_with_leases(const struct control_context *control,
                                                   const char *code, const char *message);

#endif
