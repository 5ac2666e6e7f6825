/* What the files of the world share: its events, connections and what is on them. */
#ifndef SIM_WORLD_INNER_H
#define SIM_WORLD_INNER_H

#include "world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define WALL_START_MS INT64_C(1760000000000)
#define PENDING_MAX CLUSTER_FRAME_MAX
#define CUTS_FOR_MAX 1024 /* hosts between which connections can be cut */

enum event_type { TICK, DELIVER, CONNECT, CONNECTED, CONNECT_FAILED, DISK, DISCOVER };

struct event {
    int64_t at_ms;
    uint64_t number; /* events of one time keep their order */
    enum event_type type;
    int host, other;
    void *what;
};

/* --- connections: connections --- */

struct packet {
    STAILQ_ENTRY(packet) entry;
    int64_t at_ms;
    bool is_end; /* the sender closes, or its kernel does */
    enum cluster_cause cause;
    size_t len;
    uint8_t data[];
};
STAILQ_HEAD(packets, packet);

/* One direction's receiver: what is on its way to it. */
struct connection_end {
    struct connection *connection;
    struct host *host;
    uint32_t start; /* of the process that holds it */
    struct cluster_link *link;
    bool open;
    struct packets coming;
    bool scheduled;
    int64_t last_ms;
    uint8_t *rest; /* of an unfinished frame */
    size_t rest_len;
};

struct connection {
    LIST_ENTRY(connection) entry;
    struct connection_end ends[2]; /* 0: who called */
    bool calling;                  /* the caller does not know yet that it stands */
};
LIST_HEAD(connection_list, connection);

struct connection_end *other_end(struct connection_end *end);

/* world.c */
void push_event(struct world *world, int64_t at_ms, enum event_type type, int host, int other,
                void *what);

/* connections.c */
void handle_event(struct world *world, const struct event *event);
int64_t link_latency(struct world *world);
void send_packet(struct connection_end *end, struct bytes bytes, bool is_end,
                 enum cluster_cause cause);
void deliver_later(struct connection_end *end); /* if there is anything on the way */
void empty_end(struct connection_end *end);
bool is_held(const struct connection_end *end); /* by the process that it was made for */

/* hosts.c */
struct host *host_named(struct world *world, const char *name);
int64_t seen_at(struct host *host,
                int64_t at_ms); /* when its process sees what comes at that time */
void schedule_tick(struct host *host);
void write_disk(struct host *host);
void end_link(struct host *host, struct connection_end *end, enum cluster_cause cause);

#endif
