#include "service/member_hosts.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "cluster/cluster.h"
#include "loop/loop.h"
#include "net/address.h"
#include "net/host_lookup.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define SOON_MS 50 /* members that come together are looked up together */

struct address_key {
    uint8_t len;
    uint8_t bytes[16];
};

/* An address, and how many members have it: several daemons may run on one host. */
struct known_address {
    struct address_key key;
    size_t members;
    UT_hash_handle hh;
};

struct member_host {
    UT_hash_handle hh;
    TAILQ_ENTRY(member_host) to_look_up; /* while `queued` */
    bool queued;
    bool numeric;
    bool seen; /* in the walk over the list */
    size_t count;
    struct address_key addresses[HOST_ADDRESSES_MAX]; /* those that are in the table */
    char name[];                                      /* of the member */
};
TAILQ_HEAD(member_hosts_queue, member_host);

struct member_hosts {
    const struct cluster *cluster;
    struct event_base *base;
    struct member_host *by_name;
    struct known_address *addresses;
    struct member_hosts_queue queue;
    struct event *walk_event;
    struct event *lookup_event;            /* while there is a look-up */
    struct host_lookup *lookup;            /* NULL: none is under way */
    char lookup_for[CLUSTER_NAME_MAX + 1]; /* the member, which may have left since */
    int64_t again_ms;                      /* not before then all are looked up again */
};

/* --- addresses --- */

static struct address_key key_of_bytes(struct bytes address) {
    struct address_key key;
    memset(&key, 0, sizeof key);
    key.len = (uint8_t)(address.len > sizeof key.bytes ? sizeof key.bytes : address.len);
    memcpy(key.bytes, address.data, key.len);
    return key;
}

static struct address_key key_of(const struct address *of) {
    struct address address;
    memset(&address, 0, sizeof address);
    memcpy(&address, of, address_len(of));
    return key_of_bytes(address_host(&address));
}

static struct known_address *find_address(const struct member_hosts *hosts,
                                          const struct address_key *key) {
    struct known_address *found;
    HASH_FIND(hh, hosts->addresses, key, sizeof *key, found);
    return found;
}

static bool add_address(struct member_hosts *hosts, const struct address_key *key) {
    struct known_address *known = find_address(hosts, key);
    if (known == NULL) {
        known = calloc(1, sizeof *known);
        if (known == NULL)
            return false;
        known->key = *key;
        HASH_ADD(hh, hosts->addresses, key, sizeof known->key, known);
        if (known->hh.tbl == NULL) {
            free(known);
            return false;
        }
    }
    known->members++;
    return true;
}

static void forget_addresses(struct member_hosts *hosts, struct member_host *host) {
    for (; host->count > 0; host->count--) {
        struct known_address *known = find_address(hosts, &host->addresses[host->count - 1]);
        if (--known->members > 0)
            continue;
        HASH_DELETE(hh, hosts->addresses, known);
        free(known);
    }
}

/* Out of memory an address is unknown until the next look-up. */
static void set_addresses(struct member_hosts *hosts, struct member_host *host,
                          const struct host_addresses *found) {
    forget_addresses(hosts, host);
    for (size_t i = 0; i < found->count; i++) {
        const struct address_key key = key_of(&found->list[i]);
        if (add_address(hosts, &key))
            host->addresses[host->count++] = key;
    }
}

/* --- looking up --- */

static const char *host_part(const char *name) {
    const char *at = strchr(name, '@');
    return at == NULL ? "" : at + 1;
}

static void queue(struct member_hosts *hosts, struct member_host *host) {
    if (host->queued || host->numeric)
        return;
    host->queued = true;
    TAILQ_INSERT_TAIL(&hosts->queue, host, to_look_up);
}

static void unqueue(struct member_hosts *hosts, struct member_host *host) {
    if (!host->queued)
        return;
    host->queued = false;
    TAILQ_REMOVE(&hosts->queue, host, to_look_up);
}

static void end_lookup(struct member_hosts *hosts) {
    loop_free_event(hosts->lookup_event);
    hosts->lookup_event = NULL;
    if (hosts->lookup != NULL)
        host_lookup_release(hosts->lookup);
    hosts->lookup = NULL;
}

static void on_looked_up(evutil_socket_t fd, short what, void *context);

/* False: it could not, and is tried again when all are. */
static bool begin_lookup(struct member_hosts *hosts, const struct member_host *host) {
    const struct timeval time = loop_timeval(MEMBER_HOSTS_LOOKUP_MS);
    int error;
    hosts->lookup = host_lookup_start(host_part(host->name), &error);
    if (hosts->lookup == NULL)
        return false;
    strcpy(hosts->lookup_for, host->name);
    hosts->lookup_event =
        event_new(hosts->base, host_lookup_descriptor(hosts->lookup), EV_READ, on_looked_up, hosts);
    if (hosts->lookup_event != NULL && event_add(hosts->lookup_event, &time) == 0)
        return true;
    end_lookup(hosts);
    return false;
}

static void look_up_next(struct member_hosts *hosts) {
    struct member_host *next;
    bool begun = hosts->lookup != NULL;
    while (!begun && (next = TAILQ_FIRST(&hosts->queue)) != NULL) {
        unqueue(hosts, next);
        begun = begin_lookup(hosts, next);
    }
}

/* Whatever goes wrong, the addresses that were known stay. */
static void on_looked_up(evutil_socket_t fd, short what, void *context) {
    struct member_hosts *hosts = context;
    struct host_addresses found;
    struct member_host *host;
    (void)fd;
    HASH_FIND_STR(hosts->by_name, hosts->lookup_for, host);
    if (host != NULL && (what & EV_TIMEOUT) == 0 && host_lookup_done(hosts->lookup, &found) &&
        found.count > 0)
        set_addresses(hosts, host, &found);
    if (host != NULL)
        log_event(LOG_LEVEL_DEBUG, "member_host", log_text("member", host->name),
                  log_number("addresses", (int64_t)host->count));
    end_lookup(hosts);
    look_up_next(hosts);
}

/* --- the list of members --- */

static void forget(struct member_hosts *hosts, struct member_host *host) {
    unqueue(hosts, host);
    forget_addresses(hosts, host);
    HASH_DELETE(hh, hosts->by_name, host);
    free(host);
}

static struct member_host *add(struct member_hosts *hosts, const char *name) {
    struct host_addresses found;
    size_t size = strlen(name) + 1;
    if (size > sizeof hosts->lookup_for)
        return NULL;
    struct member_host *host = calloc(1, sizeof *host + size);
    if (host == NULL)
        return NULL;
    memcpy(host->name, name, size);
    HASH_ADD_STR(hosts->by_name, name, host);
    if (host->hh.tbl == NULL) {
        free(host);
        return NULL;
    }
    host->numeric = host_numeric(host_part(name), &found);
    if (host->numeric)
        set_addresses(hosts, host, &found);
    else
        queue(hosts, host);
    return host;
}

/* Out of memory a member stays unknown until the list changes again. */
static void on_walk(evutil_socket_t fd, short what, void *context) {
    struct member_hosts *hosts = context;
    struct member_host *host, *following;
    struct cluster_member_view member;
    size_t cursor = 0;
    (void)fd;
    (void)what;
    while (cluster_member_next(hosts->cluster, &cursor, false, &member)) {
        HASH_FIND_STR(hosts->by_name, member.name, host);
        if (host == NULL)
            host = add(hosts, member.name);
        if (host != NULL)
            host->seen = true;
    }
    HASH_ITER(hh, hosts->by_name, host, following) {
        if (!host->seen)
            forget(hosts, host);
        else
            host->seen = false;
    }
    look_up_next(hosts);
}

static void list_changed(struct member_hosts *hosts) {
    if (!event_pending(hosts->walk_event, EV_TIMEOUT, NULL))
        loop_set_timer_or_now(hosts->walk_event, SOON_MS);
}

static void member_came_up(struct member_hosts *hosts, const char *name) {
    struct member_host *host;
    HASH_FIND_STR(hosts->by_name, name, host);
    list_changed(hosts); /* which also looks up what is queued */
    if (host != NULL)
        queue(hosts, host);
}

static void look_all_up_again(struct member_hosts *hosts) {
    struct member_host *host, *following;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms < hosts->again_ms)
        return;
    hosts->again_ms = now_ms + MEMBER_HOSTS_AGAIN_MS;
    HASH_ITER(hh, hosts->by_name, host, following) {
        queue(hosts, host);
    }
    look_up_next(hosts);
}

void member_hosts_update(struct member_hosts *hosts, const struct cluster_event *event) {
    switch (event->type) {
    case CLUSTER_EVENT_UP:
        member_came_up(hosts, event->name);
        break;
    case CLUSTER_EVENT_JOINED:
    case CLUSTER_EVENT_LEFT:
    case CLUSTER_EVENT_FORCED_OUT:
    case CLUSTER_EVENT_CLEANED:
    case CLUSTER_EVENT_JOIN_PROGRESS:
    case CLUSTER_EVENT_JOIN_DONE:
    case CLUSTER_EVENT_MERGED:
        list_changed(hosts);
        break;
    default:
        break;
    }
}

bool member_hosts_has(struct member_hosts *hosts, struct bytes address) {
    const struct address_key key = key_of_bytes(address);
    if (find_address(hosts, &key) != NULL)
        return true;
    look_all_up_again(hosts);
    return false;
}

/* --- beginning and end --- */

struct member_hosts *member_hosts_new(struct event_base *base, const struct cluster *cluster) {
    struct member_hosts *hosts = calloc(1, sizeof *hosts);
    if (hosts == NULL)
        return NULL;
    TAILQ_INIT(&hosts->queue);
    hosts->base = base;
    hosts->cluster = cluster;
    hosts->walk_event = event_new(base, -1, 0, on_walk, hosts);
    if (hosts->walk_event == NULL) {
        free(hosts);
        return NULL;
    }
    list_changed(hosts);
    return hosts;
}

void member_hosts_free(struct member_hosts *hosts) {
    if (hosts == NULL)
        return;
    end_lookup(hosts);
    while (hosts->by_name != NULL)
        forget(hosts, hosts->by_name);
    loop_free_event(hosts->walk_event);
    free(hosts);
}
