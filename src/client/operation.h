/*
 * An operation: one call of the library on its way through the servers that may answer it.
 *
 *   stage      what it waits for                      then
 *   BEGIN      nothing                                CONTROL
 *   CONTROL    the answer of this host's portoland,   LOOKUP; with the answer in hand only for the
 *              or the time to ask it again            address that belongs to it
 *   LOOKUP     the addresses of the host              EPMD
 *   EPMD       one epmd's answer (port by port, and   the next of them; after the last one the last
 *              for each port address by address)      resort
 *   DONE       nothing
 *
 * Stages that a kind does not want are passed over. What a kind is (resolve, names, register,
 * lease, release) stands in a struct operation_kind; this module knows deadlines and descriptors.
 *
 * Time: a server may use up its fair share of what is left of the deadline; one that has begun to
 * answer may use all of it. A portoland that is there but busy (the queue of its socket is full, or
 * it closes before a byte of an answer) is asked again, less and less often, until its share ends.
 */
#ifndef PORTOLAN_CLIENT_OPERATION_H
#define PORTOLAN_CLIENT_OPERATION_H

#include "client/control.h"
#include "client/failure.h"
#include "client/names_reply.h"
#include "client/poller.h"
#include "client/roundtrip.h"
#include "client/session.h"
#include "client/settings.h"
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
    size_t epmd_reply_max, control_reply_max;

    /* The result is an endpoint, with an address that must not be missing. */
    bool is_endpoint;
    bool only_asks; /* and shows this to a portoland, by closing its side: names/epmd_service */

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
    bool is_answered;    /* the result is there, but for the address */
    char subject[FAILURE_SHOWN_SIZE];

    enum operation_stage stage;
    int64_t deadline_ms; /* the next two as clock_monotonic_ms */
    int64_t share_began_ms, share_ends_ms;
    struct poller poller;
    struct host_lookup *lookup;
    struct host_addresses addresses;
    size_t attempt; /* in STAGE_EPMD: port by port, address by address */
    struct roundtrip roundtrip;
    bool is_new;   /* the roundtrip was opened, and not stepped yet */
    bool has_more; /* the step ended with bytes left to read */
    struct epmd_names_scan scan;
    size_t scanned; /* of a line on the control socket */
    uint8_t request[CONTROL_REQUEST_MAX];

    /* of the control socket */
    struct session_request pending; /* where there is a session */
    int64_t retry_at_ms;            /* 0: not busy */
    int64_t backoff_ms;
    int busy_error; /* why it was asked again last */

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

/* Sets it off for an event loop: PORTOLAN_OK, and from here on it is the caller's; or what this
 * host lacks, and it is freed. */
enum portolan_code operation_start(struct portolan_operation *made,
                                   struct portolan_operation **operation,
                                   struct portolan_error *error);

/* Sets it off and blocks until it is done; *error (may be NULL) gets its message. */
enum portolan_code operation_run(struct portolan_operation *made, struct portolan_error *error);

/* Ends it for what this host lacks: "no OF: ..." */
void operation_fail_no_resource(struct portolan_operation *operation, const char *of, int error);

/* The address that an endpoint is to have: the one that is asked, or the first. */
const struct address *operation_address(const struct portolan_operation *operation);

/* Notes what is wrong with epmd's reply: VERDICT_MORE for one that may still come. */
enum verdict operation_bad_reply(struct portolan_operation *operation, enum epmd_reply reply,
                                 bool ended);

/* The answer on the control socket: MORE, DONE with *answer, or NEXT. */
enum verdict operation_control_answer(struct portolan_operation *operation,
                                      enum control_command command, struct bytes reply, bool ended,
                                      struct control_answer *answer);

#endif
