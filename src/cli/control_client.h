/*
 * The caller's end of the control socket: one JSON object a line in each direction
 * (docs/control.md).
 *
 * Every function keeps a deadline, the client's timeout from the call on, or from when something
 * came last. Errors come as a failure:
 * a code of docs/control.md or one of those below, and a text for people.
 */
#ifndef PORTOLAN_CLI_CONTROL_CLIENT_H
#define PORTOLAN_CLI_CONTROL_CLIENT_H

#include "base/control_protocol.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Nothing that a daemon sends is longer: a million names are 150 MiB. */
#define CONTROL_REPLY_MAX ((size_t)1 << 30)

/* Codes beside those of the daemon. */
#define CONTROL_NO_DAEMON "no_daemon" /* nothing listens */
#define CONTROL_TIMED_OUT "timed_out"
#define CONTROL_CLOSED "closed"       /* the daemon closed the connection */
#define CONTROL_BAD_REPLY "bad_reply" /* what came is not a reply */

struct control_failure {
    char code[32];
    char message[1024];
    json_t *reply; /* the daemon's, with all its members; NULL when the daemon said nothing */
};

void control_failure_set(struct control_failure *failure, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void control_failure_free(struct control_failure *failure);

struct control_client;

/* NULL on failure. */
struct control_client *control_client_open(const char *path, int64_t timeout_ms,
                                           struct control_failure *failure);
void control_client_close(struct control_client *client);

/* Sends a request and waits for its reply, which is the caller's. NULL when there is none, or when
 * it says that it failed. */
json_t *control_client_ask(struct control_client *client, const json_t *request,
                           struct control_failure *failure);

/*
 * Like it, for a request that takes long: what comes before its reply is told to `progress`, and
 * each such line begins the timeout anew.
 */
json_t *control_client_ask_long(struct control_client *client, const json_t *request,
                                void (*progress)(void *context, const json_t *line), void *context,
                                struct control_failure *failure);

/*
 * Waits for the next line, however long, which is the caller's. NULL on failure, and, with an empty
 * code in *failure, once `stop_fd` can be read (-1: there is none).
 */
json_t *control_client_next(struct control_client *client, int stop_fd,
                            struct control_failure *failure);

/* Waits for the daemon to close the connection. False when the time is over before. */
bool control_client_wait_closed(struct control_client *client);

#endif
