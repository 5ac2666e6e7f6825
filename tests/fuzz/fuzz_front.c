/*
 * A front port with nodes behind it, and a hostile caller: real sockets on loopback, the epmd
 * server, the front and the proxy as the daemon puts them together.
 *
 * What holds: a caller reaches no node but those of the port that it called, one at most, and only
 * when its first bytes are a node's; the node hears what the caller said, from the first byte on
 * and in order, and the caller what the node said; a peer daemon is one that said so. A caller
 * costs little memory at any time, and nothing is left of it at the end.
 *
 * The input: a byte (1: which of the two ports is called), then steps of a byte that says what, and
 * their numbers:
 *
 *   0 len:16 bytes    the caller says so
 *   1 len:16          the node says as many bytes
 *   2, 3              the caller says no more; the node says no more
 *   4, 5              the caller is gone; the node's connection is
 *   6                 the nodes leave, and come back at the end
 *   7                 the caller looks a node of the port up
 */
#include "fuzz.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/demux.h"
#include "net/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sanitizer/allocator_interface.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define NODES 3 /* one behind the first port, two behind the second */
#define PORTS 2
#define TURNS 8
#define SAID_MAX 65536
#define MEMORY_MAX (2 * SAID_MAX + 65536) /* what a caller may cost, each way of its stream */

struct deps {
    struct event_base *base;
    struct epmd_service service;
    struct acceptor *acceptor;
    struct epmd_server *server;
    struct front *front;
    struct demux demux;
    uint16_t ports[PORTS];
    int listening[NODES];
    struct registration *nodes[NODES];
};

struct run {
    size_t port;      /* which is called */
    int caller, node; /* -1: gone, not there */
    size_t met;       /* which node it was */
    bool away;        /* the nodes have left */
    bool linked;
    size_t caller_len; /* what the caller has said; the node heard `heard` of it */
    size_t heard;
    size_t node_len, heard_back;
    uint8_t said[SAID_MAX];
};

static struct deps deps;
static struct run *now;

static size_t port_of_node(size_t node) {
    return node == 0 ? 0 : 1;
}

static uint8_t node_byte(size_t at) {
    return (uint8_t)(at % 251);
}

/* --- the parts --- */

/* Whether some beginning of what was said is of this kind: pieces may have come as they like. */
static bool has_said(const struct run *run, enum first_bytes who) {
    for (size_t len = 0; len <= run->caller_len; len++) {
        if (first_bytes_judge(bytes_of(run->said, len), bytes_of_text(TLS_ALPN)).who == who)
            return true;
    }
    return false;
}

static void end_socket(int *fd) {
    const struct linger none = {.l_onoff = 1}; /* a reset leaves no port in TIME_WAIT */
    if (*fd < 0)
        return;
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(*fd);
    *fd = -1;
}

static bool on_link(void *context, int fd, const struct address *peer, struct bytes first) {
    (void)context;
    (void)peer;
    must(now != NULL && !now->linked && has_said(now, FIRST_BYTES_LINK));
    must(first.len <= now->caller_len && memcmp(first.data, now->said, first.len) == 0);
    now->linked = true;
    end_socket(&fd);
    return true;
}

static void on_shared(void *context, uint16_t port, const struct registration *registration) {
    (void)context;
    (void)port;
    (void)registration;
}

static void on_port_failed(void *context, const struct front_port_error *error) {
    (void)context;
    (void)error;
}

static void on_refused(void *context, const char *reason, const struct address *peer) {
    (void)context;
    must(reason != NULL && address_is_loopback(peer));
}

static void on_registered(void *context, struct registration *registration) {
    (void)context;
    (void)registration;
}

static void on_unregistered(void *context, struct registration *registration, const char *reason) {
    (void)context;
    (void)registration;
    (void)reason;
}

static void on_server_refused(void *context, const struct epmd_refusal *refusal) {
    (void)context;
    must(refusal->reason != NULL);
}

static void on_limit(void *context, const char *limit, const char *outcome) {
    (void)context;
    (void)limit;
    (void)outcome;
}

static void on_killed(void *context) {
    (void)context;
    fuzz_failed("names are registered", __FILE__, __LINE__);
}

static void on_lookups_ready(void *context, bool at_once) {
    (void)context;
    if (at_once)
        epmd_server_answer_ready(deps.server);
    else
        epmd_server_answer_soon(deps.server);
}

static bool nothing_to_shed(void *context) {
    (void)context;
    return false;
}

static int listen_somewhere(uint16_t *port) {
    struct address address = address_loopback_v4(0);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, &address.any, address_len(&address)) == 0 && listen(fd, 64) == 0);
    must(getsockname(fd, &address.any, &len) == 0);
    *port = address_port(&address);
    return fd;
}

static void make_server(void) {
    const struct epmd_server_options options = {.packet_timeout_ms = 60000};
    const struct epmd_server_hooks hooks = {.registered = on_registered,
                                            .unregistered = on_unregistered,
                                            .refused = on_server_refused,
                                            .killed = on_killed};
    const struct acceptor_options of_acceptor = {.delay_s = 0};
    const struct acceptor_hooks acceptor_hooks = {.accepted = demux_accepted,
                                                  .shed = nothing_to_shed,
                                                  .limit_hit = on_limit,
                                                  .context = &deps.demux};
    struct listeners listeners = {.count = 0};
    for (size_t i = 0; i < PORTS; i++) {
        int fd = listen_somewhere(&deps.ports[i]);
        must(listeners_adopt(&listeners, LISTENER_FRONT, fd));
    }
    deps.acceptor = acceptor_new(deps.base, &of_acceptor, &acceptor_hooks, &listeners);
    must(deps.acceptor != NULL);
    deps.server = epmd_server_new(deps.base, &deps.service, deps.acceptor, &options, &hooks);
    must(deps.server != NULL);
}

static void make_front(void) {
    const struct front_deps lent = {
        .base = deps.base, .acceptor = deps.acceptor, .registry = deps.service.registry};
    const struct front_options options = {.proxy = true, .streams = {.streams_max = 100}};
    const struct front_hooks hooks = {
        .shared = on_shared, .port_failed = on_port_failed, .lookups_ready = on_lookups_ready};
    deps.front = front_new(&lent, &options, &hooks);
    must(deps.front != NULL);
    deps.service.routes = front_routes(deps.front);
}

static void make_demux(void) {
    const struct hello_queue_hooks hooks = {
        .arrived = demux_arrived, .refused = on_refused, .context = &deps.demux};
    deps.demux = (struct demux){
        .server = deps.server,
        .front = deps.front,
        .hellos = hello_queue_new(deps.base, HELLO_QUEUE_MAX, &hooks),
        .accept_link = on_link,
    };
    must(deps.demux.hellos != NULL);
    epmd_server_on_other_protocol(deps.server, demux_other_protocol, &deps.demux);
}

static void add_route(size_t node) {
    deps.nodes[node]->front_port = deps.ports[port_of_node(node)];
    must(routes_add(deps.service.routes, deps.nodes[node]));
}

/* Built once for all runs: a run ends with everything as it was. */
static void build(void) {
    static const char *const names[NODES] = {"zero0", "one1", "two1"};
    signal(SIGPIPE, SIG_IGN);
    must(log_open("fuzz", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, LOG_TO_CONSOLE, NULL) == 0);
    deps.base = event_base_new();
    deps.service.registry = registry_new(creations_new(1));
    must(deps.base != NULL && deps.service.registry != NULL);
    make_server();
    make_front();
    make_demux();
    for (size_t i = 0; i < NODES; i++) {
        struct epmd_node node = {.type = EPMD_NODE_NORMAL, .name = bytes_of_text(names[i])};
        deps.listening[i] = listen_somewhere(&node.port);
        must(registry_register(deps.service.registry, &node, NULL, 0, &deps.nodes[i]) ==
             REGISTRY_OK);
        add_route(i);
    }
}

/* --- a run --- */

static void meet(struct run *run) {
    for (size_t i = 0; i < NODES; i++) {
        int fd = accept4(deps.listening[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        must(port_of_node(i) == run->port);
        must(run->met == NODES && !run->linked);
        must(has_said(run, FIRST_BYTES_DIST) || has_said(run, FIRST_BYTES_DIST_TLS));
        run->met = i;
        run->node = fd;
    }
}

static void node_hears(struct run *run) {
    uint8_t bytes[16384];
    ssize_t len;
    while (run->node >= 0 && (len = recv(run->node, bytes, sizeof bytes, 0)) > 0) {
        must(run->heard + (size_t)len <= run->caller_len);
        must(memcmp(bytes, run->said + run->heard, (size_t)len) == 0);
        run->heard += (size_t)len;
    }
}

/* Of a caller that met no node it is the epmd protocol's replies, which others look at. */
static void caller_hears(struct run *run) {
    uint8_t bytes[16384];
    ssize_t len;
    while (run->caller >= 0 && (len = recv(run->caller, bytes, sizeof bytes, 0)) > 0) {
        for (ssize_t i = 0; i < len && run->met < NODES; i++)
            must(bytes[i] == node_byte(run->heard_back++));
        must(run->met == NODES || run->heard_back <= run->node_len);
    }
}

static void settle(struct run *run) {
    for (int i = 0; i < TURNS; i++) {
        event_base_loop(deps.base, EVLOOP_NONBLOCK);
        meet(run);
        node_hears(run);
        caller_hears(run);
    }
}

static void caller_says(struct run *run, struct bytes bytes) {
    if (run->caller < 0 || bytes.len > SAID_MAX - run->caller_len)
        return;
    ssize_t sent = send(run->caller, bytes.data, bytes.len, MSG_NOSIGNAL);
    if (sent <= 0)
        return;
    memcpy(run->said + run->caller_len, bytes.data, (size_t)sent);
    run->caller_len += (size_t)sent;
}

static void node_says(struct run *run, size_t len) {
    uint8_t bytes[UINT16_MAX];
    for (size_t i = 0; i < len; i++)
        bytes[i] = node_byte(run->node_len + i);
    ssize_t sent = run->node < 0 ? 0 : send(run->node, bytes, len, MSG_NOSIGNAL);
    run->node_len += sent > 0 ? (size_t)sent : 0;
}

static void nodes_leave(struct run *run) {
    for (size_t i = 0; i < NODES && !run->away; i++) {
        routes_remove(deps.service.routes, deps.nodes[i], clock_monotonic_ms());
        deps.nodes[i]->front_port = 0;
        front_unregistered(deps.front, deps.nodes[i]);
    }
    run->away = true;
}

static void step(struct run *run, struct reader *input) {
    size_t len;
    switch (read_u8(input) & 7) {
    case 0:
        len = read_u16(input);
        caller_says(run, read_bytes(input, len > input->left ? input->left : len));
        break;
    case 1:
        node_says(run, read_u16(input));
        break;
    case 2:
        if (run->caller >= 0)
            shutdown(run->caller, SHUT_WR);
        break;
    case 3:
        if (run->node >= 0)
            shutdown(run->node, SHUT_WR);
        break;
    case 4:
        end_socket(&run->caller);
        break;
    case 5:
        end_socket(&run->node);
        break;
    case 6:
        nodes_leave(run);
        break;
    default:
        if (!run->away)
            routes_looked_up(deps.service.routes, deps.nodes[run->port == 0 ? 0 : 2],
                             bytes_of("\x7f\0\0\1", 4), 0);
    }
    settle(run);
}

static void begin(struct run *run) {
    const struct address address = address_loopback_v4(deps.ports[run->port]);
    run->caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(run->caller >= 0);
    must(connect(run->caller, &address.any, address_len(&address)) == 0);
    must(fcntl(run->caller, F_SETFL, O_NONBLOCK) == 0);
}

static bool is_left(void) {
    struct epmd_server_status status = epmd_server_status(deps.server);
    return proxy_count(front_proxy(deps.front)) > 0 || status.waiting > 0 || status.registered > 0;
}

static void end(struct run *run) {
    end_socket(&run->node);
    end_socket(&run->caller);
    for (int i = 0; i < 1000 && (i < TURNS || is_left()); i++) {
        settle(run);
        end_socket(&run->node);
    }
    must(!is_left());
    for (size_t i = 0; i < NODES && run->away; i++)
        add_route(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct run run;
    struct reader input = reader_of(bytes_of(data, size));
    if (deps.base == NULL)
        build();
    run.port = read_u8(&input) & 1;
    run.caller = run.node = -1;
    run.met = NODES;
    run.away = run.linked = false;
    run.caller_len = run.heard = run.node_len = run.heard_back = 0;
    now = &run;
    size_t before = __sanitizer_get_current_allocated_bytes();
    begin(&run);
    while (input.left > 0 && !input.failed) {
        step(&run, &input);
        must(__sanitizer_get_current_allocated_bytes() <= before + MEMORY_MAX);
    }
    end(&run);
    now = NULL;
    return 0;
}
