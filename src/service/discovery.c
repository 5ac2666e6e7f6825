#include "service/discovery.h"

#include "base/log.h"
#include "loop/loop.h"

#include <event2/event.h>
#include <stdlib.h>

struct cluster_discovery {
    struct cluster_discovery_hooks hooks;
    const struct discovery_strategy *strategy;
    void *state; /* the strategy's */
    struct event *timer;
};

static void on_done(void *context, const struct discovery_result *result) {
    struct cluster_discovery *discovery = context;
    if (result->error == NULL)
        discovery->hooks.found(discovery->hooks.context, result);
    else
        log_event(LOG_LEVEL_WARN, "discovery_failed",
                  log_text("strategy", discovery->strategy->name),
                  log_text("reason", result->error));
}

static void on_time(evutil_socket_t fd, short what, void *context) {
    struct cluster_discovery *discovery = context;
    (void)fd;
    (void)what;
    if (discovery->hooks.wanted(discovery->hooks.context))
        discovery->strategy->discover(discovery->state);
}

struct cluster_discovery *cluster_discovery_new(const struct config *config,
                                                struct event_base *base,
                                                const struct cluster_discovery_hooks *hooks) {
    struct cluster_discovery *discovery = calloc(1, sizeof *discovery);
    const struct discovery_options options = {
        .seeds = config->cluster_seeds,
        .done = on_done,
        .done_context = discovery,
    };
    if (discovery == NULL)
        return NULL;
    discovery->hooks = *hooks;
    discovery->strategy = discovery_strategy((enum discovery_kind)config->cluster_discovery);
    if (discovery->strategy == NULL)
        return discovery;
    discovery->state = discovery->strategy->open(&options);
    /* it is never to be set again, which could fail, and be the end of all discovery */
    discovery->timer = event_new(base, -1, EV_PERSIST, on_time, discovery);
    if (discovery->state == NULL || discovery->timer == NULL ||
        !loop_set_timer(discovery->timer, DISCOVERY_INTERVAL_MS)) {
        cluster_discovery_free(discovery);
        return NULL;
    }
    event_active(discovery->timer, EV_TIMEOUT, 0); /* the first time is now */
    return discovery;
}

void cluster_discovery_free(struct cluster_discovery *discovery) {
    if (discovery == NULL)
        return;
    if (discovery->state != NULL)
        discovery->strategy->close(discovery->state);
    loop_free_event(discovery->timer);
    free(discovery);
}
