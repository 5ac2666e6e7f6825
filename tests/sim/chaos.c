#include "chaos.h"

#include "oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_MS 150000 /* the stated bound: after the last fault all agree within this time */
#define REST_MS 12000    /* and for so long nothing is said but that all live */

static const char *const node_names[] = {"rabbit", "ejabberd", "emqx",   "couchdb",
                                         "riak",   "vernemq",  "zotonic"};
#define NODE_NAMES (sizeof node_names / sizeof node_names[0])

struct chaos {
    struct world *world;
    struct oracle *oracle;
};

static struct host *any_host(struct chaos *chaos) {
    return &chaos->world
                ->hosts[random_below(&chaos->world->random, (uint64_t)chaos->world->host_count)];
}

static int any(struct chaos *chaos, int bound) {
    return (int)random_below(&chaos->world->random, (uint64_t)bound);
}

/* --- the oracle hears what the hosts hear --- */

static struct oracle *listening; /* one world at a time */

/* Invariant 4: nobody is cleaned for a fault that was shorter than autoclean. */
static void check_cleaned(const struct host *host, const struct host *out) {
    struct world *world = host->world;
    int there = host->index * world->host_count + out->index;
    int back = out->index * world->host_count + host->index;
    if (!host_runs(out) || world->cut[there] || world->cut[back])
        return;
    int64_t since_ms =
        world->cut_ms[there] > world->cut_ms[back] ? world->cut_ms[there] : world->cut_ms[back];
    if (since_ms < out->started_ms)
        since_ms = out->started_ms;
    if (since_ms < host->started_ms)
        since_ms = host->started_ms;
    if (out->slow_ms == 0 && host->slow_ms == 0 && since_ms < out->paused_until_ms)
        since_ms = out->paused_until_ms;
    if (world->now_ms - since_ms > 3 * CLUSTER_CONNECT_MS && out->slow_ms == 0 &&
        host->slow_ms == 0 && oracle_lists(out, host, NULL))
        world_violation(world, "invariant 4: %s cleans %s, which it reaches", host->name,
                        out->name);
}

static void on_event(struct host *host, const struct cluster_event *event) {
    if (listening == NULL)
        return;
    if (event->type == CLUSTER_EVENT_JOIN_DONE || event->type == CLUSTER_EVENT_JOIN_FAILED) {
        if (event->type == CLUSTER_EVENT_JOIN_DONE)
            oracle_joined(listening, host);
        else
            oracle_joins(listening, host);
        host->joining_to = -1;
    }
    if (event->type == CLUSTER_EVENT_CLEANED) {
        struct world *world = host->world;
        int index = atoi(event->name + 1);
        if (index >= 0 && index < world->host_count)
            check_cleaned(host, &world->hosts[index]);
    }
}

/* --- what may happen --- */

static void start(struct chaos *chaos, struct host *host) {
    oracle_starts(chaos->oracle, host);
    host_start(host);
}

static void join(struct chaos *chaos, struct host *host, struct host *target) {
    if (!host_runs(host) || host == target || host->joining_to >= 0)
        return;
    struct cluster_member_view view;
    if (cluster_member_find(host->cluster, target->name, &view) && view.state <= CLUSTER_DOWN)
        return;
    oracle_joins(chaos->oracle, host);
    host_join(host, target);
}

static void leave(struct chaos *chaos, struct host *host) {
    if (host_runs(host) && host_leave(host))
        oracle_left(chaos->oracle, host);
}

static void force_leave(struct chaos *chaos, struct host *host, struct host *out) {
    if (!host_runs(host) || host == out)
        return;
    struct cluster_member_view known, own = {.joined = out->last_joined};
    if (host_runs(out))
        cluster_member_find(out->cluster, out->name, &own);
    /* of a join that it has not heard of only the clocks can tell, and they are wrong here */
    bool current =
        cluster_member_find(host->cluster, out->name, &known) && known.joined == own.joined;
    if (host_force_leave(host, out))
        oracle_forced(chaos->oracle, host, out, current);
}

static void crash(struct chaos *chaos, struct host *host) {
    if (!host_runs(host))
        return;
    bool lose = any(chaos, 3) > 0;
    if (lose)
        oracle_crashes(chaos->oracle, host);
    host_crash(host, lose);
}

static void die(struct chaos *chaos, struct host *host) {
    if (!host_runs(host))
        return;
    oracle_crashes(chaos->oracle, host);
    host_die(host);
}

static void cut_some(struct chaos *chaos) {
    struct host *a = any_host(chaos), *b = any_host(chaos);
    if (a == b)
        return;
    world_cut(chaos->world, a->index, b->index, true);
    if (any(chaos, 3) > 0)
        world_cut(chaos->world, b->index, a->index, true);
}

static void partition(struct chaos *chaos) {
    struct world *world = chaos->world;
    int parts = 2 + any(chaos, 3), part_of[64];
    for (int i = 0; i < world->host_count; i++)
        part_of[i] = any(chaos, parts);
    for (int i = 0; i < world->host_count; i++) {
        for (int j = 0; j < world->host_count; j++) {
            if (i != j)
                world_cut(world, i, j, part_of[i] != part_of[j]);
        }
    }
}

static void mend_all(struct world *world) {
    for (int i = 0; i < world->host_count; i++) {
        for (int j = 0; j < world->host_count; j++)
            world_cut(world, i, j, false);
    }
}

static void change_names(struct chaos *chaos, struct host *host) {
    if (any(chaos, 3) > 0)
        host_register(host, node_names[any(chaos, NODE_NAMES)]);
    else if (host->name_count > 0)
        host_unregister(host, (size_t)any(chaos, (int)host->name_count));
}

static void something(struct chaos *chaos) {
    struct world *world = chaos->world;
    struct host *host = any_host(chaos);
    int dice = any(chaos, 100);
    if (dice < 20)
        join(chaos, host, any_host(chaos));
    else if (dice < 24)
        leave(chaos, host);
    else if (dice < 29)
        force_leave(chaos, host, any_host(chaos));
    else if (dice < 38)
        crash(chaos, host);
    else if (dice < 41)
        die(chaos, host);
    else if (dice < 44)
        host_stop(host);
    else if (dice < 56 && !host_runs(host))
        start(chaos, host);
    else if (dice < 63)
        cut_some(chaos);
    else if (dice < 68)
        partition(chaos);
    else if (dice < 75)
        mend_all(world);
    else if (dice < 80 && host_runs(host))
        host_pause(host, random_between(&world->random, 50, 8000));
    else if (dice < 83)
        host->slow_ms = any(chaos, 2) * random_between(&world->random, 1, 900);
    else if (dice < 86)
        host->wall_ms += random_between(&world->random, -3600000, 3600000);
    else
        change_names(chaos, host);
}

/* --- a run --- */

static void choose_world(struct chaos *chaos) {
    struct world *world = chaos->world;
    world->latency_max_ms = random_between(&world->random, 1, 60);
    world->disk_max_ms = random_between(&world->random, 1, 2000);
    world->fragment = any(chaos, 4) == 0;
    world->overflow = any(chaos, 4) == 0;
    world->discovery = any(chaos, 4) == 0;
    world->autoclean_ms = any(chaos, 3) == 0 ? random_between(&world->random, 8000, 30000) : 300000;
    for (int i = 0; i < world->host_count; i++)
        world->hosts[i].wall_ms = random_between(&world->random, -600000, 600000);
}

static void form(struct chaos *chaos) {
    struct world *world = chaos->world;
    for (int i = 0; i < world->host_count; i++) {
        start(chaos, &world->hosts[i]);
        change_names(chaos, &world->hosts[i]);
    }
    if (world->discovery || any(chaos, 4) == 0)
        return;
    for (int i = 1; i < world->host_count; i++) {
        join(chaos, &world->hosts[i], &world->hosts[any(chaos, i)]);
        world_run(world, any(chaos, 300));
    }
}

static void end_faults(struct chaos *chaos) {
    struct world *world = chaos->world;
    mend_all(world);
    world->overflow = false;
    for (int i = 0; i < world->host_count; i++) {
        struct host *host = &world->hosts[i];
        host->slow_ms = 0;
        if (!host_runs(host) && any(chaos, 5) > 0)
            start(chaos, host);
    }
    world_trace(world, "the faults end");
}

static int64_t settle(struct world *world) {
    char why[256];
    int64_t begun_ms = world->now_ms;
    while (world->now_ms - begun_ms < SETTLE_MS) {
        if (!world_run(world, 2000))
            return -1;
        if (oracle_agreed(world, why, sizeof why))
            return world->now_ms - begun_ms;
    }
    world_violation(world, "invariant 1: not settled after %d s: %s", SETTLE_MS / 1000, why);
    return -1;
}

static bool all_is_well(const struct world *world) {
    for (int i = 0; i < world->host_count; i++) {
        if (!host_runs(&world->hosts[i]))
            return false;
    }
    return true;
}

/* Invariant 7: who agrees has nothing to say but that it starts. */
static void check_rest(struct world *world) {
    if (!all_is_well(world))
        return;
    uint64_t before[FRAME_TYPES];
    memcpy(before, world->frames_of, sizeof before);
    world_run(world, REST_MS);
    static const int talk[] = {2, 5, 9, 10, 11, 12};
    for (size_t i = 0; i < sizeof talk / sizeof talk[0]; i++) {
        if (world->frames_of[talk[i]] != before[talk[i]])
            world_violation(world, "invariant 7: %" PRIu64 " frames of type %d at rest",
                            world->frames_of[talk[i]] - before[talk[i]], talk[i]);
    }
}

/* --- kinds of starts --- */

static void run_chaos(struct chaos *chaos) {
    struct world *world = chaos->world;
    choose_world(chaos);
    form(chaos);
    if (any(chaos, 8) == 0)
        alloc_failures_begin(world->seed, 100);
    int steps = (int)random_between(&world->random, 5, 40);
    for (int i = 0; i < steps && !world->failed; i++) {
        something(chaos);
        world_run(world, random_between(&world->random, 0, any(chaos, 2) == 0 ? 500 : 5000));
    }
    alloc_failures_begin(0, 0);
    end_faults(chaos);
}

static void form_one(struct chaos *chaos) {
    struct world *world = chaos->world;
    world->latency_max_ms = random_between(&world->random, 1, 60);
    for (int i = 0; i < world->host_count; i++)
        start(chaos, &world->hosts[i]);
    for (int i = 1; i < world->host_count; i++) {
        join(chaos, &world->hosts[i], &world->hosts[any(chaos, i)]);
        world_run(world, 300);
    }
    world_run(world, 15000);
}

static size_t count_events(const struct world *world, enum cluster_event_type type) {
    size_t count = 0;
    for (int i = 0; i < world->host_count; i++)
        count += world->hosts[i].events[type];
    return count;
}

/* Invariant 8: one broken path has nobody suspected, moves no incarnation and hides no change. */
static void run_with_a_broken_path(struct chaos *chaos) {
    struct world *world = chaos->world;
    char why[256];
    form_one(chaos);
    uint64_t incarnations[64];
    for (int i = 0; i < world->host_count; i++)
        incarnations[i] = cluster_incarnation(world->hosts[i].cluster);
    int a = any(chaos, world->host_count), b = a;
    struct cluster_member_view view = {.linked = false};
    for (int i = 0; i < 50 && (a == b || !view.linked); i++) {
        b = any(chaos, world->host_count);
        cluster_member_find(world->hosts[a].cluster, world->hosts[b].name, &view);
    }
    if (a == b)
        return;
    world_cut(world, a, b, true);
    if (any(chaos, 2) == 0)
        world_cut(world, b, a, true);
    for (int i = 0; i < 10; i++) {
        change_names(chaos, any_host(chaos));
        world_run(world, random_between(&world->random, 100, 6000));
    }
    world_run(world, 3000);
    if (count_events(world, CLUSTER_EVENT_SUSPECT) + count_events(world, CLUSTER_EVENT_DOWN) > 0)
        world_violation(world, "invariant 8: a broken path led to a suspicion");
    for (int i = 0; i < world->host_count; i++) {
        if (incarnations[i] != cluster_incarnation(world->hosts[i].cluster))
            world_violation(world, "invariant 8: a broken path moved an incarnation");
    }
    if (!oracle_agreed(world, why, sizeof why))
        world_violation(world, "invariant 8: behind a broken path: %s", why);
    mend_all(world);
}

/* A member that gets no processor for two seconds is not declared down, and declares none. */
static void run_starved(struct chaos *chaos) {
    struct world *world = chaos->world;
    world->disk_max_ms = 10;
    form_one(chaos);
    for (int i = 0; i < 6; i++) {
        host_pause(any_host(chaos), random_between(&world->random, 100, 2000 - 2 * 60));
        world_run(world, random_between(&world->random, 5000, 9000));
    }
    if (count_events(world, CLUSTER_EVENT_DOWN) > 0)
        world_violation(world, "starvation: somebody was declared down");
}

struct chaos_result chaos_run(uint64_t seed, bool tracing) {
    struct random first = random_of(seed ^ UINT64_C(0x706f72746f6c616e));
    int kind = (int)random_below(&first, 16);
    int hosts = (int)random_between(&first, 2, 7);
    if (kind >= 14)
        hosts += 2;
    if (kind >= 13 && random_below(&first, 2) == 0)
        hosts = (int)random_between(&first, 17, 22);
    struct chaos chaos = {.world = world_new(seed, hosts)};
    struct world *world = chaos.world;
    const char *seeds[64];
    for (int i = 0; i < hosts; i++)
        seeds[i] = world->hosts[i].name;
    world->seeds = seeds;
    world->seed_count = (size_t)hosts;
    world->tracing = tracing;
    world->on_event = on_event;
    chaos.oracle = oracle_new(world);
    listening = chaos.oracle;
    if (kind == 15)
        run_starved(&chaos);
    else if (kind == 14)
        run_with_a_broken_path(&chaos);
    else
        run_chaos(&chaos);
    struct chaos_result result = {.settled_ms = settle(world)};
    if (!world->failed) {
        world_run(world, 20000);
        settle(world);
        oracle_judge(chaos.oracle);
    }
    if (!world->failed)
        check_rest(world);
    result.passed = !world->failed;
    result.steps = world->steps;
    result.frames = world->frames;
    snprintf(result.violation, sizeof result.violation, "%s", world->violation);
    listening = NULL;
    oracle_free(chaos.oracle);
    world_free(world);
    return result;
}
