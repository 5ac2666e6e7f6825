/*
 * The member of a cluster that this daemon is: cluster/cluster with sockets (net/peer_link), the
 * clock, a file (daemon/cluster_store_file), a way to find others (discovery) and those who want to
 * be told (daemon/cluster_events).
 *
 * What the cluster tells during a call is passed on when the call is over, so that everybody may
 * ask it questions.
 */
#ifndef PORTOLAN_DAEMON_CLUSTER_SHELL_H
#define PORTOLAN_DAEMON_CLUSTER_SHELL_H

#include "daemon/cluster_events.h"
#include "daemon/config.h"
#include "daemon/state_worker.h"
#include "names/registry.h"
#include "net/peer_link.h"

struct cluster_shell;

typedef void cluster_shell_settled(void *context, uint64_t number);

/* All borrowed, and alive as long as the shell; but `tls` becomes the shell's. */
struct cluster_shell_options {
    const struct config *config;
    struct event_base *base;
    struct tls *tls;
    struct cluster_events *events;
    uint16_t front_port;
    struct state_worker *worker;    /* that writes its file */
    cluster_shell_settled *settled; /* see cluster_shell_awaited */
    void *settled_context;
};

#define CLUSTER_SHELL_ERROR_SIZE 1024

/* NULL: `error` says why the daemon must not start. */
struct cluster_shell *cluster_shell_new(const struct cluster_shell_options *options,
                                        char error[CLUSTER_SHELL_ERROR_SIZE]);

/* Says goodbye to all links, saves, frees. NULL is fine. */
void cluster_shell_free(struct cluster_shell *shell);

/* What was just done is to be told after `settled` of this number or a higher one, for it is not on
 * disk yet; 0: at once. */
uint64_t cluster_shell_awaited(const struct cluster_shell *shell);

/* For questions. */
const struct cluster *cluster_shell_cluster(const struct cluster_shell *shell);
struct peer_counters cluster_shell_counters(const struct cluster_shell *shell);

/* The address of the link to a member; NULL: there is none. */
const struct address *cluster_shell_address(const struct cluster_shell *shell, const char *name);

/* Whether a member's host has the address (address_host's bytes): it is linked from there, or
 * daemon/member_hosts knows. Answered at once. */
bool cluster_shell_has_host(const struct cluster_shell *shell, struct bytes address);

/* A caller at the front port: see peer_links_accept. */
bool cluster_shell_take(struct cluster_shell *shell, int fd, const struct address *peer,
                        struct bytes first);

/* The registry's doings. Who is registered already is told anew: its front port has changed. */
void cluster_shell_registered(struct cluster_shell *shell, const struct registration *registration);
void cluster_shell_unregistered(struct cluster_shell *shell,
                                const struct registration *registration);

/* --- commands --- */

/*
 * Hears of a join: JOIN_PROGRESS any number of times, then JOIN_DONE or JOIN_FAILED, with the cause
 * and cure in `text`.
 */
typedef void cluster_join_told(void *context, const struct cluster_event *event, const char *text);

/* With CLUSTER_OK, `told` hears of it, later. There is one join at a time. */
enum cluster_verdict cluster_shell_join(struct cluster_shell *shell, const char *target,
                                        cluster_join_told *told, void *context);

/* Nobody wants to hear of the join any more; it goes on. */
void cluster_shell_forget(struct cluster_shell *shell, const void *context);

enum cluster_verdict cluster_shell_leave(struct cluster_shell *shell);
enum cluster_verdict cluster_shell_force_leave(struct cluster_shell *shell, const char *name);

#endif
