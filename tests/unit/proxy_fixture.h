/*
 * A proxy on real sockets: a listening node, callers, and both ends of their streams.
 */
#ifndef PORTOLAN_TESTS_UNIT_PROXY_FIXTURE_H
#define PORTOLAN_TESTS_UNIT_PROXY_FIXTURE_H

#include "front/proxy.h"

#include "assertions.h"
#include "base/clock.h"
#include "failing_allocation.h"
#include "sockets_fixture.h"
#include "some_registry.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define FIRST LITERAL("first")

static struct event_base *base;
static struct proxy *proxy;
static struct proxy_options options;
static struct registration node;
static struct address local_peer, far_peer;
static int node_fd; /* where the node listens */
static int descriptors_before;

static inline void begin(void) {
    uint16_t port = 0;
    signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    descriptors_before = sockets_count_descriptors();
    options = (struct proxy_options){.streams_max = 100, .peer_streams = 2};
    proxy = proxy_new(base, &options);
    ck_assert(base != NULL && proxy != NULL);
    node_fd = sockets_listen("127.0.0.1", &port);
    node = (struct registration){.node = some_node("rabbit1", port)};
    local_peer = address_loopback_v4(50000);
    ck_assert(address_parse("192.0.2.1", 50000, &far_peer));
}

static inline void end(void) {
    proxy_free(proxy);
    if (node_fd >= 0)
        close(node_fd);
    ck_assert_int_eq(sockets_count_descriptors(), descriptors_before);
    event_base_free(base);
}

/* A caller, its stream and the node's end of it. */
struct call {
    int proxys, caller, node;
    struct address called;
    struct proxy_call asked;
};

static inline struct call make_call(void) {
    int ends[2];
    sockets_tcp_pair(ends);
    return (struct call){.proxys = ends[0],
                         .caller = ends[1],
                         .node = -1,
                         .called = sockets_own_address(ends[0]),
                         .asked = {.fd = ends[0],
                                   .peer = &local_peer,
                                   .first = FIRST,
                                   .caller = LITERAL("emqx1@far"),
                                   .registration = &node}};
}

static inline const char *open_call(struct call *call) {
    call->asked.called = &call->called;
    return proxy_open(proxy, &call->asked);
}

static inline void hear(int fd, const void *expected, size_t len) {
    static uint8_t heard[65536];
    size_t got = 0;
    while (got < len) {
        ssize_t now = 0;
        turn_until(base, (now = sockets_read(fd, heard, sizeof heard)) != 0);
        ck_assert_int_gt(now, 0);
        ck_assert_uint_le(got + (size_t)now, len);
        ck_assert_int_eq(memcmp(heard, (const uint8_t *)expected + got, (size_t)now), 0);
        got += (size_t)now;
    }
}

static inline void say(int fd, const char *text) {
    ck_assert_uint_eq(sockets_send(fd, text, strlen(text)), strlen(text));
}

static inline void hear_text(int fd, const char *text) {
    hear(fd, text, strlen(text));
}

static inline bool is_over(int fd) {
    uint8_t byte;
    return sockets_read(fd, &byte, 1) < 0;
}

static inline void answer(struct call *call) {
    turn_until(base, (call->node = sockets_accept(node_fd)) >= 0);
    hear_text(call->node, "first");
}

static inline struct call open_stream(void) {
    struct call call = make_call();
    ck_assert_ptr_null(open_call(&call));
    answer(&call);
    return call;
}

static inline void hang_up(const struct call *call) {
    close(call->caller);
    if (call->node >= 0)
        close(call->node);
}

#endif
