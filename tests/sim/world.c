#include "world_inner.h"

/* --- the queue of events --- */

static bool before(const struct event *a, const struct event *b) {
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->number < b->number;
}

void push_event(struct world *world, int64_t at_ms, enum event_type type, int host, int other,
                void *what) {
    if (world->heap_count == world->heap_capacity) {
        world->heap_capacity = world->heap_capacity == 0 ? 256 : world->heap_capacity * 2;
        world->heap = realloc(world->heap, world->heap_capacity * sizeof *world->heap);
        if (world->heap == NULL)
            abort();
    }
    struct event event = {at_ms, world->next_number++, type, host, other, what};
    size_t at = world->heap_count++;
    for (; at > 0 && before(&event, &world->heap[(at - 1) / 2]); at = (at - 1) / 2)
        world->heap[at] = world->heap[(at - 1) / 2];
    world->heap[at] = event;
}

static struct event pop(struct world *world) {
    struct event top = world->heap[0], last = world->heap[--world->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= world->heap_count)
            break;
        if (child + 1 < world->heap_count && before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!before(&world->heap[child], &last))
            break;
        world->heap[at] = world->heap[child];
        at = child;
    }
    world->heap[at] = last;
    return top;
}

/* --- words --- */

void world_trace(const struct world *world, const char *format, ...) {
    if (!world->tracing)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("%9.3f  ", (double)world->now_ms / 1000);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void world_violation(struct world *world, const char *format, ...) {
    if (world->failed)
        return;
    world->failed = true;
    va_list arguments;
    va_start(arguments, format);
    int len = snprintf(world->violation, sizeof world->violation,
                       "at %.3f s: ", (double)world->now_ms / 1000);
    vsnprintf(world->violation + len, sizeof world->violation - (size_t)len, format, arguments);
    va_end(arguments);
    world_trace(world, "VIOLATION %s", world->violation);
}

/* --- running --- */

/* Invariant 7: nothing that happens once is talked about for ever. */
static void count_step(struct world *world) {
    world->steps++;
    if (world->now_ms - world->second_ms >= 1000) {
        world->second_ms = world->now_ms;
        world->steps_of_second = 0;
    }
    uint64_t hosts = (uint64_t)world->host_count;
    if (hosts <= 32 && ++world->steps_of_second > 20000 + 400 * hosts * hosts)
        world_violation(world, "invariant 7: the members talk without end");
}

bool world_run(struct world *world, int64_t for_ms) {
    int64_t until_ms = world->now_ms + for_ms;
    while (!world->failed && world->heap_count > 0 && world->heap[0].at_ms <= until_ms) {
        struct event event = pop(world);
        world->now_ms = event.at_ms;
        count_step(world);
        handle_event(world, &event);
    }
    if (world->now_ms < until_ms)
        world->now_ms = until_ms;
    return !world->failed;
}

/* --- the world --- */

struct world *world_new(uint64_t seed, int host_count) {
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL)
        abort();
    size_t pairs = (size_t)host_count * (size_t)host_count;
    world->seed = seed;
    world->random = random_of(seed);
    world->host_count = host_count;
    world->hosts = calloc((size_t)host_count, sizeof *world->hosts);
    if (host_count <= CUTS_FOR_MAX) {
        world->cut = calloc(pairs, sizeof *world->cut);
        world->cut_ms = calloc(pairs, sizeof *world->cut_ms);
        if (world->cut == NULL || world->cut_ms == NULL)
            abort();
    }
    world->connections = calloc(1, sizeof *world->connections);
    if (world->hosts == NULL || world->connections == NULL)
        abort();
    LIST_INIT(world->connections);
    world->latency_min_ms = 1;
    world->latency_max_ms = 5;
    world->disk_max_ms = 50;
    world->autoheal = true;
    world->autoclean_ms = 5 * 60 * 1000;
    for (int i = 0; i < host_count; i++) {
        struct host *host = &world->hosts[i];
        snprintf(host->name, sizeof host->name, "p%d@h%d.example.org", i, i);
        host->world = world;
        host->index = i;
        host->clock_ms = random_between(&world->random, 0, 1000000);
        host->tick_at_ms = INT64_MAX;
        host->joining_to = -1;
    }
    return world;
}

void world_free(struct world *world) {
    for (int i = 0; i < world->host_count; i++) {
        cluster_free(world->hosts[i].cluster);
        free(world->hosts[i].disk);
    }
    while (!LIST_EMPTY(world->connections)) {
        struct connection *connection = LIST_FIRST(world->connections);
        LIST_REMOVE(connection, entry);
        empty_end(&connection->ends[0]);
        empty_end(&connection->ends[1]);
        free(connection);
    }
    free(world->connections);
    free(world->hosts);
    free(world->cut);
    free(world->cut_ms);
    free(world->heap);
    free(world);
}
