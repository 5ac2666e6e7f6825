/*
 * What happens, told once: a line in the log, and for those who watch an object on the control
 * socket (docs/control.md). What peers can cause at will is limited in the log (base/log_limits),
 * not on the socket.
 */
#ifndef PORTOLAN_SERVICE_EVENTS_H
#define PORTOLAN_SERVICE_EVENTS_H

#include "base/log.h"
#include "epmd/server.h"
#include "names/port_pool.h"
#include "names/registry.h"

#include <jansson.h>

struct events {
    /* Those who watch; the control socket has them. */
    bool (*watched)(void *context);                /* NULL: there are no watchers */
    void (*publish)(void *context, json_t *event); /* takes it over; NULL: one is lost */
    void *context;
};

void events_registered(struct events *events, const struct registration *registration);
void events_unregistered(struct events *events, const struct registration *registration,
                         const char *reason);
void events_refused(struct events *events, const struct epmd_refusal *refusal);
/* In the log alone. */
void events_limit_hit(const char *limit, const char *outcome);
void events_leased(struct events *events, struct bytes name, uint16_t port);
void events_lease_ended(struct events *events, const struct port_lease_ending *ending);

/* For events of others: whether anybody watches, and sending one, with version, kind and time
 * added. `event` is taken over; NULL when memory is out. */
bool events_is_watched(const struct events *events);
void events_publish(struct events *events, const char *kind, json_t *event);

/* Bytes as a JSON string, escaped where they are not UTF-8. NULL when out of memory. */
json_t *events_json_text(struct bytes text);

/* "2026-03-01T10:20:30.123Z" */
json_t *events_json_time(int64_t wall_ms);

#endif
