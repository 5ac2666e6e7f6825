/*
 * The commands of the control socket (docs/control.md): one function each, in one table. They read
 * and change what the daemon owns; what only the daemon itself can do is asked of it through
 * control_context.
 */
#ifndef PORTOLAN_CONTROL_CONTROL_H
#define PORTOLAN_CONTROL_CONTROL_H

#include "config/config.h"
#include "control/server.h"
#include "loop/loop.h"
#include "names/epmd_service.h"
#include "net/hello_queue.h"
#include "service/cluster.h"
#include "service/events.h"
#include "service/front.h"

/* What a command may say of a failure, at most. */
#define CONTROL_ERROR_SIZE 512

/* All borrowed, and alive as long as the control server. The service may be without a pool. */
struct control_context {
    const struct config *config;
    const struct epmd_service *service;
    struct epmd_server *epmd_server;
    struct events *events;
    struct control_server *server;
    const struct listeners *listeners;
    struct cluster_service *cluster; /* NULL: the daemon runs alone */
    const struct loop_turns *turns;
    struct front_service *front;      /* its front may be NULL: there are no front ports */
    const struct hello_queue *hellos; /* NULL without front ports */
    int64_t started_ms;               /* monotonic */
    int64_t started_wall_ms;
    uint16_t own_epmd_port; /* where nodes of this host find the daemon */

    void *context;
    /* A lease was promised or given back: the number of the write after which that is to be told,
     * 0: at once. */
    uint64_t (*leases_changed)(void *context);
    /* Applies the configuration anew: the two lists get names of keys, or are NULL in the end for
     * want of memory; false with `error` set. */
    bool (*reload)(void *context, json_t **applied, json_t **restart, char *error);
    void (*stop)(void *context);
};

/* Those who watch on this server are told the events from now on; NULL: nobody is. */
void control_connect_events(struct events *events, struct control_server *server);

/* A control_handler; its context is a struct control_context. */
struct control_stream *control_handle(void *context, struct control_conn *peer,
                                      const json_t *request);

#endif
