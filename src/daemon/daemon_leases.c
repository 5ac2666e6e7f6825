/* The leases of the port pool: when they end, and when they are saved. */
#include "base/clock.h"
#include "daemon/inner.h"
#include "loop/loop.h"

#include <event2/event.h>

static void on_lease_ended(void *context, const struct port_lease_ending *ending) {
    struct daemon *daemon = context;
    events_lease_ended(&daemon->events, ending);
}

/* Ends and saves leases, and sleeps until the next one's time is over. */
static void on_lease_time(evutil_socket_t fd, short what, void *context) {
    struct daemon *daemon = context;
    int64_t now_ms = clock_monotonic_ms();
    int64_t next_ms = port_pool_expire(daemon->pool, now_ms);
    int64_t save_ms = lease_store_tend(daemon->lease_store);
    (void)fd;
    (void)what;
    next_ms = save_ms < next_ms ? save_ms : next_ms;
    if (next_ms != INT64_MAX)
        loop_set_timer_or_now(daemon->lease_event, next_ms - now_ms);
}

void daemon_leases_changed(void *context) {
    struct daemon *daemon = context;
    if (daemon->lease_event != NULL)
        event_active(daemon->lease_event, EV_TIMEOUT, 0);
}

uint64_t daemon_lease_promised(void *context) {
    struct daemon *daemon = context;
    daemon_leases_changed(daemon);
    return lease_store_sync(daemon->lease_store);
}

static void on_leases_settled(void *context, uint64_t number) {
    struct daemon *daemon = context;
    if (daemon->control != NULL)
        control_server_settle(daemon->control, CONTROL_GATE_LEASES, number);
}

bool daemon_open_pool(struct daemon *daemon, uint16_t port) {
    const struct port_pool_options options = daemon_pool_options(daemon->config);
    if (daemon->config->personality == CONFIG_AS_EPMD)
        return true;
    daemon->pool = port_pool_new(&options);
    if (daemon->pool == NULL)
        return false;
    port_pool_on_ended(daemon->pool, on_lease_ended, daemon);
    daemon->lease_store = lease_store_open(daemon->config->data_dir, port, daemon->pool);
    return daemon->lease_store != NULL;
}

bool daemon_start_leases(struct daemon *daemon) {
    if (daemon->pool == NULL)
        return true;
    daemon->lease_event = event_new(daemon->base, -1, 0, on_lease_time, daemon);
    if (daemon->lease_event == NULL)
        return false;
    daemon_leases_changed(daemon); /* those of the state file have times too */
    return true;
}

bool daemon_attach_leases(struct daemon *daemon) {
    return daemon->lease_store == NULL ||
           lease_store_attach(daemon->lease_store, daemon->worker, on_leases_settled, daemon);
}
