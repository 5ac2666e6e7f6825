#include "net/front.h"

#include "base/clock.h"
#include "erlang/tls_hello.h"
#include "net/front_assignment.h"
#include "net/hop_mark.h"
#include "net/host_limit.h"
#include "net/loop.h"
#include "net/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

/* A caller that has begun to speak TLS. */
struct hello {
    struct front *front; /* borrowed */
    int fd;              /* owned */
    struct address peer;
    bool host_counted; /* counted in the front's host_limit */
    int64_t until_ms;
    struct event event;
    TAILQ_ENTRY(hello) entry;
    size_t len, wanted; /* until so many have come there is nothing to judge */
    uint8_t data[TLS_HELLO_MAX];
};
TAILQ_HEAD(hellos, hello);

struct front {
    struct front_deps deps;
    struct front_options options;
    struct front_hooks hooks;
    struct front_assignment *assignment;
    struct proxy *proxy;
    struct host_limit *peers;
    struct hellos hellos;
    size_t hello_count;
    struct front_counters counters;
};

/* --- the proxy's callers --- */

struct connection_query {
    const struct proxy *proxy;
    struct bytes caller;
    const struct address *peer;
};

static bool is_connected(void *context, const struct registration *registration) {
    const struct connection_query *query = context;
    return proxy_connects(query->proxy, query->caller, query->peer, registration);
}

static const char *refuse_address(struct front *front, const char *reason) {
    front->counters.not_allowed++;
    return reason;
}

static bool is_member(const struct front *front, const struct address *peer) {
    return front->hooks.is_member != NULL && front->hooks.is_member(front->hooks.context, peer);
}

const char *front_admits(struct front *front, int fd, const struct address *peer) {
    const struct allow_list *allow = &front->options.allow;
    if (allow->any || allow->members || address_peer_is_local(fd, peer) ||
        allow_list_has(allow, peer))
        return NULL;
    return refuse_address(front, "front.allow does not include its address");
}

/* What front_admits has let in may be anybody, where members are allowed. */
static bool may_connect(const struct front *front, int fd, const struct address *peer) {
    const struct allow_list *allow = &front->options.allow;
    return allow->any || !allow->members || address_peer_is_local(fd, peer) ||
           allow_list_has(allow, peer) || is_member(front, peer);
}

static const char *connect_node(struct front *front, const struct first_caller *caller, int fd,
                                const struct address *peer, struct bytes received) {
    struct address called;
    socklen_t len = sizeof called;
    if (!front->options.proxy)
        return "the proxy is off";
    if (getsockname(fd, &called.any, &len) < 0)
        return "peer disconnected";
    if (!may_connect(front, fd, peer))
        return refuse_address(front, "front.allow admits members, and none has its address");
    if (address_peer_is_local(fd, peer) && hop_mark_found(fd)) {
        front->counters.loops++;
        return "it comes from a proxy on this host: names that point from one daemon to another";
    }
    struct connection_query query = {.proxy = front->proxy, .caller = caller->node, .peer = peer};
    const struct route_query asks = {.port = address_port(&called),
                                     .address = address_host(peer),
                                     .now_ms = clock_monotonic_ms(),
                                     .is_connected = is_connected,
                                     .context = &query};
    struct routes *ports = front_assignment_ports(front->assignment);
    bool guessed = routes_count(ports, asks.port) > 1;
    const struct registration *wanted = routes_choose(ports, &asks);
    epmd_server_answer_ready(front->deps.server);
    if (wanted == NULL)
        return "no node is behind this port";
    const struct proxy_call call = {.fd = fd,
                                    .peer = peer,
                                    .called = &called,
                                    .first = received,
                                    .caller = caller->node,
                                    .tls = caller->who == FIRST_BYTES_DIST_TLS,
                                    .guessed = guessed,
                                    .registration = wanted};
    return proxy_open(front->proxy, &call);
}

/* --- callers whose hello is not whole --- */

static void free_hello(struct hello *hello) {
    struct front *front = hello->front;
    event_del(&hello->event);
    if (hello->host_counted)
        host_limit_leave(front->peers, &hello->peer);
    TAILQ_REMOVE(&front->hellos, hello, entry);
    front->hello_count--;
    free(hello);
}

/* Its event goes before its descriptor does. */
static void close_hello(struct hello *hello) {
    int fd = hello->fd;
    free_hello(hello);
    close(fd);
}

static void reject_hello(struct hello *hello, const char *reason) {
    struct front *front = hello->front;
    front->hooks.refused(front->hooks.context, reason, &hello->peer);
    close_hello(hello);
}

static void wake_at(int fd, size_t bytes) {
    int least = (int)bytes;
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

/* There is one time for the whole hello: a read does not prolong it. Nor does a hello that comes in
 * single bytes wake us for each, where the kernel can wait for as many as are missing. */
static bool wait_for_more(struct hello *hello) {
    hello->wanted = tls_hello_wants(bytes_of(hello->data, hello->len));
    wake_at(hello->fd, hello->wanted - hello->len);
    return loop_set_timer(&hello->event, hello->until_ms - clock_monotonic_ms());
}

static void judge_again(struct hello *hello) {
    const struct bytes received = bytes_of(hello->data, hello->len);
    const struct first_caller caller = first_bytes_judge(received, bytes_of_text(TLS_ALPN));
    const char *reason = "out of memory";
    if (caller.who == FIRST_BYTES_MORE && wait_for_more(hello))
        return;
    wake_at(hello->fd, 1); /* as who takes it expects */
    if (caller.who != FIRST_BYTES_MORE)
        reason = front_accept(hello->front, &caller, hello->fd, &hello->peer, received);
    if (reason == NULL) {
        free_hello(hello);
        return;
    }
    hello->front->counters.refused++;
    reject_hello(hello, reason);
}

static void on_hello(evutil_socket_t fd, short what, void *context) {
    struct hello *hello = context;
    if ((what & EV_TIMEOUT) != 0) {
        hello->front->counters.timed_out++;
        reject_hello(hello, "incomplete TLS hello");
        return;
    }
    ssize_t len = recv(fd, hello->data + hello->len, sizeof hello->data - hello->len, 0);
    bool nothing = len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (len <= 0 && !nothing) {
        hello->front->counters.refused++;
        reject_hello(hello, "peer disconnected in the middle of a TLS hello");
        return;
    }
    hello->len += nothing ? 0 : (size_t)len;
    if (hello->len >= hello->wanted)
        judge_again(hello);
    else if (!loop_set_timer(&hello->event, hello->until_ms - clock_monotonic_ms()))
        reject_hello(hello, "out of memory");
}

/* The one that has waited longest gives way: an honest hello comes whole, or in a moment. */
static void make_room(struct front *front) {
    front->counters.refused++;
    reject_hello(TAILQ_FIRST(&front->hellos), "too many incomplete TLS hellos");
}

static const char *await_hello(struct front *front, int fd, const struct address *peer,
                               struct bytes received) {
    bool host_counted = !address_peer_is_local(fd, peer);
    if (front->options.hellos_max == 0)
        return "no descriptor left to wait for a TLS hello";
    if (host_counted && !host_limit_enter(front->peers, peer))
        return "too many incomplete TLS hellos from this address";
    if (front->hello_count >= front->options.hellos_max)
        make_room(front);
    struct hello *hello = malloc(sizeof *hello);
    if (hello == NULL) {
        if (host_counted)
            host_limit_leave(front->peers, peer);
        return "out of memory";
    }
    hello->front = front;
    hello->fd = fd;
    hello->peer = *peer;
    hello->host_counted = host_counted;
    hello->until_ms = clock_monotonic_ms() + FRONT_HELLO_MS;
    hello->len = received.len;
    memcpy(hello->data, received.data, received.len);
    TAILQ_INSERT_TAIL(&front->hellos, hello, entry);
    front->hello_count++;
    event_assign(&hello->event, front->deps.base, fd, EV_READ, on_hello, hello);
    if (wait_for_more(hello))
        return NULL;
    free_hello(hello);
    return "out of memory";
}

const char *front_accept(struct front *front, const struct first_caller *caller, int fd,
                         const struct address *peer, struct bytes received) {
    switch (caller->who) {
    case FIRST_BYTES_LINK:
        return front->hooks.link(front->hooks.context, fd, peer, received)
                   ? NULL
                   : "this daemon accepts no cluster links";
    case FIRST_BYTES_DIST:
    case FIRST_BYTES_DIST_TLS:
        return connect_node(front, caller, fd, peer, received);
    case FIRST_BYTES_MORE:
        return await_hello(front, fd, peer, received);
    case FIRST_BYTES_EPMD:
    case FIRST_BYTES_NOBODY:
        break;
    }
    return "unknown protocol";
}

/* --- the nodes --- */

void front_registered(struct front *front, struct registration *registration) {
    front_assignment_add(front->assignment, registration);
}

void front_unregistered(struct front *front, struct registration *registration) {
    front_assignment_remove(front->assignment, registration);
    proxy_node_left(front->proxy, registration);
}

void front_configure(struct front *front, const struct front_options *options) {
    proxy_configure(front->proxy, &options->streams);
    front->options.proxy = options->proxy;
    front->options.allow = options->allow;
    front_assignment_configure(front->assignment, options);
}

/* --- beginning and end --- */

struct front *front_new(const struct front_deps *deps, const struct front_options *options,
                        const struct front_hooks *hooks) {
    struct front *front = calloc(1, sizeof *front);
    if (front == NULL)
        return NULL;
    front->deps = *deps;
    front->options = *options;
    front->hooks = *hooks;
    TAILQ_INIT(&front->hellos);
    front->assignment = front_assignment_new(deps, options, hooks);
    front->proxy = proxy_new(deps->base, &options->streams);
    front->peers = host_limit_new(FRONT_HELLOS_OF_ONE_HOST);
    if (front->assignment != NULL && front->proxy != NULL && front->peers != NULL)
        return front;
    front_free(front);
    return NULL;
}

void front_free(struct front *front) {
    if (front == NULL)
        return;
    while (!TAILQ_EMPTY(&front->hellos))
        close_hello(TAILQ_FIRST(&front->hellos));
    proxy_free(front->proxy);
    front_assignment_free(front->assignment);
    host_limit_free(front->peers);
    free(front);
}

struct routes *front_ports_of(struct front *front) {
    return front_assignment_ports(front->assignment);
}

struct proxy *front_proxy(const struct front *front) {
    return front->proxy;
}

struct front_counters front_counters(const struct front *front) {
    return front->counters;
}
