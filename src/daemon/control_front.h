/* What the control socket tells of the front ports (docs/control.md). */
#ifndef PORTOLAN_DAEMON_CONTROL_FRONT_H
#define PORTOLAN_DAEMON_CONTROL_FRONT_H

#include "daemon/control.h"

/* The command `streams`. */
json_t *control_streams(struct control_host *host, struct control_peer *peer,
                        const json_t *request);

/* The member `front` of a status; null where there is no front port. */
json_t *control_front_status(const struct control_host *host);

#endif
