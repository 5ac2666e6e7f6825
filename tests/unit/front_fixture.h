/*
 * A front with its server, as the daemon puts them together: what callers and nodes meet there.
 */
#ifndef PORTOLAN_TESTS_UNIT_FRONT_FIXTURE_H
#define PORTOLAN_TESTS_UNIT_FRONT_FIXTURE_H

#include "daemon/demux.h"

#include "assertions.h"
#include "base/clock.h"
#include "failing_allocation.h"
#include "net/tls.h"
#include "sockets_fixture.h"
#include "some_hello.h"
#include "some_registry.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SEND_NAME                                                                                  \
    LITERAL("\x00\x15N\x00\x00\x00\x0d\x07\xdf\x7f\xbd\x00\x00\x00\x4d\x00\x06"                    \
            "e1@far")

static struct event_base *base;
static struct some_registry some;
static struct epmd_service service;
static struct epmd_server *server;
static struct acceptor *acceptor;
static struct demux demux;
static struct front *front;
static struct front_options options;
static struct proxy_options streams;
static uint16_t own_port, epmd_port, other_port; /* the last as systemd may bring one */
static int descriptors_before;

/* What was heard from the front and from the server. */
static int linked_fd;
static uint8_t linked_first[SOME_HELLO_MAX];
static size_t linked_len;
static bool takes_links;
static unsigned shared, port_failed, recovered, route_changes, refused, server_refused;
static uint16_t opened_port, closed_port; /* the last one */
static bool in_use;
static char holder[64];
static char reason[128];

static inline bool on_link(void *context, int fd, const struct address *peer, struct bytes first) {
    ck_assert_ptr_eq(context, &linked_fd);
    ck_assert(address_is_loopback(peer));
    if (!takes_links)
        return false;
    linked_fd = fd;
    linked_len = first.len;
    memcpy(linked_first, first.data, first.len);
    return true;
}

static inline void on_shared(void *context, uint16_t port,
                             const struct registration *registration) {
    (void)context;
    ck_assert_uint_eq(port, registration->front_port);
    ck_assert_ptr_ne(routes_at(front_routes(front), port, 0), registration);
    shared++;
}

static inline void on_route_changed(void *context, const struct registration *registration) {
    (void)context;
    ck_assert_int_eq(registration->front_port != 0, options.proxy);
    route_changes++;
}

static inline void on_opened(void *context, uint16_t port,
                             const struct registration *registration) {
    (void)context;
    (void)registration;
    opened_port = port; /* no assertion here: it would allocate memory */
}

static inline void on_closed(void *context, uint16_t port,
                             const struct registration *registration) {
    (void)context;
    (void)registration;
    ck_assert(!acceptor_listens(acceptor, port));
    closed_port = port;
}

static inline void on_recovered(void *context, const struct registration *registration) {
    (void)context;
    ck_assert_uint_ne(registration->front_port, 0);
    recovered++;
}

static inline void keep_reason(const char *text) {
    snprintf(reason, sizeof reason, "%s", text);
}

static inline void on_port_failed(void *context, const struct front_port_error *error) {
    (void)context;
    ck_assert_uint_eq(error->registration->front_port, 0);
    keep_reason(error->reason);
    in_use = error->in_use;
    snprintf(holder, sizeof holder, "%.*s", (int)error->name.len, (const char *)error->name.data);
    port_failed++;
}

static inline void on_refused(void *context, const char *why, const struct address *peer) {
    ck_assert_ptr_eq(context, &demux);
    (void)peer;
    keep_reason(why);
    refused++;
}

static inline void on_server_refused(void *context, const struct epmd_refusal *refusal) {
    (void)context;
    keep_reason(refusal->reason);
    server_refused++;
}

static inline void on_limit(void *context, const char *limit, const char *outcome) {
    (void)context;
    ck_abort_msg("%s: %s", limit, outcome);
}

static inline void ignore_registered(void *context, struct registration *registration) {
    (void)context;
    (void)registration;
}

static inline void ignore_unregistered(void *context, struct registration *registration,
                                       const char *why) {
    (void)context;
    (void)registration;
    (void)why;
}

static inline void ignore_killed(void *context) {
    (void)context;
}

static inline void on_lookups_ready(void *context, bool at_once) {
    (void)context;
    if (at_once)
        epmd_server_answer_ready(server);
    else
        epmd_server_answer_soon(server);
}

#define PORTS 5

/* Ports in a row that nobody has, so that names can derive them. */
static inline uint16_t find_ports(void) {
    for (uint16_t first = (uint16_t)(20000 + getpid() % 1000 * 8);; first++) {
        int fds[PORTS], count = 0;
        for (uint16_t port = first; count < PORTS; port++) {
            fds[count] = sockets_listen("0.0.0.0", &port);
            if (fds[count] < 0)
                break;
            count++;
        }
        bool found = count == PORTS;
        while (count > 0)
            close(fds[--count]);
        if (found)
            return first;
    }
}

static inline void make_front(void) {
    const struct front_deps deps = {.base = base, .acceptor = acceptor, .registry = some.registry};
    const struct front_hooks hooks = {.opened = on_opened,
                                      .closed = on_closed,
                                      .recovered = on_recovered,
                                      .shared = on_shared,
                                      .port_failed = on_port_failed,
                                      .route_changed = on_route_changed,
                                      .lookups_ready = on_lookups_ready,
                                      .context = &front};
    front = front_new(&deps, &options, &hooks);
    ck_assert_ptr_nonnull(front);
    service.routes = front_routes(front);
}

static inline void make_demux(void) {
    const struct hello_queue_hooks hooks = {
        .arrived = demux_arrived, .refused = on_refused, .context = &demux};
    demux.server = server;
    demux.front = front;
    demux.hellos = hello_queue_new(base, HELLO_QUEUE_MAX, &hooks);
    demux.accept_link = on_link;
    demux.links = &linked_fd;
    ck_assert_ptr_nonnull(demux.hellos);
    epmd_server_on_other_protocol(server, demux_other_protocol, &demux);
}

static inline void make_acceptor(const struct listeners *listeners) {
    const struct acceptor_options options_of_it = {.delay_s = 0};
    const struct acceptor_hooks hooks = {
        .accepted = demux_accepted, .shed = demux_shed, .limit_hit = on_limit, .context = &demux};
    acceptor = acceptor_new(base, &options_of_it, &hooks, listeners);
    ck_assert_ptr_nonnull(acceptor);
}

static inline void begin(void) {
    const struct epmd_server_options server_options = {.packet_timeout_ms = 60000};
    const struct epmd_server_hooks hooks = {.registered = ignore_registered,
                                            .unregistered = ignore_unregistered,
                                            .refused = on_server_refused,
                                            .killed = ignore_killed};
    struct listeners listeners = {.count = 0};
    struct listen_failure failure;
    signal(SIGPIPE, SIG_IGN);
    descriptors_before = sockets_count_descriptors();
    base = event_base_new();
    some = some_registry_new();
    own_port = find_ports();
    epmd_port = (uint16_t)(own_port + 3);
    other_port = (uint16_t)(own_port + 4);
    streams = (struct proxy_options){.streams_max = 100};
    options = (struct front_options){.proxy = true,
                                     .rule = {.base = own_port, .offset_max = 99, .own = own_port},
                                     .addresses = "127.0.0.1",
                                     .ports_max = 10,
                                     .streams = streams};
    service = (struct epmd_service){.registry = some.registry};
    ck_assert(listeners_open(&listeners, LISTENER_FRONT, "127.0.0.1", own_port, &failure));
    ck_assert(listeners_open(&listeners, LISTENER_EPMD, "127.0.0.1", epmd_port, &failure));
    ck_assert(listeners_open(&listeners, LISTENER_FRONT, "127.0.0.1", other_port, &failure));
    make_acceptor(&listeners);
    server = epmd_server_new(base, &service, acceptor, &server_options, &hooks);
    ck_assert_ptr_nonnull(server);
    make_front();
    make_demux();
    shared = port_failed = recovered = route_changes = refused = server_refused = 0;
    opened_port = closed_port = 0;
    linked_fd = -1;
    takes_links = true;
    reason[0] = '\0';
}

static inline void end(void) {
    hello_queue_free(demux.hellos);
    front_free(front);
    epmd_server_free(server);
    acceptor_free(acceptor);
    some_registry_free(&some);
    event_base_free(base);
    ck_assert_int_eq(sockets_count_descriptors(), descriptors_before);
}

/* A node that is registered, and listens. */
struct some_listening_node {
    struct registration *registration;
    int fd;
};

static inline struct some_listening_node make_node(const char *name) {
    uint16_t port = 0;
    struct some_listening_node node = {.fd = sockets_listen("127.0.0.1", &port)};
    node.registration = some_registration(some.registry, name, port);
    front_registered(front, node.registration);
    return node;
}

static inline void unregister(struct registration *registration) {
    front_unregistered(front, registration);
    registry_remove(some.registry, registration);
}

static inline void end_node(const struct some_listening_node *node) {
    unregister(node->registration);
    close(node->fd);
}

static inline void say(int fd, struct bytes bytes) {
    ck_assert_uint_eq(sockets_send(fd, bytes.data, bytes.len), bytes.len);
}

static inline bool is_over(int fd) {
    uint8_t byte;
    return sockets_read(fd, &byte, 1) < 0;
}

static inline void hear(int fd, struct bytes expected) {
    static uint8_t heard[SOME_HELLO_MAX];
    size_t got = 0;
    while (got < expected.len) {
        ssize_t now = 0;
        turn_until(base, (now = sockets_read(fd, heard + got, sizeof heard - got)) != 0);
        ck_assert_int_gt(now, 0);
        got += (size_t)now;
    }
    assert_bytes(bytes_of(heard, got), expected);
}

static inline int answered_by(const struct some_listening_node *node) {
    int fd = -1;
    turn_until(base, (fd = sockets_accept(node->fd)) >= 0);
    return fd;
}

static inline struct bytes make_hello(struct some_hello *hello, const char *protocol) {
    const char *const names[] = {protocol, NULL};
    some_hello_make(hello, names, 0);
    return some_hello_bytes(hello);
}

static inline void turn_proxy(bool on) {
    options.proxy = on;
    front_configure(front, &options);
}

static inline bool listens(uint16_t port) {
    return acceptor_listens(acceptor, port);
}

#endif
