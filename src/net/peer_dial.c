#include "base/clock.h"
#include "net/host_lookup.h"
#include "net/peer_inner.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct peer_dial {
    struct peer_links *links; /* borrowed */
    struct host_lookup *lookup;
    struct host_addresses addresses;
    size_t tried; /* of the addresses */
    int fd;       /* of the address that is being tried; -1: none, or its link has it */
    struct peer_link *link;
    struct event event; /* the look-up is done, the socket is connected, or the time is over */
    int64_t deadline_ms;
    uint16_t port;
    struct peer_failure failure; /* the most telling so far */
    char name[CLUSTER_NAME_MAX + 1];
    TAILQ_ENTRY(peer_dial) entry;
};

static const char *host_of(const struct peer_dial *dial) {
    return strchr(dial->name, '@') + 1;
}

static void stop_trying(struct peer_dial *dial) {
    event_del(&dial->event);
    if (dial->link != NULL) {
        dial->link->dial = NULL;
        dial->links->greeting++; /* as destroying it will count one less */
        peer_link_destroy(dial->link);
    }
    if (dial->fd >= 0)
        close(dial->fd);
    dial->link = NULL;
    dial->fd = -1;
}

void peer_dial_free(struct peer_dial *dial) {
    stop_trying(dial);
    host_lookup_release(dial->lookup);
    TAILQ_REMOVE(&dial->links->dials, dial, entry);
    free(dial);
}

/* --- failures --- */

/* Which failure of several addresses says most; a process is only gone where none might be slow. */
static int weight_of(enum cluster_cause cause) {
    switch (cause) {
    case CLUSTER_CAUSE_NONE:
        return 0;
    case CLUSTER_CAUSE_UNREACHABLE:
        return 1;
    case CLUSTER_CAUSE_REFUSED:
        return 2;
    case CLUSTER_CAUSE_TIMED_OUT:
        return 3;
    default:
        return 4;
    }
}

static void note(struct peer_dial *dial, const struct peer_failure *failure) {
    if (weight_of(failure->cause) > weight_of(dial->failure.cause))
        dial->failure = *failure;
}

static void give_up(struct peer_dial *dial) {
    struct peer_links *links = dial->links;
    struct peer_failure failure = dial->failure;
    char name[sizeof dial->name];
    memcpy(name, dial->name, sizeof name);
    failure.port = dial->port;
    peer_dial_free(dial);
    links->hooks.failed(links->hooks.context, name, &failure);
}

static enum cluster_cause cause_of(int error) {
    switch (error) {
    case ECONNREFUSED:
        return CLUSTER_CAUSE_REFUSED;
    case ETIMEDOUT:
        return CLUSTER_CAUSE_TIMED_OUT;
    case ECONNRESET:
    case EPIPE:
        return CLUSTER_CAUSE_LOST;
    case ENOMEM:
    case ENOBUFS:
    case EMFILE:
    case ENFILE:
        return CLUSTER_CAUSE_NO_MEMORY;
    default:
        return CLUSTER_CAUSE_UNREACHABLE;
    }
}

/* --- one address after the other --- */

static struct address address_at(const struct peer_dial *dial, size_t index) {
    struct host_address found = host_address_with_port(&dial->addresses.list[index], dial->port);
    struct address address = address_any_v6(0);
    memcpy(&address, &found, host_address_len(&found));
    return address;
}

/* What is left of the time, shared by the addresses that are left. */
static struct timeval share_of_time(const struct peer_dial *dial) {
    int64_t left_ms = dial->deadline_ms - clock_monotonic_ms();
    size_t addresses = dial->addresses.count - dial->tried + 1;
    return peer_timeval(left_ms < 1 ? 1 : left_ms / (int64_t)addresses);
}

static void try_next(struct peer_dial *dial);

static void address_failed(struct peer_dial *dial, enum cluster_cause cause, int error) {
    struct peer_failure failure = {
        .cause = cause, .error = error, .address = address_at(dial, dial->tried - 1)};
    note(dial, &failure);
    stop_trying(dial);
    try_next(dial);
}

void peer_dial_lost(struct peer_dial *dial, const struct peer_failure *failure) {
    dial->link = NULL;
    note(dial, failure);
    stop_trying(dial);
    try_next(dial);
}

void peer_dial_opened(struct peer_dial *dial, struct peer_link *link) {
    struct peer_links *links = dial->links;
    char name[sizeof dial->name];
    memcpy(name, dial->name, sizeof name);
    dial->link = NULL;
    peer_dial_free(dial);
    if (!links->hooks.up(links->hooks.context, link, name))
        peer_link_end(link);
}

static void on_handshake_time(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    address_failed(context, CLUSTER_CAUSE_TIMED_OUT, ETIMEDOUT);
}

/* The rest of the address's time belongs to the handshake. */
static void begin_handshake(struct peer_dial *dial) {
    struct address address = address_at(dial, dial->tried - 1);
    int fd = dial->fd;
    dial->fd = -1; /* whatever comes of it, the link has it */
    dial->link = peer_link_new(dial->links, fd, &address, dial, host_of(dial));
    if (dial->link == NULL) {
        address_failed(dial, CLUSTER_CAUSE_NO_MEMORY, ENOMEM);
        return;
    }
    struct timeval time = share_of_time(dial);
    event_assign(&dial->event, dial->links->base, -1, 0, on_handshake_time, dial);
    event_add(&dial->event, &time);
}

static void on_connected(evutil_socket_t fd, short what, void *context) {
    struct peer_dial *dial = context;
    int error = ETIMEDOUT;
    socklen_t len = sizeof error;
    if ((what & EV_WRITE) != 0)
        getsockopt((int)fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0)
        address_failed(dial, cause_of(error), error);
    else
        begin_handshake(dial);
}

static void try_next(struct peer_dial *dial) {
    while (dial->tried < dial->addresses.count && clock_monotonic_ms() < dial->deadline_ms) {
        struct address address = address_at(dial, dial->tried++);
        struct peer_failure failure = {.address = address};
        dial->fd =
            socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
        if (dial->fd >= 0 &&
            (connect(dial->fd, &address.any, address_len(&address)) == 0 || errno == EINPROGRESS)) {
            struct timeval time = share_of_time(dial);
            event_assign(&dial->event, dial->links->base, dial->fd, EV_WRITE, on_connected, dial);
            event_add(&dial->event, &time);
            return;
        }
        failure.error = errno;
        failure.cause = cause_of(errno);
        note(dial, &failure);
        stop_trying(dial);
    }
    give_up(dial);
}

/* --- the look-up --- */

static void on_looked_up(evutil_socket_t fd, short what, void *context) {
    struct peer_dial *dial = context;
    (void)fd;
    (void)what;
    bool done = host_lookup_done(dial->lookup, &dial->addresses);
    if (done && dial->addresses.error == 0) {
        try_next(dial);
        return;
    }
    dial->addresses.count = 0;
    dial->failure.cause = CLUSTER_CAUSE_NO_HOST;
    snprintf(dial->failure.reason, sizeof dial->failure.reason, "%s",
             done ? gai_strerror(dial->addresses.error) : "no name server answered in time");
    give_up(dial);
}

static void on_begin(evutil_socket_t fd, short what, void *context) {
    struct peer_dial *dial = context;
    struct timeval time = peer_timeval(CLUSTER_CONNECT_MS);
    (void)fd;
    (void)what;
    if (host_numeric(host_of(dial), &dial->addresses)) {
        try_next(dial);
        return;
    }
    dial->addresses.count = 0;
    dial->lookup = host_lookup_start(host_of(dial), &dial->failure.error);
    if (dial->lookup == NULL) {
        dial->failure.cause = CLUSTER_CAUSE_NO_MEMORY;
        give_up(dial);
        return;
    }
    event_assign(&dial->event, dial->links->base, host_lookup_descriptor(dial->lookup), EV_READ,
                 on_looked_up, dial);
    event_add(&dial->event, &time);
}

bool peer_dial_begin(struct peer_links *links, const char *name, uint16_t port) {
    const struct timeval now = {.tv_sec = 0};
    struct peer_dial *dial = calloc(1, sizeof *dial);
    const char *at = strchr(name, '@');
    if (dial == NULL || at == NULL || at[1] == '\0' || strlen(name) >= sizeof dial->name) {
        free(dial);
        return false;
    }
    dial->links = links;
    dial->fd = -1;
    dial->port = port;
    dial->deadline_ms = clock_monotonic_ms() + CLUSTER_CONNECT_MS;
    strcpy(dial->name, name);
    TAILQ_INSERT_TAIL(&links->dials, dial, entry);
    event_assign(&dial->event, links->base, -1, 0, on_begin, dial);
    if (event_add(&dial->event, &now) == 0)
        return true;
    peer_dial_free(dial);
    return false;
}
