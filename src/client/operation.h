/*
 * An operation: one call of the library on its way through the servers that may answer it.
 *
 *   stage      what it waits for                      then
 *   BEGIN      nothing                                CONTROL
 *   CONTROL    the answer on the control socket       LOOKUP, unless that was the answer
 *   LOOKUP     the addresses of the host              EPMD
 *   EPMD       one epmd's answer (port by port, and   the next of them; after the last one the last
 *              for each port address by address)      resort
 *   DONE       nothing
 *
 * Stages that a kind does not want are passed over. What a kind is (resolve, names, register,
 * lease, release) stands in a struct operation_kind; this module knows deadlines and descriptors.
 *
 * Time: a server may use up its fair share of what is left of the deadline; one that has begun to
 * answer may use all of it.
 */
#ifndef PORTOLAN_CLIENT_OPERATION_H
#define PORTOLAN_CLIENT_OPERATION_H

#include "client/control.h"
#include "client/exchange.h"
#include "client/failure.h"
#include "client/names_reply.h"
#include "client/settings.h"
#include "client/waiter.h"
#include "net/host_lookup.h"

enum operation_stage { STAGE_BEGIN, STAGE_CONTROL, STAGE_LOOKUP, STAGE_EPMD, STAGE_DONE };

/* What a kind makes of what has come of an answer. */
enum verdict {
    VERDICT_MORE, /* wait for the rest */
    VERDICT_DONE, /* this is the result */
    VERDICT_NEXT, /* no result here, and a note says why: try the next server */
    VERDICT_STOP, /* the same, and no other server is to be asked */
};

struct portolan_operation;

struct operation_kind {
    const char *verb; /* "cannot VERB 'SUBJECT': ..." */
    size_t epmd_reply_max;

    /* For the server that operation->stage says. */
    void (*write_request)(const struct portolan_operation *operation, struct writer *writer);

    /* `ended`: no more will come. */
    enum verdict (*receive)(struct portolan_operation *operation, struct bytes reply, bool ended);

    /* Whether there is a result although no server had one; NULL: there is none. Not asked where
     * the host has no address, or its own daemon may know better. */
    bool (*last_resort)(struct portolan_operation *operation);
};

struct portolan_operation {
    const struct operation_kind *kind;
    struct settings settings;
    struct node node;
    bool asks_control, asks_epmd;
    bool wants_address;  /* of the host, also where no epmd is asked */
    bool control_failed; /* a daemon is there, and did not say what it knows */
    char subject[FAILURE_SHOWN_SIZE];

    enum operation_stage stage;
    int64_t deadline_ms; /* the next two as clock_monotonic_ms */
    int64_t share_began_ms, share_ends_ms;
    struct waiter waiter;
    struct host_lookup *lookup;
    struct host_addresses addresses;
    size_t attempt; /* in STAGE_EPMD: port by port, address by address */
    struct exchange exchange;
    struct epmd_names_scan scan;
    uint8_t request[CONTROL_REQUEST_MAX];

    struct failure failure;
    enum portolan_code code; /* PORTOLAN_PENDING until STAGE_DONE */
    char message[PORTOLAN_MESSAGE_SIZE];

    /* for a registration */
    uint16_t port;
    enum portolan_node_type type;

    /* the result, by kind; the pointers are the operation's until they are taken */
    struct portolan_endpoint endpoint;
    struct portolan_listing *listing;
    struct portolan_registration *registration;
    struct portolan_leased_port lease;
};

/*
 * A new operation with the caller's options; NULL with the reason in *code and *error. `wrong`,
 * when not NULL, says what is impossible about the caller's other arguments, of which `subject` is
 * the one that people know it by (may be NULL).
 */
struct portolan_operation *operation_new(const struct operation_kind *kind,
                                         const struct portolan_options *options,
                                         const char *subject, const char *wrong,
                                         enum portolan_code *code, struct portolan_error *error);

/* Sets it off; returns PORTOLAN_OK, always. From here on it is the caller's. */
enum portolan_code operation_start(struct portolan_operation *made,
                                   struct portolan_operation **operation);

/* Blocks until it is done; *error (may be NULL) gets its message. */
enum portolan_code operation_run(struct portolan_operation *operation,
                                 struct portolan_error *error);

/* "10.0.0.1:4369", or "portoland at PATH": whom the operation is asking, for a note. */
#define OPERATION_SERVER_SIZE (FAILURE_SHOWN_SIZE + 32)
const char *operation_server(const struct portolan_operation *operation, char *out);

/* Notes what is wrong with epmd's reply: VERDICT_MORE for one that may still come. */
enum verdict operation_bad_reply(struct portolan_operation *operation, enum epmd_reply reply,
                                 bool ended);

/* The answer on the control socket: MORE, DONE with *answer, or NEXT. */
enum verdict operation_control_answer(struct portolan_operation *operation,
                                      enum control_command command, struct bytes reply, bool ended,
                                      struct control_answer *answer);

#endif
