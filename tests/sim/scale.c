/*
 * Large clusters. Up to 1,000 members they form by joining; more start from stores that list all,
 * for a cluster of that size was not made in a second either. Then, at each size: what it says at
 * rest, what a new name, a new member and a silent host cost, and how much memory a member takes.
 */
#include "cluster/store.h"
#include "scenarios.h"
#include "world.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FORM_BY_JOINING_MAX 1000
#define STEP_MS 10

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double started_s;

static void say(const char *what, double value, const char *unit) {
    printf("  %-44s %12.1f %s\n", what, value, unit);
    fprintf(stderr, "[%.0f s]\n", seconds() - started_s);
    fflush(stdout);
}

/* --- a cluster that is there already --- */

/* What a host's store would say if it had been a member for long: all others, as they are now. */
static void write_store(struct world *world, int member_count) {
    size_t capacity = (size_t)(member_count + 8) * STORE_LINE_MAX;
    uint8_t *records = malloc(capacity);
    if (records == NULL)
        abort();
    struct writer writer = writer_of(records, capacity);
    for (size_t cursor = 0; cursor < (size_t)member_count; cursor++) {
        struct host *host = &world->hosts[world->order[cursor]];
        struct store_record record = {.state = CLUSTER_ALIVE,
                                      .name = bytes_of_text(host->name),
                                      .generation = host->first_incarnation,
                                      .incarnation = host->first_incarnation,
                                      .port = 4370};
        cluster_store_write(&writer, &record);
    }
    for (int i = 0; i < member_count; i++) {
        struct host *host = &world->hosts[i];
        host->disk = malloc(writer.len + 4 * STORE_LINE_MAX);
        if (host->disk == NULL)
            abort();
        struct writer disk = writer_of(host->disk, writer.len + 4 * STORE_LINE_MAX);
        struct store_head head = {.name = bytes_of_text(host->name),
                                  .id = {.created_ms = 1, .random = 1}};
        cluster_store_write_head(&disk, &head);
        write_bytes(&disk, writer_bytes(&writer));
        cluster_store_write_sum(&disk);
        host->disk_len = disk.len;
        host_start_with(host, host->start_random);
        free(host->disk);
        host->disk = NULL;
        host->disk_len = 0;
    }
    free(records);
}

static int by_hash(const void *a, const void *b, void *context) {
    const struct world *world = context;
    uint64_t x = host_hash(&world->hosts[*(const int *)a]);
    uint64_t y = host_hash(&world->hosts[*(const int *)b]);
    return x < y ? -1 : x > y;
}

/* Each starts alone once, to learn with which incarnation it will start again. */
static void start_formed(struct world *world, int member_count) {
    for (int i = 0; i < member_count; i++) {
        struct host *host = &world->hosts[i];
        host->start_random = random_of(world->seed + (uint64_t)i);
        host_start_with(host, host->start_random);
        host_crash(host, true);
        host->disk_len = 0;
        world->order[i] = i;
    }
    qsort_r(world->order, (size_t)member_count, sizeof *world->order, by_hash, world);
    write_store(world, member_count);
}

/* --- waiting --- */

typedef bool fact(const struct host *host, const void *about);

/* Milliseconds until all that run say so; -1 when not within the time. */
static int64_t until_all(struct world *world, fact *is_so, const void *about, int64_t at_most_ms) {
    int64_t begun_ms = world->now_ms;
    int first = 0; /* those before it were found to say so */
    while (world->now_ms - begun_ms <= at_most_ms && !world->failed) {
        while (first < world->host_count &&
               (!host_runs(&world->hosts[first]) || is_so(&world->hosts[first], about)))
            first++;
        if (first == world->host_count)
            return world->now_ms - begun_ms;
        world_run(world, STEP_MS);
    }
    return -1;
}

static bool has_members(const struct host *host, const void *count) {
    return cluster_member_count(host->cluster) == *(const size_t *)count;
}

static bool has_names(const struct host *host, const void *count) {
    return directory_count(cluster_directory(host->cluster)) == *(const size_t *)count;
}

static bool has_down(const struct host *host, const void *about) {
    struct cluster_member_view view;
    return cluster_member_find(host->cluster, ((const struct host *)about)->name, &view) &&
           view.state == CLUSTER_DOWN;
}

/* --- the run --- */

static void form(struct world *world, int members) {
    size_t count = (size_t)members;
    if (members > FORM_BY_JOINING_MAX) {
        start_formed(world, members);
        say("start from stores, until linked (10 s)", 10, "s");
        world_run(world, 10000);
        return;
    }
    for (int i = 0; i < members; i++)
        host_start(&world->hosts[i]);
    world_run(world, 1000);
    for (int i = 1; i < members; i++) {
        host_join(&world->hosts[i], &world->hosts[0]);
        if (i % 20 == 0)
            world_run(world, STEP_MS);
    }
    int64_t took_ms = until_all(world, has_members, &count, 120000);
    say("all joined one: from the last join to all", (double)took_ms, "ms");
}

static void measure_rest(struct world *world, int members) {
    world_run(world, 30000);
    uint64_t frames = world->frames, bytes = world->bytes;
    world_run(world, 10000);
    say("at rest, frames sent by a member", (double)(world->frames - frames) / 10 / members, "/s");
    say("at rest, bytes sent by a member", (double)(world->bytes - bytes) / 10 / members, "/s");
    size_t links = 0, most = 0;
    for (int i = 0; i < members; i++) {
        size_t count = cluster_link_count(world->hosts[i].cluster);
        links += count;
        most = count > most ? count : most;
    }
    say("links of a member, mean", (double)links / members, "");
    say("links of a member, most", (double)most, "");
}

static void measure_name(struct world *world, int members) {
    size_t names = 1;
    host_register(&world->hosts[members / 2], "rabbit");
    int64_t took_ms = until_all(world, has_names, &names, 20000);
    say("a name registered: known to all after", (double)took_ms, "ms");
    say("... frames that carried it, each member", (double)world->frames_of[12] / members, "");
}

static void measure_join(struct world *world, int members) {
    size_t count = (size_t)members + 1;
    struct host *joiner = &world->hosts[members];
    host_start(joiner);
    int64_t begun_ms = world->now_ms;
    host_join(joiner, &world->hosts[members / 3]);
    while (joiner->joins_done == 0 && world->now_ms - begun_ms < 30000)
        world_run(world, STEP_MS);
    say("one more joins: has all after", (double)(world->now_ms - begun_ms), "ms");
    int64_t took_ms = until_all(world, has_members, &count, 20000);
    say("... known to all after", took_ms < 0 ? -1 : (double)(world->now_ms - begun_ms), "ms");
}

static void measure_death(struct world *world, int members) {
    world_run(world, 15000);
    struct host *dead = &world->hosts[members / 4];
    host_die(dead);
    say("a silent host: known to all after", (double)until_all(world, has_down, dead, 20000), "ms");
    size_t suspecting = 0;
    world_run(world, 3000);
    for (int i = 0; i < members; i++)
        suspecting += host_runs(&world->hosts[i]) && world->hosts[i].events[CLUSTER_EVENT_DOWN] > 1;
    say("... members that suspected anybody else", (double)suspecting, "");
    struct host *killed = &world->hosts[members / 5];
    host_crash(killed, true);
    say("a killed daemon: known to all after", (double)until_all(world, has_down, killed, 20000),
        "ms");
}

int scale_run(int members) {
    started_s = seconds();
    printf("%d members\n", members);
    struct world *world = world_new(7, members + 1);
    world->never_sync = true;
    world->order = calloc((size_t)members, sizeof *world->order);
    if (world->order == NULL)
        abort();
    size_t before = mallinfo2().uordblks;
    form(world, members);
    measure_rest(world, members);
    size_t after = mallinfo2().uordblks;
    say("memory of a member", (double)(after - before) / members / 1024, "KiB");
    say("... for each member it knows", (double)(after - before) / members / members, "bytes");
    measure_name(world, members);
    measure_join(world, members);
    measure_death(world, members);
    say("time this took", seconds() - started_s, "s");
    int result = world->failed;
    if (world->failed)
        printf("failed: %s\n", world->violation);
    free(world->order);
    world_free(world);
    return result;
}
