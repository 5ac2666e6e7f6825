/* What an operation notes of servers that did not answer, and how that is told to people. */
#ifndef PORTOLAN_CLIENT_OPERATION_NOTES_H
#define PORTOLAN_CLIENT_OPERATION_NOTES_H

#include "client/operation.h"

/* What this host lacks no other server can help with: the operation ends. */
bool is_resource_error(int error);
void note_no_resource(struct portolan_operation *operation, const char *of, int error);

/* The server that is being asked could not be reached, or broke off. */
void note_error(struct portolan_operation *operation, int error);

/* The look-up of the host failed. */
void note_no_address(struct portolan_operation *operation);

/* The server's share of the time, or all of it, is over. */
void note_timeout(struct portolan_operation *operation, int64_t now_ms);

/* "10.0.0.1:4369", or "portoland at PATH": the server that is being asked. */
#define OPERATION_SERVER_SIZE (FAILURE_SHOWN_SIZE + 32)
const char *operation_server(const struct portolan_operation *operation, char *out);

/* Of STAGE_EPMD. */
const struct address *attempt_address(const struct portolan_operation *operation);
uint16_t attempt_port(const struct portolan_operation *operation);

#endif
