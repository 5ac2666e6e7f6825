/* Asks the strategy of cluster.discovery (discovery/discovery.h), at the start and then every
 * DISCOVERY_INTERVAL_MS, as long as others are wanted. */
#ifndef PORTOLAN_SERVICE_DISCOVERY_H
#define PORTOLAN_SERVICE_DISCOVERY_H

#include "config/config.h"
#include "discovery/discovery.h"

struct event_base;
struct cluster_discovery;

/* From the event loop; `found` may be called within `wanted`'s turn. All is borrowed. */
struct cluster_discovery_hooks {
    bool (*wanted)(void *context);
    void (*found)(void *context, const struct discovery_result *result);
    void *context;
};

/* `config` and `base` are borrowed. NULL when out of memory. */
struct cluster_discovery *cluster_discovery_new(const struct config *config,
                                                struct event_base *base,
                                                const struct cluster_discovery_hooks *hooks);
void cluster_discovery_free(struct cluster_discovery *discovery);

#endif
