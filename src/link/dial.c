#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "link/inner.h"
#include "loop/loop.h"
#include "net/host_lookup.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORTS_MAX 2 /* of one address */

struct peer_dial {
    struct peer_links *links; /* borrowed */
    struct host_lookup *lookup;
    struct host_addresses addresses;
    size_t tried;                       /* of the addresses */
    struct epmd_query *query_in_flight; /* to the address that is being tried; NULL: none is open */
    struct peer_query query;   /* the same, with its answer; `derived` holds for all of them */
    uint16_t ports[PORTS_MAX]; /* of that address */
    size_t port_count, ports_tried;
    int fd; /* of the port that is being tried; -1: none, or its link has it */
    struct peer_link *link;
    struct event event; /* the look-up is done, the socket is connected, or the time is over */
    int64_t deadline_ms, address_deadline_ms, port_deadline_ms; /* each within the one before */
    uint16_t epmd_port;                                         /* 0: no epmd is asked */
    struct peer_failure failure;                                /* the most telling so far */
    char name[CLUSTER_NAME_MAX + 1];
    TAILQ_ENTRY(peer_dial) entry;
};

static const char *host_of(const struct peer_dial *dial) {
    return strchr(dial->name, '@') + 1;
}

static uint16_t port_of(const struct peer_dial *dial) {
    return dial->ports_tried > 0 ? dial->ports[dial->ports_tried - 1] : dial->query.derived;
}

static void stop_trying(struct peer_dial *dial) {
    event_del(&dial->event);
    if (dial->link != NULL) {
        dial->link->dial = NULL;
        peer_link_destroy(dial->link);
    }
    if (dial->fd >= 0)
        close(dial->fd);
    dial->link = NULL;
    dial->fd = -1;
}

void peer_dial_free(struct peer_dial *dial) {
    stop_trying(dial);
    epmd_query_free(dial->query_in_flight);
    host_lookup_release(dial->lookup);
    PORTOLAN_ASSERT(dial->fd < 0 && dial->link == NULL);
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

/* Whether a portoland answered, if not the right one. */
static bool is_from_portoland(enum cluster_cause cause) {
    return cause == CLUSTER_CAUSE_WRONG_COOKIE || cause == CLUSTER_CAUSE_WRONG_CLUSTER_NAME ||
           cause == CLUSTER_CAUSE_CERTIFICATE;
}

/* The second port of an address is a second guess: what is there may be anything. */
static void record_failure(struct peer_dial *dial, const struct peer_failure *failure) {
    bool is_guess = dial->ports_tried > 1 && !is_from_portoland(failure->cause);
    if (is_guess || weight_of(failure->cause) <= weight_of(dial->failure.cause))
        return;
    dial->failure = *failure;
    dial->failure.port = port_of(dial);
    dial->failure.query = dial->query;
}

static void give_up(struct peer_dial *dial) {
    struct peer_links *links = dial->links;
    struct peer_failure failure = dial->failure;
    char name[sizeof dial->name];
    memcpy(name, dial->name, sizeof name);
    if (failure.port == 0)
        failure.port = dial->query.derived;
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

/* --- one address after the other, and one port of it after the other --- */

static struct address address_at(const struct peer_dial *dial, uint16_t port) {
    struct address found = address_with_port(&dial->addresses.list[dial->tried - 1], port);
    struct address address = address_any_v6(0);
    memcpy(&address, &found, address_len(&found));
    return address;
}

/* When the next of `count` that are left must be done, for all to have the same time. */
static int64_t share_of_time(int64_t deadline_ms, size_t count) {
    int64_t now_ms = clock_monotonic_ms();
    return now_ms + (deadline_ms - now_ms) / (int64_t)count;
}

static struct timeval time_until(int64_t deadline_ms) {
    int64_t left_ms = deadline_ms - clock_monotonic_ms();
    return loop_timeval(left_ms < 1 ? 1 : left_ms);
}

static void try_next(struct peer_dial *dial);

static void address_failed(struct peer_dial *dial, enum cluster_cause cause, int error) {
    struct peer_failure failure = {
        .cause = cause, .error = error, .address = address_at(dial, port_of(dial))};
    record_failure(dial, &failure);
    stop_trying(dial);
    try_next(dial);
}

void peer_dial_lost(struct peer_dial *dial, const struct peer_failure *failure) {
    dial->link = NULL;
    record_failure(dial, failure);
    stop_trying(dial);
    try_next(dial);
}

void peer_dial_opened(struct peer_dial *dial, struct peer_link *link) {
    struct peer_links *links = dial->links;
    char name[sizeof dial->name];
    memcpy(name, dial->name, sizeof name);
    PORTOLAN_ASSERT(dial->link == link && dial->fd < 0);
    dial->link = NULL;
    peer_dial_free(dial);
    peer_link_set_name(link, name);
    if (!links->hooks.up(links->hooks.context, link, name))
        peer_link_end(link);
}

static void on_handshake_time(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    address_failed(context, CLUSTER_CAUSE_TIMED_OUT, ETIMEDOUT);
}

/* The rest of the port's time belongs to the handshake. */
static void begin_handshake(struct peer_dial *dial) {
    struct address address = address_at(dial, port_of(dial));
    int fd = dial->fd;
    dial->fd = -1; /* whatever comes of it, the link has it */
    dial->link = peer_link_new(dial->links, fd, &address, dial, host_of(dial));
    if (dial->link == NULL) {
        address_failed(dial, CLUSTER_CAUSE_NO_MEMORY, ENOMEM);
        return;
    }
    struct timeval time = time_until(dial->port_deadline_ms);
    event_assign(&dial->event, dial->links->base, -1, 0, on_handshake_time, dial);
    if (event_add(&dial->event, &time) < 0)
        address_failed(dial, CLUSTER_CAUSE_NO_MEMORY, ENOMEM);
}

static void on_connected(evutil_socket_t fd, short what, void *context) {
    struct peer_dial *dial = context;
    int error = ETIMEDOUT;
    socklen_t len = sizeof error;
    if ((what & EV_WRITE) != 0 && getsockopt((int)fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0)
        address_failed(dial, cause_of(error), error);
    else
        begin_handshake(dial);
}

/* False: it failed at once, and that is noted. */
static bool try_port(struct peer_dial *dial) {
    PORTOLAN_ASSERT(dial->tried > 0 && dial->ports_tried < dial->port_count);
    dial->port_deadline_ms =
        share_of_time(dial->address_deadline_ms, dial->port_count - dial->ports_tried);
    struct address address = address_at(dial, dial->ports[dial->ports_tried++]);
    struct peer_failure failure = {.address = address};
    dial->fd =
        socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (dial->fd >= 0 &&
        (connect(dial->fd, &address.any, address_len(&address)) == 0 || errno == EINPROGRESS)) {
        struct timeval time = time_until(dial->port_deadline_ms);
        event_assign(&dial->event, dial->links->base, dial->fd, EV_WRITE, on_connected, dial);
        if (event_add(&dial->event, &time) == 0)
            return true;
        errno = ENOMEM;
    }
    failure.error = errno;
    failure.cause = cause_of(failure.error);
    record_failure(dial, &failure);
    stop_trying(dial);
    return false;
}

/* Which ports are worth a call: see peer_dial.h. */
static void choose_ports(struct peer_dial *dial, bool advertised_first) {
    uint16_t advertised = dial->query.advertised, derived = dial->query.derived;
    dial->ports[0] = advertised_first ? advertised : derived;
    dial->ports[1] = advertised_first ? derived : advertised;
    dial->port_count = advertised == 0 || advertised == derived ? 1 : 2;
}

static void on_answered(void *context, enum epmd_query_result result,
                        const struct epmd_node *node) {
    struct peer_dial *dial = context;
    struct address epmd = address_at(dial, dial->epmd_port);
    char text[ADDRESS_TEXT_SIZE];
    dial->query.result = result;
    dial->query.advertised = result == EPMD_QUERY_PORT ? node->port : 0;
    choose_ports(dial, result == EPMD_QUERY_PORT && node->type == EPMD_NODE_HIDDEN);
    epmd_query_free(dial->query_in_flight);
    dial->query_in_flight = NULL;
    log_event(LOG_LEVEL_DEBUG, "epmd_asked", log_text("member", dial->name),
              log_text("epmd", address_format(&epmd, text)),
              log_text("outcome", epmd_query_result_text(result)),
              log_number("told", dial->query.advertised), log_number("first", dial->ports[0]));
    try_next(dial);
}

/* False: its epmd is not asked. */
static bool query_epmd(struct peer_dial *dial) {
    struct bytes name = bytes_of(dial->name, (size_t)(host_of(dial) - dial->name - 1));
    struct address epmd = address_at(dial, dial->epmd_port);
    int64_t time_ms = (dial->address_deadline_ms - clock_monotonic_ms()) * 2 / 5;
    if (dial->epmd_port == 0)
        return false;
    dial->query_in_flight = epmd_query_start(
        dial->links->base, &epmd, name, time_ms < PEER_DIAL_QUERY_MS ? time_ms : PEER_DIAL_QUERY_MS,
        on_answered, dial);
    dial->query.epmd_port = dial->query_in_flight == NULL ? 0 : dial->epmd_port;
    return dial->query_in_flight != NULL;
}

static void begin_address(struct peer_dial *dial) {
    dial->address_deadline_ms =
        share_of_time(dial->deadline_ms, dial->addresses.count - dial->tried);
    dial->tried++;
    dial->port_count = dial->ports_tried = 0;
    dial->query.advertised = 0;
    if (!query_epmd(dial))
        choose_ports(dial, false);
}

static void try_next(struct peer_dial *dial) {
    PORTOLAN_ASSERT(dial->fd < 0 && dial->link == NULL && dial->query_in_flight == NULL);
    PORTOLAN_ASSERT(dial->ports_tried <= dial->port_count && dial->tried <= dial->addresses.count);
    while (clock_monotonic_ms() < dial->deadline_ms) {
        if (dial->ports_tried < dial->port_count) {
            if (try_port(dial))
                return;
        } else if (dial->tried < dial->addresses.count) {
            begin_address(dial);
            if (dial->query_in_flight != NULL)
                return;
        } else {
            break;
        }
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
    struct timeval time = loop_timeval(CLUSTER_CONNECT_MS);
    (void)fd;
    (void)what;
    if (dial->query.derived == 0) {
        dial->failure.cause = CLUSTER_CAUSE_NO_PORT;
        give_up(dial);
        return;
    }
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
    if (event_add(&dial->event, &time) == 0)
        return;
    dial->failure.cause = CLUSTER_CAUSE_NO_MEMORY;
    give_up(dial);
}

bool peer_dial_begin(struct peer_links *links, const char *name, uint16_t port,
                     uint16_t epmd_port) {
    const struct timeval now = {.tv_sec = 0};
    struct peer_dial *dial = calloc(1, sizeof *dial);
    const char *at = strchr(name, '@');
    if (dial == NULL || at == NULL || at[1] == '\0' || strlen(name) >= sizeof dial->name) {
        free(dial);
        return false;
    }
    dial->links = links;
    dial->fd = -1;
    dial->query.derived = port;
    dial->epmd_port = epmd_port;
    dial->deadline_ms = clock_monotonic_ms() + CLUSTER_CONNECT_MS;
    strcpy(dial->name, name);
    TAILQ_INSERT_TAIL(&links->dials, dial, entry);
    event_assign(&dial->event, links->base, -1, 0, on_begin, dial);
    if (event_add(&dial->event, &now) == 0)
        return true;
    peer_dial_free(dial);
    return false;
}
