/* What the files of struct daemon share: daemon/daemon.c and daemon/daemon_*.c. */
#ifndef PORTOLAN_DAEMON_INNER_H
#define PORTOLAN_DAEMON_INNER_H

#include "control/control.h"
#include "daemon/daemon.h"
#include "daemon/demux.h"
#include "process/orphans.h"
#include "service/front.h"
#include "store/creation_store.h"
#include "store/lease_store.h"

#define DAEMON_SIGNALS 3 /* that it listens to */

/* The parts, in the order in which they are built. */
struct daemon {
    struct config *config; /* borrowed; a reload changes it */
    const struct start_options *options;
    struct creations *creations;
    struct state_worker *worker; /* writes the files of the stores */
    struct creation_store *creation_store;
    struct port_pool *pool; /* NULL under the name epmd: it does what epmd does and no more */
    struct lease_store *lease_store;
    struct registry *registry;
    struct subordinate_users *owners;
    struct local_users users;
    struct epmd_service service;
    struct event_base *base;
    struct event *signal_events[DAEMON_SIGNALS];
    struct event *report_event; /* reports lines that were held back */
    struct event *lease_event;  /* when a lease ends, or at once when there is one to save */
    struct events events;
    struct listeners listeners; /* the descriptors are the acceptor's */
    struct acceptor *acceptor;
    struct epmd_server *server;
    struct demux demux;
    struct tls *tls;               /* until the shell has it; NULL: this daemon runs alone */
    struct event_hook *event_hook; /* NULL: none */
    struct orphans *orphans;       /* NULL: this is not process 1 */
    struct cluster_events cluster_events;
    struct cluster_service *cluster;    /* NULL: this daemon runs alone */
    struct front_service front_service; /* its front is NULL without front ports */
    int control_fd;                     /* -1: none, or the control server's */
    struct control_context control_context;
    struct loop_turns turns;
    struct control_server *control; /* NULL without control.socket */
};

/* The configuration as the parts take it. */
struct epmd_server_options daemon_server_options(struct daemon *daemon);
struct control_server_options daemon_control_options(const struct daemon *daemon);
struct port_pool_options daemon_pool_options(const struct config *config);
size_t daemon_user_descriptors(const struct config *config);
size_t daemon_hellos_max(void);

/* --- daemon/daemon_leases.c --- */

/* The port pool with its state file, unless the daemon is an epmd and no more. */
bool daemon_open_pool(struct daemon *daemon, uint16_t port);

/* Ends and saves leases in the event loop from here on. */
bool daemon_start_leases(struct daemon *daemon);

/* Saves them off the event loop from here on. */
bool daemon_attach_leases(struct daemon *daemon);

/* Sees to leases when the callback under way is done: a node has come or gone. */
void daemon_leases_changed(void *daemon);

/* The same for a promise, which is on disk before it is told: the number of the write, see
 * control_context. */
uint64_t daemon_lease_promised(void *daemon);

/* --- daemon/reload.c --- */

/* Opens the log, and says on standard error why it cannot be opened. */
bool daemon_open_log(const struct config *config, const struct start_options *options);

/* Reloads the configuration and applies it: see control_context. */
bool daemon_reload(void *context, json_t **applied, json_t **restart, char *error);

/* What SIGHUP asks for: a reload, and the log file opened anew. */
void daemon_hang_up(struct daemon *daemon);

#endif
