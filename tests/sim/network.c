#include "world_inner.h"

/* --- packets --- */

struct connection_end *other_end(struct connection_end *end) {
    return &end->connection->ends[end == &end->connection->ends[0]];
}

bool world_reaches(const struct world *world, int from, int to) {
    return world->cut == NULL || !world->cut[from * world->host_count + to];
}

int64_t link_latency(struct world *world) {
    return random_between(&world->random, world->latency_min_ms, world->latency_max_ms);
}

void deliver_later(struct connection_end *end) {
    struct packet *packet = STAILQ_FIRST(&end->coming);
    if (packet == NULL || end->scheduled ||
        (end->connection->calling && end == &end->connection->ends[0]))
        return;
    struct world *world = end->host->world;
    end->scheduled = true;
    int64_t at_ms = packet->at_ms < world->now_ms ? world->now_ms : packet->at_ms;
    push_event(world, seen_at(end->host, at_ms), DELIVER, end->host->index, 0, end);
}

/* Puts a packet on the way to `end`. */
void send_packet(struct connection_end *end, struct bytes bytes, bool is_end,
                 enum cluster_cause cause) {
    struct world *world = end->host->world;
    struct packet *packet = malloc(sizeof *packet + bytes.len);
    if (packet == NULL)
        abort();
    packet->is_end = is_end;
    packet->cause = cause;
    packet->len = bytes.len;
    if (bytes.len > 0)
        memcpy(packet->data, bytes.data, bytes.len);
    packet->at_ms = world->now_ms + link_latency(world);
    if (packet->at_ms < end->last_ms)
        packet->at_ms = end->last_ms;
    end->last_ms = packet->at_ms;
    STAILQ_INSERT_TAIL(&end->coming, packet, entry);
    deliver_later(end);
}

void empty_end(struct connection_end *end) {
    while (!STAILQ_EMPTY(&end->coming)) {
        struct packet *packet = STAILQ_FIRST(&end->coming);
        STAILQ_REMOVE_HEAD(&end->coming, entry);
        free(packet);
    }
    free(end->rest);
    end->rest = NULL;
    end->rest_len = 0;
}

bool is_held(const struct connection_end *end) {
    return end->open && end->host->cluster != NULL && end->start == end->host->starts;
}

static void free_connection_if_done(struct connection *connection) {
    if (connection->calling)
        return;
    for (int i = 0; i < 2; i++) {
        if (is_held(&connection->ends[i]) || connection->ends[i].scheduled ||
            !STAILQ_EMPTY(&connection->ends[i].coming))
            return;
    }
    empty_end(&connection->ends[0]);
    empty_end(&connection->ends[1]);
    LIST_REMOVE(connection, entry);
    free(connection);
}

/* Mending lets through what was stuck. */
void world_cut(struct world *world, int from, int to, bool cut) {
    if (world->cut == NULL)
        return;
    uint8_t *flag = &world->cut[from * world->host_count + to];
    if (*flag == cut)
        return;
    *flag = cut;
    world->cut_ms[from * world->host_count + to] = world->now_ms;
    world_trace(world, "the wire %s -> %s is %s", world->hosts[from].name, world->hosts[to].name,
                cut ? "cut" : "mended");
    struct connection *connection;
    LIST_FOREACH(connection, world->connections, entry) {
        for (int i = 0; i < 2 && !cut; i++) {
            struct connection_end *end = &connection->ends[i];
            if (end->host->index == to && other_end(end)->host->index == from)
                deliver_later(end);
        }
    }
}

/* --- events --- */

static void fail_connect(struct world *world, const struct event *event, int64_t after_ms,
                         enum cluster_cause cause) {
    uint64_t packed = (uint64_t)(uintptr_t)event->what << 8 | (uint64_t)cause;
    push_event(world, seen_at(&world->hosts[event->host], world->now_ms + after_ms), CONNECT_FAILED,
               event->host, event->other, (void *)(uintptr_t)packed);
}

bool world_inject(struct world *world, int from, int to, struct bytes frames) {
    struct connection *connection;
    LIST_FOREACH(connection, world->connections, entry) {
        for (int i = 0; i < 2; i++) {
            struct connection_end *end = &connection->ends[i];
            if (end->host->index == to && other_end(end)->host->index == from && is_held(end) &&
                end->link != NULL) {
                send_packet(end, frames, false, CLUSTER_CAUSE_NONE);
                return true;
            }
        }
    }
    return false;
}

static struct connection *new_connection(struct world *world, struct host *caller,
                                         struct host *callee) {
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        abort();
    struct host *both[2] = {caller, callee};
    for (int i = 0; i < 2; i++) {
        struct connection_end *end = &connection->ends[i];
        end->connection = connection;
        end->host = both[i];
        end->start = both[i]->starts;
        STAILQ_INIT(&end->coming);
    }
    LIST_INSERT_HEAD(world->connections, connection, entry);
    return connection;
}

static void on_connect(struct world *world, const struct event *event) {
    struct host *caller = &world->hosts[event->host], *callee = &world->hosts[event->other];
    if (!world_reaches(world, event->host, event->other) ||
        !world_reaches(world, event->other, event->host) || callee->dead) {
        fail_connect(world, event, CLUSTER_CONNECT_MS, CLUSTER_CAUSE_TIMED_OUT);
    } else if (callee->cluster == NULL) {
        fail_connect(world, event, link_latency(world), CLUSTER_CAUSE_REFUSED);
    } else if (callee->paused_until_ms > world->now_ms) {
        /* the kernel takes the call, the process does not answer the handshake */
        if (callee->paused_until_ms - world->now_ms >= CLUSTER_CONNECT_MS)
            fail_connect(world, event, CLUSTER_CONNECT_MS, CLUSTER_CAUSE_TIMED_OUT);
        else
            push_event(world, callee->paused_until_ms, CONNECT, event->host, event->other,
                       event->what);
    } else if (caller->cluster != NULL && caller->starts == (uint32_t)(uintptr_t)event->what) {
        struct connection *connection = new_connection(world, caller, callee);
        connection->calling = true;
        struct connection_end *end = &connection->ends[1];
        end->open = true;
        end->link = cluster_link_up(callee->cluster, end, NULL, host_now(callee));
        if (end->link == NULL && end->open)
            end_link(callee, end, CLUSTER_CAUSE_FULL);
        connection->ends[0].open = true; /* its kernel knows of it */
        push_event(world, seen_at(caller, world->now_ms + link_latency(world)), CONNECTED,
                   event->host, event->other, connection);
        schedule_tick(callee);
    }
}

static void on_connected(struct world *world, const struct event *event) {
    struct connection *connection = event->what;
    struct connection_end *end = &connection->ends[0];
    struct host *caller = end->host;
    (void)world;
    connection->calling = false;
    if (is_held(end)) {
        struct cluster_link *link =
            cluster_link_up(caller->cluster, end, other_end(end)->host->name, host_now(caller));
        if (link == NULL && end->open)
            end_link(caller, end, CLUSTER_CAUSE_FULL);
        end->link = end->open ? link : NULL;
        schedule_tick(caller);
    }
    deliver_later(end);
    free_connection_if_done(connection);
}

static void on_connect_failed(struct world *world, const struct event *event) {
    struct host *caller = &world->hosts[event->host];
    uint64_t packed = (uint64_t)(uintptr_t)event->what;
    if (caller->cluster == NULL || caller->starts != (uint32_t)(packed >> 8))
        return;
    cluster_connect_failed(caller->cluster, world->hosts[event->other].name,
                           (enum cluster_cause)(packed & 0xff), host_now(caller));
    schedule_tick(caller);
}

static void take_bytes(struct connection_end *end, struct bytes bytes) {
    struct host *host = end->host;
    uint8_t *joined = NULL;
    if (end->rest_len > 0) {
        joined = realloc(end->rest, end->rest_len + bytes.len);
        if (joined == NULL)
            abort();
        memcpy(joined + end->rest_len, bytes.data, bytes.len);
        bytes = bytes_of(joined, end->rest_len + bytes.len);
        end->rest = NULL;
        end->rest_len = 0;
    }
    size_t taken = cluster_receive(host->cluster, end->link, bytes, host_now(host));
    if (end->open && taken < bytes.len) {
        end->rest = malloc(bytes.len - taken);
        if (end->rest == NULL)
            abort();
        end->rest_len = bytes.len - taken;
        memcpy(end->rest, bytes.data + taken, end->rest_len);
        if (end->rest_len > PENDING_MAX)
            world_violation(host->world, "more than a frame is left over");
    }
    free(joined);
    schedule_tick(host);
}

static void on_deliver(struct world *world, struct connection_end *end) {
    end->scheduled = false;
    struct connection *connection = end->connection;
    struct connection_end *from = other_end(end);
    struct packet *packet = STAILQ_FIRST(&end->coming);
    if (packet == NULL || !world_reaches(world, from->host->index, end->host->index) ||
        end->host->paused_until_ms > world->now_ms) {
        if (packet != NULL && end->host->paused_until_ms > world->now_ms) {
            deliver_later(end);
            return;
        }
        return; /* stuck until the connection is mended */
    }
    STAILQ_REMOVE_HEAD(&end->coming, entry);
    if (!is_held(end) || end->link == NULL) {
        bool tell = !end->host->dead && !packet->is_end && is_held(from);
        if (tell)
            send_packet(from, bytes_of(NULL, 0), true, CLUSTER_CAUSE_LOST);
    } else if (packet->is_end) {
        struct cluster_link *link = end->link;
        end->open = false;
        end->link = NULL;
        cluster_link_down(end->host->cluster, link, packet->cause, host_now(end->host));
        schedule_tick(end->host);
    } else {
        take_bytes(end, bytes_of(packet->data, packet->len));
    }
    free(packet);
    deliver_later(end);
    free_connection_if_done(connection);
}

static void on_tick(struct world *world, const struct event *event) {
    struct host *host = &world->hosts[event->host];
    if (host->cluster == NULL || host->starts != (uint32_t)event->other ||
        event->at_ms != host->tick_at_ms)
        return;
    host->tick_at_ms = INT64_MAX;
    if (host->paused_until_ms > world->now_ms || host_now(host) < cluster_due_ms(host->cluster)) {
        schedule_tick(host);
        return;
    }
    cluster_tick(host->cluster, host_now(host));
    if (cluster_due_ms(host->cluster) <= host_now(host))
        world_violation(world, "%s wants to be called again at once", host->name);
    schedule_tick(host);
}

static void on_disk(struct world *world, const struct event *event) {
    struct host *host = &world->hosts[event->host];
    if (host->cluster == NULL || host->starts != (uint32_t)event->other || !host->dirty)
        return;
    host->dirty = false;
    write_disk(host);
}

static void on_discover(struct world *world, const struct event *event) {
    struct host *host = &world->hosts[event->host];
    if (host->cluster == NULL || host->starts != (uint32_t)event->other)
        return;
    if (cluster_wants_discovery(host->cluster))
        host_discover(host);
    push_event(world, world->now_ms + 5000, DISCOVER, host->index, (int)host->starts, NULL);
}

void handle_event(struct world *world, const struct event *event) {
    switch (event->type) {
    case TICK:
        on_tick(world, event);
        break;
    case DELIVER:
        on_deliver(world, event->what);
        break;
    case CONNECT:
        on_connect(world, event);
        break;
    case CONNECTED:
        on_connected(world, event);
        break;
    case CONNECT_FAILED:
        on_connect_failed(world, event);
        break;
    case DISK:
        on_disk(world, event);
        break;
    case DISCOVER:
        on_discover(world, event);
        break;
    }
}
