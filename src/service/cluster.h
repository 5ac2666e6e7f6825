/*
 * The member of a cluster that this daemon is: cluster/cluster with sockets (link/link), the
 * clock, a file (store/member_store), a way to find others (discovery) and those who want to
 * be told (service/cluster_events).
 *
 * What the cluster tells during a call is passed on when the call is over, so that everybody may
 * ask it questions.
 */
#ifndef PORTOLAN_SERVICE_CLUSTER_H
#define PORTOLAN_SERVICE_CLUSTER_H

#include "config/config.h"
#include "link/link.h"
#include "names/registry.h"
#include "service/cluster_events.h"
#include "store/state_worker.h"

struct cluster_service;

typedef void cluster_service_settled(void *context, uint64_t number);

/* All borrowed, and alive as long as the service; but `tls` becomes the service's. */
struct cluster_service_options {
    const struct config *config;
    struct event_base *base;
    struct tls *tls;
    struct cluster_events *events;
    uint16_t front_port;
    struct state_worker *worker;      /* that writes its file */
    cluster_service_settled *settled; /* see cluster_service_awaited */
    void *settled_context;
};

#define CLUSTER_SERVICE_ERROR_SIZE 1024

/* NULL: `error` says why the daemon must not start. */
struct cluster_service *cluster_service_new(const struct cluster_service_options *options,
                                            char error[CLUSTER_SERVICE_ERROR_SIZE]);

/* Says goodbye to all links, saves, frees. NULL is fine. */
void cluster_service_free(struct cluster_service *service);

/* What was just done is to be reported after `settled` of this number or a higher one, as it is not
 * on disk yet; 0: at once. */
uint64_t cluster_service_awaited(const struct cluster_service *service);

/* For questions. */
const struct cluster *cluster_service_cluster(const struct cluster_service *service);
struct peer_counters cluster_service_counters(const struct cluster_service *service);

/* The address of the link to a member; NULL: there is none. */
const struct address *cluster_service_address(const struct cluster_service *service,
                                              const char *name);

/* Whether a member's host has the address (address_host's bytes): it is linked from there, or
 * service/member_hosts knows. Answered at once. */
bool cluster_service_has_host(const struct cluster_service *service, struct bytes address);

/* A caller at a front port: see peer_links_accept. `service` is a cluster_service; NULL: the daemon
 * runs alone, and nobody is admitted. */
bool cluster_service_accept(void *service, int fd, const struct address *peer, struct bytes first);

/* The registry's changes. What is registered already is reported again: its front port has
 * changed. */
void cluster_service_registered(struct cluster_service *service,
                                const struct registration *registration);
void cluster_service_unregistered(struct cluster_service *service,
                                  const struct registration *registration);

/* --- commands --- */

/*
 * Hears of a join: JOIN_PROGRESS any number of times, then JOIN_DONE or JOIN_FAILED, with the cause
 * and cure in `text`.
 */
typedef void cluster_join_cb(void *context, const struct cluster_event *event, const char *text);

/* With CLUSTER_OK, `join_cb` is called, later. There is one join at a time. */
enum cluster_verdict cluster_service_join(struct cluster_service *service, const char *target,
                                          cluster_join_cb *join_cb, void *context);

/* Nobody wants to hear of the join any more; it goes on. */
void cluster_service_forget(struct cluster_service *service, const void *context);

enum cluster_verdict cluster_service_leave(struct cluster_service *service);
enum cluster_verdict cluster_service_force_leave(struct cluster_service *service, const char *name);

#endif
