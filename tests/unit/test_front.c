#include "front_fixture.h"
#include "suites.h"

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
    const struct address loopback = address_loopback_v4(0);
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
    ck_assert(proxy_connects(front_proxy(front), LITERAL("e1@far"), &loopback, node.registration));
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
    ck_assert_uint_eq(hello_queue_counters(demux.hellos).refused, 0);
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
        ck_assert_str_eq(reason, "this daemon accepts no cluster links");
        close(fd);
    }
    ck_assert_uint_eq(refused, 1);
    ck_assert_uint_eq(hello_queue_counters(demux.hellos).refused, 1);
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

/* Whatever the target: the port that was called decides which node gets it. */
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

static const char *begin_hello(const struct address *peer, int *far) {
    int ends[2];
    sockets_tcp_pair(ends);
    const char *why = hello_queue_add(demux.hellos, ends[0], peer, LITERAL("\x16\x03\x01"));
    *far = ends[1];
    if (why != NULL)
        close(ends[0]);
    return why;
}

/* Callers that send half a hello cannot keep others out: the oldest gives way. */
START_TEST(hellos_that_wait_are_bounded) {
    int fars[HELLO_QUEUE_MAX + 1];
    const struct address peer = address_loopback_v4(50000);
    for (int i = 0; i < HELLO_QUEUE_MAX; i++)
        ck_assert_ptr_null(begin_hello(&peer, &fars[i]));
    ck_assert_uint_eq(refused, 0);
    ck_assert_ptr_null(begin_hello(&peer, &fars[HELLO_QUEUE_MAX]));
    ck_assert_uint_eq(refused, 1);
    ck_assert_str_eq(reason, "too many incomplete TLS hellos");
    turn_until(base, is_over(fars[0]));
    for (int i = 0; i <= HELLO_QUEUE_MAX; i++)
        close(fars[i]);
}
END_TEST

START_TEST(hellos_of_one_host_are_bounded) {
    int fars[HELLO_QUEUE_OF_ONE_HOST + 1];
    const int most = HELLO_QUEUE_OF_ONE_HOST;
    struct address peer;
    ck_assert(address_parse("192.0.2.1", 50000, &peer));
    for (int i = 0; i < most; i++)
        ck_assert_ptr_null(begin_hello(&peer, &fars[i]));
    ck_assert_str_eq(begin_hello(&peer, &fars[most]),
                     "too many incomplete TLS hellos from this address");
    close(fars[most]);
    /* one that goes makes room for another */
    close(fars[0]);
    turn_until(base, refused == 1);
    ck_assert_str_eq(reason, "peer disconnected in the middle of a TLS hello");
    ck_assert_ptr_null(begin_hello(&peer, &fars[0]));
    for (int i = 0; i < most; i++)
        close(fars[i]);
}
END_TEST

START_TEST(a_hello_without_memory_is_refused_and_not_counted) {
    struct address peer;
    int ends[2];
    ck_assert(address_parse("192.0.2.1", 50000, &peer));
    for (int round = 0; round < 2 * HELLO_QUEUE_OF_ONE_HOST; round++) {
        sockets_tcp_pair(ends);
        fail_nth_allocation((unsigned)round % 2 + 1);
        const char *why = hello_queue_add(demux.hellos, ends[0], &peer, LITERAL("\x16\x03"));
        ck_assert(allocation_failed());
        ck_assert_ptr_nonnull(why);
        close(ends[0]);
        close(ends[1]);
    }
    ck_assert_ptr_null(begin_hello(&peer, &ends[1]));
    close(ends[1]);
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
    return suite;
}
