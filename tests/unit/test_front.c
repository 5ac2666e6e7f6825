#include "net/front.h"

#include "assertions.h"
#include "base/clock.h"
#include "failing_allocation.h"
#include "net/tls.h"
#include "sockets_fixture.h"
#include "some_hello.h"
#include "some_registry.h"
#include "suites.h"

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
static struct front *front;
static struct front_options options;
static struct proxy_options streams;
static uint16_t own_port, epmd_port;
static int descriptors_before;

/* What was heard from the front and from the server. */
static int linked_fd;
static uint8_t linked_first[SOME_HELLO_MAX];
static size_t linked_len;
static bool takes_links;
static unsigned shared, short_of, refused, server_refused;
static char reason[128];

static bool on_link(void *context, int fd, const struct address *peer, struct bytes first) {
    ck_assert_ptr_eq(context, &front);
    ck_assert(address_is_loopback(peer));
    if (!takes_links)
        return false;
    linked_fd = fd;
    linked_len = first.len;
    memcpy(linked_first, first.data, first.len);
    return true;
}

static void on_shared(void *context, uint16_t port, const struct registration *registration) {
    (void)context;
    ck_assert_uint_eq(port, registration->front_port);
    shared++;
}

static void keep_reason(const char *text) {
    snprintf(reason, sizeof reason, "%s", text);
}

static void on_short_of(void *context, const struct front_shortage *shortage) {
    (void)context;
    ck_assert_uint_eq(shortage->registration->front_port, 0);
    keep_reason(shortage->reason);
    short_of++;
}

static void on_refused(void *context, const char *why, const struct address *peer) {
    (void)context;
    (void)peer;
    keep_reason(why);
    refused++;
}

static void on_server_refused(void *context, const struct epmd_refusal *refusal) {
    (void)context;
    keep_reason(refusal->reason);
    server_refused++;
}

static void on_limit(void *context, const char *limit, const char *outcome) {
    (void)context;
    ck_abort_msg("%s: %s", limit, outcome);
}

static void ignore_registered(void *context, struct registration *registration) {
    (void)context;
    (void)registration;
}

static void ignore_unregistered(void *context, struct registration *registration, const char *why) {
    (void)context;
    (void)registration;
    (void)why;
}

static void ignore_killed(void *context) {
    (void)context;
}

static const char *on_taken(void *context, const struct first_caller *caller, int fd,
                            const struct address *peer, struct bytes received) {
    (void)context;
    return front_take(front, caller, fd, peer, received);
}

/* Four ports in a row that nobody has, so that names can derive them. */
static uint16_t find_ports(void) {
    for (uint16_t first = (uint16_t)(20000 + getpid() % 1000 * 8);; first++) {
        int fds[4], count = 0;
        for (uint16_t port = first; count < 4; port++) {
            fds[count] = sockets_listen("0.0.0.0", &port);
            if (fds[count] < 0)
                break;
            count++;
        }
        bool found = count == 4;
        while (count > 0)
            close(fds[--count]);
        if (found)
            return first;
    }
}

static void make_front(void) {
    const struct front_house house = {.base = base, .server = server, .registry = some.registry};
    const struct front_hooks hooks = {.link = on_link,
                                      .shared = on_shared,
                                      .short_of = on_short_of,
                                      .refused = on_refused,
                                      .context = &front};
    front = front_new(&house, &options, &hooks);
    ck_assert_ptr_nonnull(front);
    service.fronts = front_ports_of(front);
}

static void begin(void) {
    const struct epmd_server_options server_options = {.packet_timeout_ms = 60000};
    const struct epmd_server_hooks hooks = {.registered = ignore_registered,
                                            .unregistered = ignore_unregistered,
                                            .refused = on_server_refused,
                                            .limit_hit = on_limit,
                                            .killed = ignore_killed,
                                            .taken = on_taken};
    struct listeners listeners = {.count = 0};
    struct listen_failure failure;
    signal(SIGPIPE, SIG_IGN);
    descriptors_before = sockets_count_descriptors();
    base = event_base_new();
    some = some_registry_new();
    own_port = find_ports();
    epmd_port = (uint16_t)(own_port + 3);
    streams = (struct proxy_options){.streams_max = 100};
    options = (struct front_options){.proxy = true,
                                     .base = own_port,
                                     .own_port = own_port,
                                     .addresses = "127.0.0.1",
                                     .ports_max = 10,
                                     .streams = streams};
    service = (struct epmd_service){.registry = some.registry};
    ck_assert(listeners_open(&listeners, LISTENER_FRONT, "127.0.0.1", own_port, &failure));
    ck_assert(listeners_open(&listeners, LISTENER_EPMD, "127.0.0.1", epmd_port, &failure));
    server = epmd_server_new(base, &service, &server_options, &hooks, &listeners);
    ck_assert_ptr_nonnull(server);
    make_front();
    shared = short_of = refused = server_refused = 0;
    linked_fd = -1;
    takes_links = true;
    reason[0] = '\0';
}

static void end(void) {
    front_free(front);
    epmd_server_free(server);
    some_registry_free(&some);
    event_base_free(base);
    ck_assert_int_eq(sockets_count_descriptors(), descriptors_before);
}

/* A node that is registered, and listens. */
struct some_listening_node {
    struct registration *registration;
    int fd;
};

static struct some_listening_node make_node(const char *name) {
    uint16_t port = 0;
    struct some_listening_node node = {.fd = sockets_listen("127.0.0.1", &port)};
    node.registration = some_registration(some.registry, name, port);
    front_registered(front, node.registration);
    return node;
}

static void unregister(struct registration *registration) {
    front_unregistered(front, registration);
    registry_remove(some.registry, registration);
}

static void end_node(const struct some_listening_node *node) {
    unregister(node->registration);
    close(node->fd);
}

static void say(int fd, struct bytes bytes) {
    ck_assert_uint_eq(sockets_send(fd, bytes.data, bytes.len), bytes.len);
}

static bool is_over(int fd) {
    uint8_t byte;
    return sockets_read(fd, &byte, 1) < 0;
}

static void hear(int fd, struct bytes expected) {
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

static int answered_by(const struct some_listening_node *node) {
    int fd = -1;
    turn_until(base, (fd = sockets_accept(node->fd)) >= 0);
    return fd;
}

static struct bytes make_hello(struct some_hello *hello, const char *protocol) {
    const char *const names[] = {protocol, NULL};
    some_hello_make(hello, names, 0);
    return some_hello_bytes(hello);
}

static bool listens(uint16_t port) {
    return epmd_server_listens(server, port);
}

/* --- who is calling --- */

START_TEST(an_epmd_client_is_answered_at_a_front_port) {
    int fd = sockets_connect(own_port);
    say(fd, LITERAL("\x00\x05zhare"));
    hear(fd, LITERAL("w\x01"));
    turn_until(base, is_over(fd));
    close(fd);
    ck_assert_uint_eq(proxy_counters(front_proxy(front)).opened, 0);
}
END_TEST

START_TEST(a_node_is_handed_to_the_node_it_calls_whatever_the_pieces) {
    const struct some_listening_node node = make_node("rabbit");
    const struct bytes packet = SEND_NAME;
    int fd = sockets_connect(own_port);
    for (size_t i = 0; i < packet.len; i++) {
        say(fd, bytes_of(packet.data + i, 1));
        if (i % 5 == 0)
            sockets_turn(base);
    }
    int far = answered_by(&node);
    hear(far, packet);
    say(far, LITERAL("\x00\x03sok"));
    hear(fd, LITERAL("\x00\x03sok"));
    ck_assert(proxy_connects(front_proxy(front), LITERAL("e1@far"), node.registration));
    close(fd);
    close(far);
    end_node(&node);
}
END_TEST

START_TEST(a_peer_daemon_is_handed_to_the_link) {
    struct some_hello hello;
    int fd = sockets_connect(own_port);
    say(fd, make_hello(&hello, TLS_ALPN));
    turn_until(base, linked_fd >= 0);
    assert_bytes(bytes_of(linked_first, linked_len), some_hello_bytes(&hello));
    say(fd, LITERAL("more"));
    hear(linked_fd, LITERAL("more"));
    close(fd);
    close(linked_fd);
}
END_TEST

START_TEST(a_hello_may_come_in_pieces) {
    struct some_hello hello;
    struct bytes whole = make_hello(&hello, TLS_ALPN);
    int fd = sockets_connect(own_port);
    for (size_t i = 0; i < whole.len; i++) {
        ck_assert_int_lt(linked_fd, 0);
        say(fd, bytes_of(whole.data + i, 1));
        if (i < 8 || i % 20 == 0)
            sockets_turn(base);
    }
    turn_until(base, linked_fd >= 0);
    assert_bytes(bytes_of(linked_first, linked_len), whole);
    ck_assert_uint_eq(front_counters(front).refused, 0);
    close(fd);
    close(linked_fd);
}
END_TEST

START_TEST(a_link_that_nobody_takes_is_closed) {
    struct some_hello hello;
    struct bytes whole = make_hello(&hello, TLS_ALPN);
    takes_links = false;
    for (size_t first = 10; first <= whole.len; first += whole.len - 10) {
        int fd = sockets_connect(own_port);
        say(fd, bytes_of(whole.data, first));
        sockets_turn(base);
        say(fd, bytes_of(whole.data + first, whole.len - first));
        turn_until(base, is_over(fd));
        ck_assert_str_eq(reason, "no link to another daemon can be taken");
        close(fd);
    }
    ck_assert_uint_eq(refused, 1);
    ck_assert_uint_eq(front_counters(front).refused, 1);
    ck_assert_uint_eq(server_refused, 1);
}
END_TEST

START_TEST(tls_of_others_is_a_nodes_and_goes_through_as_it_is) {
    static struct some_hello hello;
    const char *const none[] = {NULL};
    const struct some_listening_node node = make_node("rabbit");
    /* longer than any epmd request */
    some_hello_make(&hello, none, 9000);
    int fd = sockets_connect(own_port);
    say(fd, some_hello_bytes(&hello));
    int far = answered_by(&node);
    hear(far, some_hello_bytes(&hello));
    close(fd);
    close(far);
    end_node(&node);
}
END_TEST

START_TEST(what_is_no_protocol_of_ours_is_closed) {
    static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x01\x01\x02"};
    static const size_t lens[] = {18, 6};
    const struct some_listening_node node = make_node("rabbit");
    for (int i = 0; i < 2; i++) {
        int fd = sockets_connect(own_port);
        say(fd, bytes_of(texts[i], lens[i]));
        turn_until(base, is_over(fd));
        close(fd);
    }
    ck_assert_uint_eq(server_refused, 2);
    ck_assert_uint_eq(proxy_counters(front_proxy(front)).opened, 0);
    end_node(&node);
}
END_TEST

/* Whoever it is for: the port that was called decides which node hears it. */
START_TEST(a_port_leads_to_its_own_nodes_alone) {
    const struct some_listening_node zero = make_node("rabbit"), one = make_node("rabbit1");
    int fd = sockets_connect((uint16_t)(own_port + 1));
    say(fd, SEND_NAME);
    int far = answered_by(&one);
    hear(far, SEND_NAME);
    ck_assert_int_lt(sockets_accept(zero.fd), 0);
    close(fd);
    close(far);
    end_node(&zero);

    fd = sockets_connect(own_port);
    say(fd, SEND_NAME);
    turn_until(base, is_over(fd));
    ck_assert_str_eq(reason, "no node is behind this port");
    ck_assert_int_lt(sockets_accept(one.fd), 0);
    close(fd);
    end_node(&one);
}
END_TEST

START_TEST(of_two_nodes_the_one_that_the_caller_has_not_met_is_called) {
    const struct some_listening_node first = make_node("rabbit"), second = make_node("emqx");
    int fds[2], fars[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = sockets_connect(own_port);
        say(fds[i], SEND_NAME);
        fars[i] = answered_by(i == 0 ? &first : &second);
        hear(fars[i], SEND_NAME);
    }
    ck_assert_uint_eq(proxy_counters(front_proxy(front)).guessed, 2);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(fars[i]);
    }
    end_node(&first);
    end_node(&second);
}
END_TEST

/* --- hellos that wait --- */

static const struct first_caller waits = {.who = FIRST_BYTES_MORE};

static const char *begin_hello(const struct address *peer, int *far) {
    int ends[2];
    sockets_tcp_pair(ends);
    const char *why = front_take(front, &waits, ends[0], peer, LITERAL("\x16\x03\x01"));
    *far = ends[1];
    if (why != NULL)
        close(ends[0]);
    return why;
}

static void fill_hellos(const struct address *peer, int fars[], int most, const char *why) {
    for (int i = 0; i < most; i++)
        ck_assert_ptr_null(begin_hello(peer, &fars[i]));
    ck_assert_str_eq(begin_hello(peer, &fars[most]), why);
    close(fars[most]);
    /* one that goes makes room for another */
    close(fars[0]);
    turn_until(base, refused == 1);
    ck_assert_str_eq(reason, "peer gone in the midst of a TLS hello");
    ck_assert_ptr_null(begin_hello(peer, &fars[0]));
    for (int i = 0; i < most; i++)
        close(fars[i]);
}

START_TEST(hellos_that_wait_are_bounded) {
    int fars[FRONT_HELLOS_MAX + 1];
    const struct address peer = address_loopback_v4(50000);
    fill_hellos(&peer, fars, FRONT_HELLOS_MAX, "too many unfinished TLS hellos");
}
END_TEST

START_TEST(hellos_of_one_host_are_bounded) {
    int fars[FRONT_HELLOS_OF_ONE_HOST + 1];
    struct address peer;
    ck_assert(address_parse("192.0.2.1", 50000, &peer));
    fill_hellos(&peer, fars, FRONT_HELLOS_OF_ONE_HOST,
                "too many unfinished TLS hellos of this address");
}
END_TEST

START_TEST(a_hello_without_memory_is_refused_and_not_counted) {
    struct address peer;
    int ends[2];
    ck_assert(address_parse("192.0.2.1", 50000, &peer));
    for (int round = 0; round < 2 * FRONT_HELLOS_OF_ONE_HOST; round++) {
        sockets_tcp_pair(ends);
        fail_nth_allocation((unsigned)round % 2 + 1);
        const char *why = front_take(front, &waits, ends[0], &peer, LITERAL("\x16\x03"));
        ck_assert(allocation_failed());
        ck_assert_ptr_nonnull(why);
        close(ends[0]);
        close(ends[1]);
    }
    ck_assert_ptr_null(begin_hello(&peer, &ends[1]));
    close(ends[1]);
}
END_TEST

/* --- ports --- */

START_TEST(a_port_is_open_as_long_as_a_node_is_behind_it) {
    uint16_t port = (uint16_t)(own_port + 1);
    const struct some_listening_node one = make_node("rabbit1"), other = make_node("emqx1");
    ck_assert_uint_eq(one.registration->front_port, port);
    ck_assert_uint_eq(other.registration->front_port, port);
    ck_assert(listens(port));
    ck_assert_uint_eq(shared, 1);
    end_node(&one);
    ck_assert(listens(port));
    end_node(&other);
    ck_assert(!listens(port));
    ck_assert(listens(own_port));
}
END_TEST

START_TEST(the_daemons_own_port_stays_open) {
    const struct some_listening_node node = make_node("rabbit");
    ck_assert_uint_eq(node.registration->front_port, own_port);
    end_node(&node);
    ck_assert(listens(own_port));
}
END_TEST

START_TEST(a_node_that_needs_no_front_port_has_none) {
    struct registration *shell = some_registration(some.registry, "remsh1", 1234);
    struct registration *there =
        some_registration(some.registry, "rabbit1", (uint16_t)(own_port + 1));
    front_registered(front, shell);
    front_registered(front, there);
    ck_assert_uint_eq(shell->front_port, 0);
    ck_assert_uint_eq(there->front_port, 0);
    ck_assert(!listens((uint16_t)(own_port + 1)));
    ck_assert_uint_eq(short_of, 0);
    unregister(shell);
    unregister(there);
}
END_TEST

START_TEST(where_a_node_listens_is_known) {
    const struct some_listening_node node = make_node("rabbit1");
    ck_assert(node.registration->loopback_only);
    uint16_t port = 0;
    int fd = sockets_listen("0.0.0.0", &port);
    struct registration *open = some_registration(some.registry, "emqx1", port);
    front_registered(front, open);
    ck_assert(!open->loopback_only);
    close(fd);
    unregister(open);
    end_node(&node);
}
END_TEST

static void assert_short_of(const char *name, uint16_t own, const char *why) {
    struct registration *node = some_registration(some.registry, name, own);
    unsigned before = short_of;
    front_registered(front, node);
    ck_assert_uint_eq(short_of, before + 1);
    ck_assert_str_eq(reason, why);
    ck_assert_uint_eq(node->front_port, 0);
    unregister(node);
}

START_TEST(a_port_that_somebody_has_is_not_opened) {
    uint16_t port = (uint16_t)(own_port + 1);
    int fd = sockets_listen("127.0.0.1", &port);
    assert_short_of("rabbit1", 1234, strerror(EADDRINUSE));
    close(fd);
}
END_TEST

START_TEST(a_node_that_leads_the_proxy_to_itself_is_not_put_behind_a_port) {
    assert_short_of("rabbit1", own_port, "it says that it listens on a port of this daemon");
    assert_short_of("rabbit1", epmd_port, "it says that it listens on a port of this daemon");
}
END_TEST

START_TEST(front_ports_are_bounded) {
    front_free(front);
    options.ports_max = 1;
    make_front();
    const struct some_listening_node one = make_node("rabbit1");
    assert_short_of("rabbit2", 1234,
                    "1 front ports are open, and more would need too many descriptors");
    end_node(&one);
    const struct some_listening_node two = make_node("rabbit2");
    ck_assert_uint_ne(two.registration->front_port, 0);
    end_node(&two);
}
END_TEST

START_TEST(a_port_where_only_epmd_is_spoken_is_no_front_port) {
    assert_short_of("rabbit3", 1234, "this daemon speaks the epmd protocol alone there");
    ck_assert(listens(epmd_port));
    /* and the count of those that are open is right */
    const struct some_listening_node one = make_node("rabbit1");
    ck_assert_uint_ne(one.registration->front_port, 0);
    end_node(&one);
}
END_TEST

START_TEST(without_memory_a_node_has_no_front_port_and_nothing_is_left_open) {
    struct registration *node = some_registration(some.registry, "rabbit1", 1234);
    int before = sockets_count_descriptors();
    for (unsigned n = 1;; n++) {
        fail_nth_allocation(n);
        front_registered(front, node);
        if (!allocation_failed())
            break;
        ck_assert_uint_eq(node->front_port, 0);
        ck_assert_uint_eq(short_of, n);
        ck_assert(!listens((uint16_t)(own_port + 1)));
        ck_assert_int_eq(sockets_count_descriptors(), before);
    }
    ck_assert_uint_gt(short_of, 2);
    ck_assert_uint_eq(node->front_port, own_port + 1);
    unregister(node);
}
END_TEST

/* --- on and off --- */

START_TEST(without_the_proxy_nobody_is_behind_a_port) {
    const struct some_listening_node node = make_node("rabbit1");
    front_configure(front, false, &streams);
    ck_assert_uint_eq(node.registration->front_port, 0);
    ck_assert(!node.registration->loopback_only);
    ck_assert(!listens((uint16_t)(own_port + 1)));

    int fd = sockets_connect(own_port);
    say(fd, SEND_NAME);
    turn_until(base, is_over(fd));
    ck_assert_str_eq(reason, "the proxy is off");
    close(fd);
    front_configure(front, true, &streams);
    ck_assert_uint_eq(node.registration->front_port, own_port + 1);
    end_node(&node);
}
END_TEST

START_TEST(the_first_registered_stays_the_owner_when_the_proxy_comes_back) {
    const struct some_listening_node first = make_node("rabbit1"), second = make_node("emqx1");
    first.registration->since_ms = 100;
    second.registration->since_ms = 200;
    front_configure(front, false, &streams);
    front_configure(front, true, &streams);
    const struct front_ports *ports = front_ports_of(front);
    ck_assert_ptr_eq(front_ports_at(ports, (uint16_t)(own_port + 1), 0), first.registration);
    ck_assert_ptr_eq(front_ports_at(ports, (uint16_t)(own_port + 1), 1), second.registration);
    end_node(&first);
    end_node(&second);
}
END_TEST

START_TEST(streams_stay_when_the_proxy_is_turned_off) {
    const struct some_listening_node node = make_node("rabbit1");
    int fd = sockets_connect((uint16_t)(own_port + 1));
    say(fd, SEND_NAME);
    int far = answered_by(&node);
    hear(far, SEND_NAME);
    front_configure(front, false, &streams);
    say(fd, LITERAL("still"));
    hear(far, LITERAL("still"));
    close(fd);
    close(far);
    end_node(&node);
}
END_TEST

Suite *front_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("front", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, an_epmd_client_is_answered_at_a_front_port);
    tcase_add_test(tests, a_node_is_handed_to_the_node_it_calls_whatever_the_pieces);
    tcase_add_test(tests, a_peer_daemon_is_handed_to_the_link);
    tcase_add_test(tests, a_hello_may_come_in_pieces);
    tcase_add_test(tests, a_link_that_nobody_takes_is_closed);
    tcase_add_test(tests, tls_of_others_is_a_nodes_and_goes_through_as_it_is);
    tcase_add_test(tests, what_is_no_protocol_of_ours_is_closed);
    tcase_add_test(tests, a_port_leads_to_its_own_nodes_alone);
    tcase_add_test(tests, of_two_nodes_the_one_that_the_caller_has_not_met_is_called);
    tcase_add_test(tests, hellos_that_wait_are_bounded);
    tcase_add_test(tests, hellos_of_one_host_are_bounded);
    tcase_add_test(tests, a_hello_without_memory_is_refused_and_not_counted);
    tcase_add_test(tests, a_port_is_open_as_long_as_a_node_is_behind_it);
    tcase_add_test(tests, the_daemons_own_port_stays_open);
    tcase_add_test(tests, a_node_that_needs_no_front_port_has_none);
    tcase_add_test(tests, where_a_node_listens_is_known);
    tcase_add_test(tests, a_port_that_somebody_has_is_not_opened);
    tcase_add_test(tests, a_node_that_leads_the_proxy_to_itself_is_not_put_behind_a_port);
    tcase_add_test(tests, front_ports_are_bounded);
    tcase_add_test(tests, a_port_where_only_epmd_is_spoken_is_no_front_port);
    tcase_add_test(tests, without_memory_a_node_has_no_front_port_and_nothing_is_left_open);
    tcase_add_test(tests, without_the_proxy_nobody_is_behind_a_port);
    tcase_add_test(tests, the_first_registered_stays_the_owner_when_the_proxy_comes_back);
    tcase_add_test(tests, streams_stay_when_the_proxy_is_turned_off);
    return suite;
}
