#include "scenario_tools.h"

#include <stdio.h>
#include <string.h>

struct world *world;
const char *broken;
bool tracing;

/* --- setting up --- */

void some_hosts(int count) {
    world = world_new(42, count);
    world->tracing = tracing;
    for (int i = 0; i < count; i++)
        host_start(&world->hosts[i]);
    world_run(world, 50);
}

struct host *host(int index) {
    return &world->hosts[index];
}

void a_cluster_of(int count) {
    some_hosts(count);
    for (int i = 1; i < count; i++) {
        host_join(host(i), host(0));
        world_run(world, 20);
    }
    world_run(world, 3000);
}

static const char *seed_names[64];

void with_seeds(int count) {
    world = world_new(42, count);
    world->discovery = true;
    for (int i = 0; i < count; i++)
        seed_names[i] = host(i)->name;
    world->seeds = seed_names;
    world->seed_count = (size_t)count;
}

void cut(int a, int b, bool cut_it) {
    world_cut(world, a, b, cut_it);
    world_cut(world, b, a, cut_it);
}

/* Cuts (or mends) all connections between hosts below `border` and those from it on. */
void split_at(int border, bool cut_it) {
    for (int i = 0; i < border; i++) {
        for (int j = border; j < world->host_count; j++)
            cut(i, j, cut_it);
    }
}

void isolate(int index, bool cut_it) {
    for (int i = 0; i < world->host_count; i++) {
        if (i != index)
            cut(index, i, cut_it);
    }
}

/* --- looking --- */

bool all_agree(void) {
    char why[256] = "";
    bool agreed = oracle_agreed(world, why, sizeof why);
    if (!agreed && world->tracing)
        printf("%s\n", why);
    return agreed;
}

size_t members_of(int index) {
    return cluster_member_count(host(index)->cluster);
}

bool lists(int a, int b) {
    return oracle_lists(host(a), host(b), NULL);
}

enum cluster_state state_at(int a, int b) {
    struct cluster_member_view view;
    bool known = cluster_member_find(host(a)->cluster, host(b)->name, &view);
    return known ? view.state : CLUSTER_LEFT;
}

bool all_are_one(void) {
    for (int i = 0; i < world->host_count; i++) {
        if (host_runs(host(i)) && members_of(i) != (size_t)world->host_count)
            return false;
    }
    return all_agree();
}

/* How long until `a_fact` holds everywhere but at `but`; -1: not within the time. */
int64_t time_until(bool (*a_fact)(int at, int about), int about, int64_t at_most_ms) {
    for (int64_t waited_ms = 0; waited_ms <= at_most_ms; waited_ms += 10) {
        bool holds = true;
        for (int i = 0; i < world->host_count && holds; i++)
            holds = i == about || !host_runs(host(i)) || a_fact(i, about);
        if (holds)
            return waited_ms;
        world_run(world, 10);
    }
    return -1;
}

bool has_down(int at, int about) {
    return state_at(at, about) == CLUSTER_DOWN;
}

bool lists_not(int at, int about) {
    return !lists(at, about);
}

size_t suspicions_and_downs(void) {
    size_t count = 0;
    for (int i = 0; i < world->host_count; i++)
        count += host(i)->events[CLUSTER_EVENT_SUSPECT] + host(i)->events[CLUSTER_EVENT_DOWN];
    return count;
}

bool incarnations_stand(void) {
    static uint64_t before[64];
    bool stand = true;
    for (int i = 0; i < world->host_count && host_runs(host(i)); i++) {
        uint64_t now = cluster_incarnation(host(i)->cluster);
        stand = stand && (before[i] == 0 || before[i] == now);
        before[i] = world->now_ms < 20000 ? now : 0;
    }
    return stand;
}

bool knows_name(int at, const char *node, int owner) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", node, strchr(host(owner)->name, '@'));
    return directory_find(cluster_directory(host(at)->cluster), bytes_of_text(full)) != NULL;
}

int verdict_of_join(int a, int b) {
    return (int)cluster_join(host(a)->cluster, host(b)->name, host_now(host(a)));
}
