/*
 * libportolan: where Erlang nodes are, from C.
 *
 *   portolan_resolve       the host and port of a node
 *   portolan_names         the names that the epmd of a host has registered
 *   portolan_cluster_names those of all members of the cluster of this host's portoland
 *   portolan_derive_port   the port that ekka's rule gives a name; asks nobody
 *   portolan_register      registers a name at the epmd of this host, until portolan_unregister
 *   portolan_lease         promises a port to a node of this host, until portolan_release
 *   portolan_watch_start   what happens at this host's portoland, event by event
 *
 * Each but the rule and the watch comes twice: a form that blocks, and one named ..._start that
 * makes an operation for an event loop. What a function named ..._take_... hands over becomes the
 * caller's; all other results are copied.
 *
 * The wire formats are those of "Distribution Protocol" in the ERTS manual (epmd), and of
 * docs/control.md (the control socket of portoland). Nothing is asked of libevent or OpenSSL.
 *
 * Rules that hold for every function here:
 *
 *   Deadlines   are milliseconds from the call on, for all that the call does: looking up the host,
 *               connecting on each address and port, and the last byte of the answer. A signal does
 *               not end a call.
 *   Threads     may call everything at the same time. There is no global state. An object that a
 *               function made is for one thread at a time.
 *   Descriptors are close-on-exec and non-blocking. SIGPIPE is never raised, and no signal is
 *               handled by a thread of this library (a host name is looked up in a thread of its
 *               own, which may outlive the deadline, and ends by itself; localhost and numeric
 *               addresses need none).
 *   fork        is fine; what was made before it belongs to the parent. A child may free its copy,
 *               which closes the child's descriptors and leaves the parent's as it is, and do
 *               nothing else with it. (Where a thread of the parent is looking a host up just then,
 *               the sockets of the system's resolver are the child's too, until exec.)
 *   Text        is UTF-8 with a NUL at its end. Names that come from elsewhere may hold control
 *               characters: escape them before a terminal sees them. Messages are escaped already.
 *   NULL        for `options` means the defaults, for `error` that no message is wanted; what a
 *               ..._free function is handed may be NULL.
 *   Failure     leaves results alone, but for pointers, which become NULL.
 */
#ifndef PORTOLAN_H
#define PORTOLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PORTOLAN_API __attribute__((visibility("default")))

/* --- versions --- */

/* Of this header: as text, and as a number to compare, a byte each for major, minor and patch. */
#define PORTOLAN_VERSION "0.2.0"
#define PORTOLAN_VERSION_NUMBER 0x000200u

/* Of the library that the program runs with. */
PORTOLAN_API const char *portolan_version(void);
PORTOLAN_API unsigned portolan_version_number(void);

/* --- errors --- */

enum portolan_code {
    PORTOLAN_PENDING = -1,           /* of a step: not done yet */
    PORTOLAN_OK = 0,                 /* done */
    PORTOLAN_ERROR_ARGUMENT = 1,     /* the caller's: an impossible name, host, port or option */
    PORTOLAN_ERROR_MEMORY = 2,       /* out of memory */
    PORTOLAN_ERROR_SYSTEM = 3,       /* this process or host is out of descriptors or threads */
    PORTOLAN_ERROR_TIMEOUT = 4,      /* no answer before the deadline */
    PORTOLAN_ERROR_HOST = 5,         /* the host's name has no address */
    PORTOLAN_ERROR_CONNECT = 6,      /* nobody listens there, or there is no way to it */
    PORTOLAN_ERROR_CLOSED = 7,       /* the other side closed before it had answered */
    PORTOLAN_ERROR_REPLY = 8,        /* the answer is not what the protocol allows */
    PORTOLAN_ERROR_TOO_LARGE = 9,    /* the answer is beyond this library's limits */
    PORTOLAN_ERROR_NOT_FOUND = 10,   /* the node, or its lease, is not known there */
    PORTOLAN_ERROR_REFUSED = 11,     /* epmd refused the name: most often it is taken */
    PORTOLAN_ERROR_NO_PORT = 12,     /* the rule gives that name no port, or one over 65,535 */
    PORTOLAN_ERROR_PORTS_TAKEN = 13, /* every port that a lease could give is taken */
    PORTOLAN_ERROR_NO_DAEMON = 14,   /* no portoland answers on the control socket */
    PORTOLAN_ERROR_DENIED = 15,      /* portoland lets this user read only, or not even that */
    PORTOLAN_ERROR_DAEMON = 16,      /* portoland tried, and could not */
    PORTOLAN_ERROR_TRY_AGAIN = 17,   /* the name server cannot say now whether the host exists */
};

/* A few words for a code, in English, without a full stop. Never NULL, also for other numbers. */
PORTOLAN_API const char *portolan_error_text(enum portolan_code code);

#define PORTOLAN_MESSAGE_SIZE 1024

/*
 * What went wrong, for people, on one line: what was tried, on what, why it failed and what to do.
 *
 *   cannot resolve 'rabbit@s1': 10.0.0.1:4369 refused the connection; 10.0.0.1:4370 did not answer
 *   within 2500 ms; is its TCP port open in the firewall?
 *
 * After a success the message is empty, or tells what failed before something else succeeded.
 */
struct portolan_error {
    enum portolan_code code;
    char message[PORTOLAN_MESSAGE_SIZE];
};

/* --- options --- */

struct portolan_session;

/* The ways to know where a node is, in the order in which they are tried. The first two are tried
 * by default; the third only where the caller asks for it. */
enum portolan_source {
    PORTOLAN_SOURCE_REGISTERED = 1, /* the portoland of this host has the node registered */
    PORTOLAN_SOURCE_EPMD = 2,       /* the epmd, or the portoland, of the node's host says so */
    PORTOLAN_SOURCE_DERIVED = 4,    /* ekka's rule, if nobody knows; says nothing of its running */
};

#define PORTOLAN_DEFAULT_DEADLINE_MS 10000 /* as long as an Erlang node waits for epmd */
#define PORTOLAN_DEADLINE_MAX_MS 86400000
#define PORTOLAN_DEFAULT_EPMD_PORT 4369
#define PORTOLAN_DEFAULT_BASE_PORT 4370
#define PORTOLAN_DEFAULT_CONTROL_SOCKET "/run/portolan/portolan.sock"
#define PORTOLAN_ADDRESS_SIZE 64         /* of a numeric address, with %interface */
#define PORTOLAN_CONTROL_SOCKET_SIZE 108 /* of the path of a Unix socket */

/*
 * How to ask. portolan_options_init makes one, whose zeros are the defaults. A later version of the
 * library may know more members at the end: `size` tells which ones the program knows.
 */
struct portolan_options {
    size_t size;

    /* For the whole call, 1 to PORTOLAN_DEADLINE_MAX_MS. 0: PORTOLAN_DEFAULT_DEADLINE_MS. */
    int64_t deadline_ms;

    /* The epmd port to ask, and no other. 0: first 4369, then, when no epmd there knows the answer,
     * the front port of a portoland, which is base_port. */
    uint16_t epmd_port;

    /* Of ekka's rule. 0: 4370. */
    uint16_t base_port;

    /* For portolan_resolve: which sources may be tried, enum portolan_source or'ed. 0:
     * PORTOLAN_SOURCE_REGISTERED | PORTOLAN_SOURCE_EPMD. */
    unsigned sources;

    /* A numeric address, IPv4 or IPv6, to ask in place of the host's name: no look-up of the host
     * then. Empty: look the host up. */
    char address[PORTOLAN_ADDRESS_SIZE];

    /* The path of portoland's control socket. Empty: PORTOLAN_DEFAULT_CONTROL_SOCKET. */
    char control_socket[PORTOLAN_CONTROL_SOCKET_SIZE];

    /* Ask portoland over this session's connection (then control_socket does not count). NULL: each
     * operation makes a connection of its own. Borrowed. */
    struct portolan_session *session;
};

/* Sets all defaults: portolan_options_init(&options, sizeof options). Reads no environment. */
PORTOLAN_API void portolan_options_init(struct portolan_options *options, size_t size);

/*
 * Takes over what the environment says, as the programs of Portolan and OTP do: ERL_EPMD_PORT, and
 * PORTOLAN_NODE__DIST_BASE_PORT, PORTOLAN_CONTROL__SOCKET or, for users other than root, the
 * first portolan.sock of their own in XDG_RUNTIME_DIR, /run/user/UID and /tmp/portolan-UID. An
 * invalid value is PORTOLAN_ERROR_ARGUMENT, and changes nothing. No other function of this library
 * reads the environment; as with getenv, no other thread may be changing it.
 */
PORTOLAN_API enum portolan_code portolan_options_from_environment(struct portolan_options *options,
                                                                  struct portolan_error *error);

/* --- the rule --- */

/*
 * ekka's fixed-port rule: base_port (0: 4370) and the digits before the first '@' of `node`, modulo
 * 60,000. *port is 0 for a name that begins with "remsh": it listens on nothing that others need.
 * PORTOLAN_ERROR_NO_PORT when the sum is over 65,535. Asks nobody and never blocks.
 */
PORTOLAN_API enum portolan_code portolan_derive_port(const char *node, uint16_t base_port,
                                                     uint16_t *port);

/* --- where a node is --- */

#define PORTOLAN_HOST_SIZE 256
#define PORTOLAN_NODE_SIZE 1280 /* of Name@Host */

enum portolan_node_type { PORTOLAN_NODE_NORMAL = 77, PORTOLAN_NODE_HIDDEN = 72 };

struct portolan_endpoint {
    char host[PORTOLAN_HOST_SIZE]; /* the node's own, as in its name; "localhost" for one without */
    char
        address[PORTOLAN_ADDRESS_SIZE]; /* of the host, numeric: the one at which its epmd answered,
                                            from other sources the first that the host has */
    char member[PORTOLAN_NODE_SIZE];    /* the portoland at which the node is registered, where
                                            this host's is in a cluster; else empty */
    uint16_t port;                      /* to connect to from this host, of the next two */
    uint16_t own_port;                  /* at which the node itself listens; 0: not known */
    uint16_t front_port; /* at which its host's portoland takes connections for it; 0: none known */
    uint16_t highest_version; /* of the distribution protocol, from epmd; else 0, as the next two */
    uint16_t lowest_version;
    uint8_t type; /* enum portolan_node_type, or what else the node said */
    uint8_t reserved;
    enum portolan_source source;
    uint64_t more_reserved[8]; /* 0 */
};

/*
 * Where the node `Name@Host` is, or `Name` of this host. Asks the portoland of this host when there
 * is one, then the epmd of the node's host, and says which of them knew. With
 * PORTOLAN_SOURCE_DERIVED in options->sources the rule answers when neither knows the node, but
 * never for a host whose name has no address, and never because the portoland of this host was too
 * busy to answer. An address or port that does not answer costs its share of the deadline only, so
 * that the others get theirs.
 *
 * It only asks, and says so to a portoland at its front port, base_port, by closing its side of the
 * connection. Where several nodes share a front port, portoland waits for the connection after a
 * look-up, and does not after this one: a program that opens distribution to such a node is led to
 * it for 10 seconds, unless others of its host connect to that port at the same time.
 */
PORTOLAN_API enum portolan_code portolan_resolve(const char *node,
                                                 const struct portolan_options *options,
                                                 struct portolan_endpoint *endpoint,
                                                 struct portolan_error *error);

/* --- the names of a host --- */

#define PORTOLAN_NAMES_MAX 100000                      /* of a host */
#define PORTOLAN_NAMES_REPLY_MAX (64 * 1024 * 1024)    /* bytes */
#define PORTOLAN_CLUSTER_NAMES_MAX 1000000             /* of a cluster */
#define PORTOLAN_CLUSTER_REPLY_MAX (384 * 1024 * 1024) /* bytes */

enum portolan_member_state {
    PORTOLAN_MEMBER_UNKNOWN = 0,
    PORTOLAN_MEMBER_ALIVE = 1,
    PORTOLAN_MEMBER_SUSPECT = 2, /* silent for some seconds */
    PORTOLAN_MEMBER_DOWN = 3,
};

/* Made by the library alone: later versions may know more members at its end. */
struct portolan_name {
    const char *name;   /* the alive name, without a host; the texts belong to the listing */
    const char *host;   /* from portolan_cluster_names, as all that follows but the port; else "" */
    const char *member; /* the portoland at which it is registered */
    uint16_t port;      /* at which the node itself listens; from another host's front port the
                           port that it tells this host */
    uint16_t front_port;  /* at which other hosts reach it through its portoland; 0: its own port */
    uint8_t type;         /* enum portolan_node_type; 0: not told */
    uint8_t member_state; /* enum portolan_member_state */
    uint32_t creation;
};

struct portolan_listing;

/*
 * What the epmd of `host` has registered, the newest first; NULL or "" for this host. A front port
 * may show its names to its own host only: to others it then gives an empty list, or closes without
 * an answer (PORTOLAN_ERROR_CLOSED). epmd's answer does not say how long it is: one that is cut
 * within a line is an error, one that is cut between lines cannot be told from a shorter one. Over
 * PORTOLAN_NAMES_MAX names, or PORTOLAN_NAMES_REPLY_MAX bytes, it is PORTOLAN_ERROR_TOO_LARGE. The
 * listing is the caller's, to be freed with portolan_listing_free.
 */
PORTOLAN_API enum portolan_code portolan_names(const char *host,
                                               const struct portolan_options *options,
                                               struct portolan_listing **listing,
                                               struct portolan_error *error);

/* The names of all members of the cluster that the portoland of this host is in, member by member,
 * at most PORTOLAN_CLUSTER_NAMES_MAX in PORTOLAN_CLUSTER_REPLY_MAX bytes. */
PORTOLAN_API enum portolan_code portolan_cluster_names(const struct portolan_options *options,
                                                       struct portolan_listing **listing,
                                                       struct portolan_error *error);

PORTOLAN_API size_t portolan_listing_count(const struct portolan_listing *listing);

/* The name with this index, from 0; NULL when there are not that many. The listing's. */
PORTOLAN_API const struct portolan_name *
portolan_listing_name(const struct portolan_listing *listing, size_t index);

/* On which epmd says that it listens; 0 for a cluster. */
PORTOLAN_API uint16_t portolan_listing_epmd_port(const struct portolan_listing *listing);

/* How many entries were left out, as they are not of the form of the protocol. */
PORTOLAN_API size_t portolan_listing_malformed(const struct portolan_listing *listing);

PORTOLAN_API void portolan_listing_free(struct portolan_listing *listing);

/* --- registering --- */

struct portolan_registration;

/*
 * Registers the alive name `name` (no '@', 1 to 255 characters) with `port` at the epmd of this
 * host. The registration lasts as long as its connection: until portolan_unregister, the end of the
 * process, or the end of epmd. It is not renewed by itself. A name that is taken is
 * PORTOLAN_ERROR_REFUSED. options->address, if set, must be one of this host: epmd registers for no
 * other.
 */
PORTOLAN_API enum portolan_code portolan_register(const char *name, uint16_t port,
                                                  enum portolan_node_type type,
                                                  const struct portolan_options *options,
                                                  struct portolan_registration **registration,
                                                  struct portolan_error *error);

/* Ends the registration and frees it. epmd notices at once, but not before this returns. In a
 * forked child it frees the child's copy alone; the name goes when the parent lets go of it. */
PORTOLAN_API void portolan_unregister(struct portolan_registration *registration);

/* The number that tells this life of the name from others; 0 is never one. */
PORTOLAN_API uint32_t
portolan_registration_creation(const struct portolan_registration *registration);

/* Becomes readable when the registration is lost: epmd never writes to it. Borrowed; do not read
 * from it, write to it or close it. */
PORTOLAN_API int portolan_registration_descriptor(const struct portolan_registration *registration);

/* Whether its connection still stands; does not block. */
PORTOLAN_API bool portolan_registration_is_held(const struct portolan_registration *registration);

/* --- leases --- */

struct portolan_leased_port {
    uint16_t port;
    uint16_t epmd_port;    /* for ERL_EPMD_PORT of the node: where it finds portoland */
    bool held;             /* the node is registered already */
    int64_t expires_in_ms; /* if it does not register before; -1 while held */
    uint64_t reserved[4];  /* 0 */
};

/*
 * Asks the portoland of this host to promise a port to `node` (`Name@Host` or `Name`), or to renew
 * the promise. A daemon that is there but busy is waited for until the deadline. Wants root,
 * portoland's own user or a member of the group portolan (PORTOLAN_ERROR_DENIED). portolan_release
 * gives it back; PORTOLAN_ERROR_NOT_FOUND when there is no lease that waits for the node.
 */
PORTOLAN_API enum portolan_code portolan_lease(const char *node,
                                               const struct portolan_options *options,
                                               struct portolan_leased_port *lease,
                                               struct portolan_error *error);
PORTOLAN_API enum portolan_code portolan_release(const char *node,
                                                 const struct portolan_options *options,
                                                 struct portolan_error *error);

/* --- sessions --- */

/*
 * One connection to the portoland of this host for many operations: where options->session names
 * it, portolan_resolve, portolan_lease, portolan_release and portolan_cluster_names, and their
 * ..._start forms, ask over it, as many at the same time as the caller likes. The connection is
 * made when it is first needed, and again when it was lost; what was asked on a lost one is asked
 * again. Of `options` the control socket counts, no other member.
 *
 * A session and the operations that use it are for one thread at a time. An operation that is
 * pending when its session is freed ends with PORTOLAN_ERROR_CLOSED, and may be freed later.
 */
PORTOLAN_API enum portolan_code portolan_session_new(const struct portolan_options *options,
                                                     struct portolan_session **session,
                                                     struct portolan_error *error);
PORTOLAN_API void portolan_session_free(struct portolan_session *session);

/* --- what happens --- */

struct portolan_watch;

/* Made by the library alone: later versions may know more members at its end. Texts are "" and
 * numbers 0 where the event has none; docs/control.md says which has what. */
struct portolan_event {
    const char *type;   /* "registered", "member_down" and so on; others may come */
    const char *at;     /* when, in UTC: 2026-03-01T10:20:30.123Z */
    const char *name;   /* of the node */
    const char *member; /* of the cluster, which it is about */
    const char *reason; /* for people; for a member that is down, a word for the cause */
    uint16_t port, front_port;
    uint32_t creation;
    const char *json; /* the whole event, one line without its end */
};

/*
 * Watches the portoland of this host. Never blocks: what is wrong with the connection is told by
 * portolan_watch_next. The deadline is for the beginning; a watch itself has none.
 */
PORTOLAN_API enum portolan_code portolan_watch_start(const struct portolan_options *options,
                                                     struct portolan_watch **watch,
                                                     struct portolan_error *error);

/* Becomes readable when portolan_watch_next is to be called. Borrowed, as that of an operation. */
PORTOLAN_API int portolan_watch_descriptor(const struct portolan_watch *watch);

/*
 * The next event. PORTOLAN_OK: *event is set, and valid until the next call for this watch.
 * PORTOLAN_PENDING: there is none now; wait for the descriptor. Call until it is PENDING: only then
 * does the descriptor tell of more. All else ends the watch, with *error set, and *event is NULL:
 * PORTOLAN_ERROR_CLOSED when the daemon ended.
 */
PORTOLAN_API enum portolan_code portolan_watch_next(struct portolan_watch *watch,
                                                    const struct portolan_event **event,
                                                    struct portolan_error *error);

/* Whether the daemon has begun to tell: what happens from then on is not missed. */
PORTOLAN_API bool portolan_watch_has_begun(const struct portolan_watch *watch);

PORTOLAN_API void portolan_watch_free(struct portolan_watch *watch);

/* --- without blocking --- */

/*
 * An operation is one of the calls above, on its way:
 *
 *   portolan_resolve_start(node, NULL, &operation, &error);
 *   ... wait until portolan_operation_descriptor(operation) is readable ...
 *   code = portolan_operation_step(operation);      again while it is PORTOLAN_PENDING
 *   portolan_operation_endpoint(operation, &endpoint);
 *   portolan_operation_free(operation);
 *
 * Its one descriptor stays the same from start to free, and becomes readable whenever there is
 * something to do, the deadline and the end included: no timer of the caller's is needed. Loops may
 * be level-triggered or edge-triggered (EPOLLET). An operation uses three descriptors of the
 * process while it is pending, two when it is done or asks over a session, and a thread while a
 * host name is looked up (never for a numeric address or localhost). Starting and stepping never
 * block.
 */
struct portolan_operation;

/* Each starts its call: what cannot even be tried (ARGUMENT, MEMORY, SYSTEM) is said here, all else
 * by portolan_operation_step. The texts and the options are copied. */
PORTOLAN_API enum portolan_code portolan_resolve_start(const char *node,
                                                       const struct portolan_options *options,
                                                       struct portolan_operation **operation,
                                                       struct portolan_error *error);
PORTOLAN_API enum portolan_code portolan_names_start(const char *host,
                                                     const struct portolan_options *options,
                                                     struct portolan_operation **operation,
                                                     struct portolan_error *error);
PORTOLAN_API enum portolan_code portolan_cluster_names_start(const struct portolan_options *options,
                                                             struct portolan_operation **operation,
                                                             struct portolan_error *error);
PORTOLAN_API enum portolan_code portolan_register_start(const char *name, uint16_t port,
                                                        enum portolan_node_type type,
                                                        const struct portolan_options *options,
                                                        struct portolan_operation **operation,
                                                        struct portolan_error *error);
PORTOLAN_API enum portolan_code portolan_lease_start(const char *node,
                                                     const struct portolan_options *options,
                                                     struct portolan_operation **operation,
                                                     struct portolan_error *error);
PORTOLAN_API enum portolan_code portolan_release_start(const char *node,
                                                       const struct portolan_options *options,
                                                       struct portolan_operation **operation,
                                                       struct portolan_error *error);

/* What to wait on: readable (POLLIN, EPOLLIN) means that a step is due. Borrowed, and gone with the
 * operation: take it out of an epoll set before portolan_operation_free. */
PORTOLAN_API int portolan_operation_descriptor(const struct portolan_operation *operation);

/* Goes on as far as it can without blocking. PORTOLAN_PENDING, or how it ended; then again the
 * same. Harmless when nothing is due. */
PORTOLAN_API enum portolan_code portolan_operation_step(struct portolan_operation *operation);

/* The message of struct portolan_error, once the operation is done; empty before. Borrowed. */
PORTOLAN_API const char *portolan_operation_message(const struct portolan_operation *operation);

/*
 * The result of an operation that ended with PORTOLAN_OK, of the kind that was started; else
 * PORTOLAN_ERROR_ARGUMENT. The first two are copied. A listing and a registration are handed over:
 * they become the caller's, and are there once.
 */
PORTOLAN_API enum portolan_code
portolan_operation_endpoint(const struct portolan_operation *operation,
                            struct portolan_endpoint *endpoint);
PORTOLAN_API enum portolan_code
portolan_operation_leased_port(const struct portolan_operation *operation,
                               struct portolan_leased_port *lease);
PORTOLAN_API enum portolan_code
portolan_operation_take_listing(struct portolan_operation *operation,
                                struct portolan_listing **listing);
PORTOLAN_API enum portolan_code
portolan_operation_take_registration(struct portolan_operation *operation,
                                     struct portolan_registration **registration);

/* Ends the operation, done or not, and frees it with all that was not taken from it. */
PORTOLAN_API void portolan_operation_free(struct portolan_operation *operation);

#ifdef __cplusplus
}
#endif

#endif
