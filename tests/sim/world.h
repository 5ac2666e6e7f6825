/*
 * A world for clusters: hosts with a process, a disk and two clocks each, connections between them,
 * and a queue of events in virtual time. The state machine of src/cluster runs in it as it is;
 * struct cluster_io is implemented here with queues. All chance comes from one seed.
 *
 * What is modelled, in milliseconds:
 *   - a connection takes round trips; it is refused where no process runs, and times out over a cut
 *     path or at a dead host; frames on it arrive in order, later or (cut) when the path is mended
 *   - a process that crashes has its connections reset by its kernel; a host that dies does not
 *   - what is persisted reaches the disk some time later; a crash before that loses it
 *   - each host has its own monotonic clock (another start) and wall clock (skewed, stepping)
 *   - a paused or slow process gets its events late
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "cluster/cluster.h"

#include <stdarg.h>
#include <stdio.h>

#define HOST_NAME_MAX_LEN 48
#define NODES_PER_HOST 16
#define FRAME_TYPES 16

struct node_name {
    char name[24];
    uint16_t port;
    uint16_t front_port; /* changes when it is registered again */
    uint32_t creation;   /* of the life of the process: what the directory shows has to be of it */
};

/* What must hold of two hosts until something that they do ends it; see oracle.c. */
struct host {
    char name[HOST_NAME_MAX_LEN];
    struct world *world;
    int index;
    struct cluster *cluster; /* NULL: no process runs */
    bool dead;               /* the host itself is off */
    uint32_t starts;
    const char *cluster_name; /* NULL: that of all others */
    bool misnamed;            /* its certificate is for another host */
    int64_t started_ms;
    int64_t clock_ms; /* its monotonic clock is this far ahead */
    int64_t wall_ms;  /* its wall clock too */
    int64_t paused_until_ms;
    int64_t slow_ms; /* its events are up to this late */
    int64_t tick_at_ms;

    uint8_t *disk;
    size_t disk_len;
    bool dirty; /* a write is under way */
    int64_t synced_ms, changed_ms, urgent_ms;

    struct node_name names[NODES_PER_HOST];
    size_t name_count;

    /* what it was told */
    int joining_to;
    int64_t join_begun_ms;
    size_t joins_done, joins_failed;
    enum cluster_cause join_cause;
    size_t events[CLUSTER_EVENT_DIRECTORY_FULL + 1];
    uint64_t first_incarnation; /* of this life */
    uint64_t saved_incarnation; /* that the disk knows of */
    uint64_t last_joined;       /* of its last life, when it does not run */
    struct random start_random; /* scale.c */
    struct cluster_io io;       /* what its cluster asks of it */
};

struct connection_end;

struct world {
    uint64_t seed;
    struct random random;
    int64_t now_ms;
    struct host *hosts;
    int host_count;
    uint8_t *cut;    /* [from * host_count + to]; NULL in worlds too large for it */
    int64_t *cut_ms; /* when it was last cut or mended */
    int64_t latency_min_ms, latency_max_ms;
    int64_t disk_max_ms;
    bool fragment; /* frames arrive in pieces */
    bool overflow; /* now and then a queue is full */
    bool autoheal;
    bool discovery;
    int64_t autoclean_ms;
    const char **seeds;
    size_t seed_count;

    struct event *heap;
    size_t heap_count, heap_capacity;
    uint64_t next_number;
    struct connection_list *connections;

    uint64_t frames, bytes, steps;
    uint64_t steps_of_second; /* events since `second_ms`: invariant 7 */
    int64_t second_ms;
    uint64_t frames_of[FRAME_TYPES];
    size_t longest_frame;

    int *order;      /* scale.c: hosts by their place on the ring */
    bool never_sync; /* scale.c: nothing is written to disks */

    bool tracing;
    bool failed;
    char violation[512];
    void (*on_event)(struct host *host, const struct cluster_event *event);
};

struct world *world_new(uint64_t seed, int host_count);
void world_free(struct world *world);

/* Runs until this time; false when an invariant was broken on the way. */
bool world_run(struct world *world, int64_t for_ms);

int64_t host_now(const struct host *host); /* what its monotonic clock says */
bool host_start(struct host *host);
bool host_start_with(struct host *host, struct random random);
uint64_t host_hash(const struct host *host);            /* its place on the ring */
void host_crash(struct host *host, bool lose_unsynced); /* the process; its kernel resets */
void host_die(struct host *host);                       /* the host: nobody is told */
void host_stop(struct host *host);                      /* in order */
void host_pause(struct host *host, int64_t for_ms);
void host_join(struct host *host, struct host *target);
bool host_leave(struct host *host);
bool host_force_leave(struct host *host, struct host *target);
void host_register(struct host *host, const char *name);
void host_unregister(struct host *host, size_t which);
void host_discover(struct host *host);
bool host_runs(const struct host *host);

void world_cut(struct world *world, int from, int to, bool cut);
bool world_reaches(const struct world *world, int from, int to);

/* Frames that `from` says to `to` on a link between them, as a liar might. False: there is none. */
bool world_inject(struct world *world, int from, int to, struct bytes frames);

/* From here on one in so many of the core's allocations fails; 0: none does (alloc_failures.c). */
void alloc_failures_begin(uint64_t seed, unsigned fails_one_in);

/* A line of the trace, when there is one. */
void world_trace(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Something is wrong: the first violation stays. */
void world_violation(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
