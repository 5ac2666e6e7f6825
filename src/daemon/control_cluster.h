/* The commands of the control socket that are about the cluster (docs/control.md). */
#ifndef PORTOLAN_DAEMON_CONTROL_CLUSTER_H
#define PORTOLAN_DAEMON_CONTROL_CLUSTER_H

#include "daemon/control.h"

json_t *control_cluster_status(struct control_host *host, struct control_peer *peer,
                               const json_t *request);
json_t *control_cluster_join(struct control_host *host, struct control_peer *peer,
                             const json_t *request);
json_t *control_cluster_leave(struct control_host *host, struct control_peer *peer,
                              const json_t *request);
json_t *control_cluster_force_leave(struct control_host *host, struct control_peer *peer,
                                    const json_t *request);

/* All names of the cluster: `names` with "cluster":true. */
json_t *control_cluster_names(struct control_host *host);

/* A node, Name@Host, in the directory: NULL when no member that runs has it. */
const struct directory_entry *control_cluster_find(const struct control_host *host,
                                                   struct bytes node);

#endif
