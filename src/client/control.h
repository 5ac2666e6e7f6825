/*
 * portoland's control socket, as a client: a line of JSON each way (docs/control.md).
 *
 * Pure functions. The daemon is this host's own, and its answers are read as if it were not.
 */
#ifndef PORTOLAN_CLIENT_CONTROL_H
#define PORTOLAN_CLIENT_CONTROL_H

#include "client/failure.h"
#include "client/settings.h"

#define CONTROL_LINE_MAX 65536 /* with the line's end; but for lists of names */

/* The longest request: each byte of a node's name as \u0001. */
#define CONTROL_REQUEST_MAX (64 + 6 * (ALIVE_NAME_MAX_BYTES + 1 + PORTOLAN_HOST_SIZE))

enum control_command { CONTROL_RESOLVE, CONTROL_LEASE, CONTROL_RELEASE, CONTROL_NAMES };

/* `node` is ignored for NAMES, which are those of the cluster. */
void control_write_request(struct writer *writer, enum control_command command,
                           const struct node *node);

/* Looks for the end of the first line in what has come, from *scanned on, which it moves on. The
 * length of the line, its end included; 0 while it is not whole. */
size_t control_line_len(struct bytes reply, size_t *scanned);

struct control_answer {
    uint16_t port;                   /* RESOLVE, LEASE */
    uint16_t own_port, front_port;   /* RESOLVE, 0 where they are not told; as the next */
    char member[PORTOLAN_NODE_SIZE]; /* cut is as not told */
    uint16_t epmd_port;              /* LEASE, as the next two */
    bool held;
    int64_t expires_in_ms;            /* -1 while held */
    struct portolan_listing *listing; /* NAMES; the caller's */
};

/* Reads one line. PORTOLAN_OK and *answer, or the code of the daemon's refusal, or of what is wrong
 * with the answer: then `failure` has a note. */
enum portolan_code control_parse_answer(struct bytes line, enum control_command command,
                                        struct control_answer *answer, struct failure *failure);

/* Whether a line is `{"v":1,"ok":true ...}`; if not, the same as above. */
enum portolan_code control_parse_ok(struct bytes line, struct failure *failure);

#endif
