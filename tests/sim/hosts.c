#include "world_inner.h"

#include "cluster/membership.h"

#define CHECKED_HOSTS_MAX 64 /* in a world: a look inside goes over all members and links */

/* --- time --- */

int64_t host_now(const struct host *host) {
    return host->world->now_ms + host->clock_ms;
}

bool host_runs(const struct host *host) {
    return host->cluster != NULL;
}

struct host *host_named(struct world *world, const char *name) {
    int index = atoi(name + 1);
    return index >= 0 && index < world->host_count ? &world->hosts[index] : NULL;
}

/* When the process sees what arrives at `at_ms`. */
int64_t seen_at(struct host *host, int64_t at_ms) {
    if (host->slow_ms > 0)
        at_ms += random_between(&host->world->random, 0, host->slow_ms);
    return at_ms < host->paused_until_ms ? host->paused_until_ms : at_ms;
}

/* Invariant 9: a member is whole inside, after every call. */
static void check(struct host *host) {
    const char *wrong =
        host->world->host_count <= CHECKED_HOSTS_MAX ? cluster_check(host->cluster) : NULL;
    if (wrong != NULL)
        world_violation(host->world, "invariant 9: in %s %s", host->name, wrong);
}

void schedule_tick(struct host *host) {
    if (host->cluster == NULL)
        return;
    check(host);
    int64_t due_ms = cluster_due_ms(host->cluster);
    if (due_ms == INT64_MAX)
        return;
    int64_t at_ms = due_ms - host->clock_ms;
    if (at_ms < host->world->now_ms)
        at_ms = host->world->now_ms;
    at_ms = seen_at(host, at_ms);
    if (at_ms >= host->tick_at_ms)
        return;
    host->tick_at_ms = at_ms;
    push_event(host->world, at_ms, TICK, host->index, (int)host->starts, NULL);
}

/* --- what the cluster asks for --- */

static bool io_name_allowed(void *context, void *handle, const char *name) {
    struct connection_end *end = handle;
    (void)context;
    (void)name;
    return !other_end(end)->host->misnamed;
}

static bool io_connect(void *context, const char *name) {
    struct host *host = context;
    struct world *world = host->world;
    struct host *target = host_named(world, name);
    world_trace(world, "%s connects to %s", host->name, name);
    if (host->cluster == NULL) /* a shell asks it for the member's port */
        world_violation(world, "%s connects before it has its cluster", host->name);
    if (target == NULL)
        return false;
    push_event(world, world->now_ms + link_latency(world), CONNECT, host->index, target->index,
               (void *)(uintptr_t)host->starts);
    return true;
}

static bool io_send(void *context, void *handle, struct bytes frames) {
    struct host *host = context;
    struct connection_end *end = handle;
    struct world *world = host->world;
    uint8_t type = frames.data[4];
    if (world->overflow && random_below(&world->random, 400) == 0)
        return false;
    world->frames++;
    world->bytes += frames.len;
    world->frames_of[type < FRAME_TYPES ? type : 0]++;
    if (frames.len > world->longest_frame)
        world->longest_frame = frames.len;
    struct connection_end *to = other_end(end);
    if (world->fragment && frames.len > 2 && random_below(&world->random, 8) == 0) {
        size_t half = 1 + (size_t)random_below(&world->random, frames.len - 1);
        send_packet(to, bytes_of(frames.data, half), false, CLUSTER_CAUSE_NONE);
        frames = bytes_of(frames.data + half, frames.len - half);
    }
    send_packet(to, frames, false, CLUSTER_CAUSE_NONE);
    return true;
}

void end_link(struct host *host, struct connection_end *end, enum cluster_cause cause) {
    world_trace(host->world, "%s ends its link with %s: %s", host->name, other_end(end)->host->name,
                cluster_cause_name(cause));
    end->open = false;
    end->link = NULL;
    send_packet(other_end(end), bytes_of(NULL, 0), true, CLUSTER_CAUSE_CLOSED);
}

static void io_disconnect(void *context, void *handle, enum cluster_cause cause) {
    end_link(context, handle, cause);
}

static void io_persist(void *context, bool urgent) {
    struct host *host = context;
    struct world *world = host->world;
    host->changed_ms = world->now_ms;
    if (urgent)
        host->urgent_ms = world->now_ms;
    if (host->dirty || world->never_sync)
        return;
    host->dirty = true;
    push_event(world, world->now_ms + random_between(&world->random, 0, world->disk_max_ms), DISK,
               host->index, (int)host->starts, NULL);
}

static void io_notify(void *context, const struct cluster_event *event) {
    struct host *host = context;
    host->events[event->type]++;
    if (event->type == CLUSTER_EVENT_JOIN_DONE)
        host->joins_done++;
    if (event->type == CLUSTER_EVENT_JOIN_FAILED) {
        host->joins_failed++;
        host->join_cause = event->cause;
    }
    if (event->node != NULL)
        world_trace(host->world, "%s: %s %.*s@%s", host->name, cluster_event_name(event->type),
                    (int)event->node->name.len, (const char *)event->node->name.data, event->name);
    else if (event->type != CLUSTER_EVENT_JOIN_PROGRESS)
        world_trace(host->world, "%s: %s %s (%s)", host->name, cluster_event_name(event->type),
                    event->name, cluster_cause_name(event->cause));
    if (host->world->on_event != NULL)
        host->world->on_event(host, event);
}

/* --- what happens to hosts --- */

static struct directory_name as_directory_name(const struct node_name *name) {
    return (struct directory_name){.name = bytes_of_text(name->name),
                                   .port = name->port,
                                   .front_port = name->front_port,
                                   .type = 77,
                                   .highest_version = 6,
                                   .lowest_version = 5,
                                   .creation = name->creation};
}

uint64_t host_hash(const struct host *host) {
    return membership_hash(bytes_of_text(host->name));
}

bool host_start(struct host *host) {
    return host_start_with(host, random_of(random_next(&host->world->random)));
}

bool host_start_with(struct host *host, struct random random) {
    struct world *world = host->world;
    struct cluster_options options = cluster_options_default();
    options.name = host->name;
    options.cluster_name = host->cluster_name == NULL ? "sim" : host->cluster_name;
    options.port = 4370;
    options.autoheal = world->autoheal;
    options.autoclean_ms = world->autoclean_ms;
    options.discovery = world->discovery;
    options.wall_ms = WALL_START_MS + world->now_ms + host->wall_ms;
    options.random = random;
    options.stored = bytes_of(host->disk, host->disk_len);
    host->io = (struct cluster_io){.connect = io_connect,
                                   .send = io_send,
                                   .disconnect = io_disconnect,
                                   .persist = io_persist,
                                   .notify = io_notify,
                                   .name_allowed = io_name_allowed};
    options.io = host->io;
    options.io_context = host;
    host->dead = false;
    host->starts++;
    host->dirty = false;
    host->paused_until_ms = 0;
    host->tick_at_ms = INT64_MAX;
    host->joining_to = -1;
    host->started_ms = world->now_ms;
    host->name_count = 0; /* nodes register anew with a new daemon */
    host->cluster = NULL;
    enum cluster_start started = cluster_new(&options, host_now(host), &host->cluster);
    if (started == CLUSTER_START_NO_MEMORY)
        return false;
    if (started != CLUSTER_STARTED) {
        world_violation(world, "%s does not start: %d", host->name, (int)started);
        return false;
    }
    host->first_incarnation = cluster_incarnation(host->cluster);
    world_trace(world, "%s starts, life %u, incarnation %" PRIu64, host->name, host->starts,
                host->first_incarnation);
    if (host->disk_len > 0 && host->first_incarnation <= host->saved_incarnation)
        world_violation(world, "the incarnation of %s does not grow", host->name);
    schedule_tick(host);
    if (world->discovery)
        push_event(world, world->now_ms + 1, DISCOVER, host->index, (int)host->starts, NULL);
    return true;
}

void write_disk(struct host *host) {
    size_t len;
    uint8_t *text = NULL;
    while (text == NULL) /* memory is short at times, never for ever */
        text = cluster_store_of(host->cluster, &len);
    free(host->disk);
    host->disk = text;
    host->disk_len = len;
    host->synced_ms = host->world->now_ms;
    host->saved_incarnation = cluster_incarnation(host->cluster);
}

/* The end of the process; its kernel resets its connections when the host starts on. */
static void end_process(struct host *host, bool tell) {
    struct connection *connection;
    struct connection *next;
    for (connection = LIST_FIRST(host->world->connections); connection != NULL; connection = next) {
        next = LIST_NEXT(connection, entry);
        for (int i = 0; i < 2; i++) {
            struct connection_end *end = &connection->ends[i];
            if (end->host != host || !is_held(end))
                continue;
            end->open = false;
            end->link = NULL;
            if (tell)
                send_packet(other_end(end), bytes_of(NULL, 0), true, CLUSTER_CAUSE_LOST);
        }
    }
    struct cluster_member_view self;
    if (cluster_member_find(host->cluster, host->name, &self))
        host->last_joined = self.joined;
    cluster_free(host->cluster);
    host->cluster = NULL;
    host->dirty = false;
}

void host_crash(struct host *host, bool lose_unsynced) {
    if (host->cluster == NULL)
        return;
    world_trace(host->world, "%s crashes%s", host->name,
                host->dirty && lose_unsynced ? " and loses what was not on its disk" : "");
    if (host->dirty && !lose_unsynced)
        write_disk(host);
    end_process(host, true);
}

void host_die(struct host *host) {
    if (host->cluster == NULL)
        return;
    world_trace(host->world, "%s dies without a word", host->name);
    end_process(host, false);
    host->dead = true;
}

void host_stop(struct host *host) {
    if (host->cluster == NULL)
        return;
    world_trace(host->world, "%s is stopped in order", host->name);
    cluster_stop(host->cluster, host_now(host));
    write_disk(host);
    end_process(host, true);
}

void host_pause(struct host *host, int64_t for_ms) {
    world_trace(host->world, "%s is paused for %" PRId64 " ms", host->name, for_ms);
    host->paused_until_ms = host->world->now_ms + for_ms;
}

void host_join(struct host *host, struct host *target) {
    if (host->cluster == NULL)
        return;
    enum cluster_verdict verdict = cluster_join(host->cluster, target->name, host_now(host));
    world_trace(host->world, "%s joins %s: %d", host->name, target->name, (int)verdict);
    if (verdict == CLUSTER_OK) {
        host->joining_to = target->index;
        host->join_begun_ms = host->world->now_ms;
    }
    schedule_tick(host);
}

bool host_leave(struct host *host) {
    if (host->cluster == NULL)
        return false;
    enum cluster_verdict verdict = cluster_leave(host->cluster, host_now(host));
    world_trace(host->world, "%s leaves: %d", host->name, (int)verdict);
    schedule_tick(host);
    return verdict == CLUSTER_OK;
}

bool host_force_leave(struct host *host, struct host *target) {
    if (host->cluster == NULL)
        return false;
    enum cluster_verdict verdict = cluster_force_leave(host->cluster, target->name, host_now(host));
    world_trace(host->world, "%s forces %s out: %d", host->name, target->name, (int)verdict);
    schedule_tick(host);
    return verdict == CLUSTER_OK;
}

static struct node_name *find_node(struct host *host, const char *name) {
    for (size_t i = 0; i < host->name_count; i++) {
        if (strcmp(host->names[i].name, name) == 0)
            return &host->names[i];
    }
    return NULL;
}

/* Makes `node` known to the cluster; false: it was refused, and what was known before stands. */
static bool publish(struct host *host, const struct node_name *node) {
    struct directory_name published = as_directory_name(node);
    size_t refused = host->events[CLUSTER_EVENT_DIRECTORY_FULL];
    world_trace(host->world, "%s registers %s", host->name, node->name);
    cluster_name_registered(host->cluster, &published, host_now(host));
    schedule_tick(host);
    return host->events[CLUSTER_EVENT_DIRECTORY_FULL] == refused;
}

static void register_again(struct host *host, struct node_name *node) {
    uint16_t before = node->front_port;
    node->front_port = before == 0 ? 4370 : 0;
    if (!publish(host, node))
        node->front_port = before;
}

void host_register(struct host *host, const char *name) {
    if (host->cluster == NULL)
        return;
    struct node_name *known = find_node(host, name);
    if (known != NULL)
        register_again(host, known);
    if (known != NULL || host->name_count == NODES_PER_HOST)
        return;
    struct node_name *made = &host->names[host->name_count++];
    snprintf(made->name, sizeof made->name, "%s", name);
    made->port = (uint16_t)random_between(&host->world->random, 6369, 7369);
    made->front_port = made->port % 2 == 0 ? 4371 : 0;
    made->creation = host->starts;
    if (!publish(host, made))
        host->name_count--;
}

void host_unregister(struct host *host, size_t which) {
    if (host->cluster == NULL || which >= host->name_count)
        return;
    world_trace(host->world, "%s unregisters %s", host->name, host->names[which].name);
    cluster_name_unregistered(host->cluster, bytes_of_text(host->names[which].name),
                              host_now(host));
    host->names[which] = host->names[--host->name_count];
    schedule_tick(host);
}

void host_discover(struct host *host) {
    if (host->cluster == NULL)
        return;
    cluster_discovered(host->cluster, host->world->seeds, host->world->seed_count, host_now(host));
    schedule_tick(host);
}
