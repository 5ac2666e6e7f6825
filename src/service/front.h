/*
 * The front ports of this daemon (front/front), built from its configuration, and what happens
 * there, told once: in the log, and to those who watch (docs/control.md).
 */
#ifndef PORTOLAN_SERVICE_FRONT_H
#define PORTOLAN_SERVICE_FRONT_H

#include "config/config.h"
#include "front/front.h"
#include "host/local_users.h"
#include "service/events.h"
#include "service/front_warning.h"

/* What the front is made for. All borrowed; the hooks as in front_hooks, with `context`. */
struct front_service {
    const struct config *config;
    struct events *events;
    const struct local_users *users;
    struct turn_budget *budget;
    struct epmd_server *server; /* which answers the look-ups that were held */
    uint16_t own_port;          /* the daemon's own front port */
    struct front *front;        /* set by front_service_build */
    bool told_unknown;          /* that the kernel does not say whose a socket is */
    struct front_warning warning;
    void (*route_changed)(void *context, const struct registration *registration);
    bool (*is_member)(void *context, const struct address *peer);
    void *context;
};

/* Builds service->front. False when out of memory. */
bool front_service_build(struct front_service *service, const struct front_deps *deps);

/* Frees service->front. */
void front_service_end(struct front_service *service);

/* Applies the configuration, as far as it can change. */
void front_service_configure(struct front_service *service);

#endif
