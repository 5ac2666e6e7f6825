/* The commands of the control socket that are about the cluster (docs/control.md). */
#ifndef PORTOLAN_CONTROL_CLUSTER_H
#define PORTOLAN_CONTROL_CLUSTER_H

#include "control/control.h"

struct control_stream *control_cluster_status(struct control_context *control,
                                              struct control_conn *conn, const json_t *request);
struct control_stream *control_cluster_join(struct control_context *control,
                                            struct control_conn *conn, const json_t *request);
struct control_stream *control_cluster_leave(struct control_context *control,
                                             struct control_conn *conn, const json_t *request);
struct control_stream *control_cluster_force_leave(struct control_context *control,
                                                   struct control_conn *conn,
                                                   const json_t *request);

/* The reply of a daemon that runs alone. */
json_t *control_no_cluster(const struct control_context *control);

/* A node, Name@Host, in the directory: NULL when no member that runs has it. */
const struct directory_entry *control_cluster_find(const struct control_context *control,
                                                   struct bytes node);

#endif
