#include "host/sock_diag.h"

#include "failing_call.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define NUMBER 7

static struct sock_diag *diag;
static int listener;
static struct address address;

static void begin(void) {
    uint16_t port = 0;
    diag = sock_diag_new();
    ck_assert_ptr_nonnull(diag);
    listener = sockets_listen("127.0.0.1", &port);
    ck_assert(address_parse("127.0.0.1", port, &address));
}

static void end(void) {
    sock_diag_free(diag);
    close(listener);
}

static void assert_found(void) {
    uint32_t user;
    ck_assert_int_eq(sock_diag_listening(diag, &address.any, &user), SOCK_DIAG_FOUND);
    ck_assert_uint_eq(user, geteuid());
    ck_assert_int_eq(sock_diag_error(diag), 0);
}

/* A question of which this call fails. */
static void assert_fails(enum failing_call call, int error, enum sock_diag_verdict verdict,
                         int reported) {
    uint32_t user = 0;
    fail_nth_call(call, 1, error);
    enum sock_diag_verdict found = sock_diag_listening(diag, &address.any, &user);
    ck_assert(call_failed());
    ck_assert_msg(found == verdict && sock_diag_error(diag) == reported,
                  "verdict %d, error %d, expected %d, %d", found, sock_diag_error(diag), verdict,
                  reported);
    ck_assert_uint_eq(user, USER_NOBODY);
}

START_TEST(a_question_that_cannot_be_sent_has_no_answer) {
    assert_fails(CALL_SEND, EPERM, SOCK_DIAG_DENIED, EPERM);
    assert_fails(CALL_SEND, EACCES, SOCK_DIAG_DENIED, EACCES);
    assert_fails(CALL_SEND, ENOBUFS, SOCK_DIAG_NO_ANSWER, ENOBUFS);
    assert_fails(CALL_SEND, ENOENT, SOCK_DIAG_NO_ANSWER, EPROTONOSUPPORT);
    assert_found();
}
END_TEST

START_TEST(an_answer_that_cannot_be_received_is_none) {
    assert_fails(CALL_RECV, ENOBUFS, SOCK_DIAG_NO_ANSWER, ENOBUFS);
    assert_fails(CALL_RECV, EACCES, SOCK_DIAG_DENIED, EACCES);
    assert_found(); /* the answers that were left are passed over */
}
END_TEST

START_TEST(an_answer_is_waited_for) {
    const int errors[] = {EAGAIN, EINTR};
    for (size_t i = 0; i < 2; i++) {
        fail_nth_call(CALL_RECV, 1, errors[i]);
        assert_found();
        ck_assert(call_failed());
    }
}
END_TEST

START_TEST(an_answer_that_does_not_come_in_time_is_none) {
    uint32_t user = 0;
    fail_nth_call(CALL_RECV, 1, EAGAIN);
    fail_nth_call(CALL_POLL, 1, EINTR);
    ck_assert_int_eq(sock_diag_listening(diag, &address.any, &user), SOCK_DIAG_NO_ANSWER);
    ck_assert(call_failed());
    ck_assert_int_eq(sock_diag_error(diag), ETIMEDOUT);
    assert_found();
}
END_TEST

START_TEST(no_program_that_is_started_gets_a_descriptor) {
    int before = sockets_count_inherited();
    struct sock_diag *another = sock_diag_new();
    ck_assert_ptr_nonnull(another);
    ck_assert_int_eq(sockets_count_inherited(), before);
    sock_diag_free(another);
}
END_TEST

START_TEST(netlink_is_opened_when_it_is_there_again) {
    const int errors[][2] = {{EMFILE, EMFILE}, {ENOENT, EPROTONOSUPPORT}};
    int before = sockets_count_descriptors();
    for (size_t i = 0; i < 2; i++) {
        sock_diag_free(diag);
        fail_nth_call(CALL_SOCKET, 1, errors[i][0]);
        diag = sock_diag_new();
        ck_assert(call_failed());
        ck_assert_ptr_nonnull(diag);
        assert_fails(CALL_SOCKET, errors[i][0], SOCK_DIAG_NO_ANSWER, errors[i][1]);
        assert_fails(CALL_CONNECT, ECONNREFUSED, SOCK_DIAG_NO_ANSWER, ECONNREFUSED);
        ck_assert_int_eq(sockets_count_descriptors(), before - 1);
        assert_found();
        ck_assert_int_eq(sockets_count_descriptors(), before);
    }
}
END_TEST

START_TEST(a_trial_finds_a_socket_of_its_own) {
    int before = sockets_count_descriptors();
    ck_assert_int_eq(sock_diag_try(diag), SOCK_DIAG_FOUND);
    fail_nth_call(CALL_SOCKET, 1, EMFILE);
    ck_assert_int_eq(sock_diag_try(diag), SOCK_DIAG_NO_ANSWER);
    ck_assert(call_failed());
    ck_assert_int_eq(sock_diag_error(diag), EMFILE);
    fail_nth_call(CALL_SEND, 1, EPERM);
    ck_assert_int_eq(sock_diag_try(diag), SOCK_DIAG_DENIED);
    ck_assert(call_failed());
    ck_assert_int_eq(sockets_count_descriptors(), before);
}
END_TEST

START_TEST(ends_of_different_families_are_no_connection) {
    struct address v6;
    uint32_t user = 0;
    ck_assert(address_parse("::1", 1, &v6));
    ck_assert_int_eq(sock_diag_connected(diag, &address.any, &v6.any, &user), SOCK_DIAG_NOT_FOUND);
    ck_assert_uint_eq(user, USER_NOBODY);
}
END_TEST

/* A listener is no end of a connection, and the other way round. */
START_TEST(a_socket_of_another_state_is_not_it) {
    int ends[2];
    uint32_t user = 0;
    sockets_tcp_pair(ends);
    struct address own = sockets_own_address(ends[0]);
    ck_assert_int_eq(sock_diag_listening(diag, &own.any, &user), SOCK_DIAG_NOT_FOUND);
    ck_assert_uint_eq(user, USER_NOBODY);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static enum sock_diag_parsed parse_error_of(int32_t said, size_t len, int *error) {
    struct {
        struct nlmsghdr header;
        int32_t error;
    } answer;
    struct sock_diag_socket socket;
    memset(&answer, 0, sizeof answer);
    answer.header.nlmsg_len = (uint32_t)len;
    answer.header.nlmsg_type = NLMSG_ERROR;
    answer.header.nlmsg_seq = NUMBER;
    answer.error = said;
    return sock_diag_parse(bytes_of(&answer, len), NUMBER, &socket, error);
}

START_TEST(an_error_is_an_errno_or_none) {
    static const int32_t said[][2] = {{-1, 1}, {-4095, 4095}, {-4096, 0}, {0, 0}, {5, 0}};
    const size_t whole = sizeof(struct nlmsghdr) + sizeof(int32_t);
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        int error = -1;
        ck_assert_int_eq(parse_error_of(said[i][0], whole, &error), SOCK_DIAG_IS_ERROR);
        ck_assert_int_eq(error, said[i][1]);
    }
    int error;
    ck_assert_int_eq(parse_error_of(-1, whole - 1, &error), SOCK_DIAG_IS_OTHER);
}
END_TEST

START_TEST(answers_are_aligned_to_four_bytes) {
    for (size_t extra = 0; extra <= 4; extra++) {
        uint8_t datagram[128] = {0};
        struct nlmsghdr first = {.nlmsg_len = (uint32_t)(sizeof first + extra), .nlmsg_seq = 1};
        struct nlmsghdr second = {.nlmsg_len = sizeof second + sizeof(struct inet_diag_msg),
                                  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                                  .nlmsg_seq = NUMBER};
        const struct inet_diag_msg said = {.idiag_state = TCP_LISTEN, .idiag_uid = 5};
        struct sock_diag_socket socket;
        int error;
        size_t at = sizeof first + (extra + 3) / 4 * 4;
        memcpy(datagram, &first, sizeof first);
        memcpy(datagram + at, &second, sizeof second);
        memcpy(datagram + at + sizeof second, &said, sizeof said);
        ck_assert_int_eq(
            sock_diag_parse(bytes_of(datagram, at + second.nlmsg_len), NUMBER, &socket, &error),
            SOCK_DIAG_IS_SOCKET);
        ck_assert_uint_eq(socket.user, 5);
    }
}
END_TEST

START_TEST(each_verdict_has_its_reason) {
    ck_assert_str_eq(sock_diag_reason(SOCK_DIAG_FOUND), "its user is known");
    ck_assert_str_eq(sock_diag_reason(SOCK_DIAG_NOT_FOUND), "no such socket");
    ck_assert_str_eq(sock_diag_reason(SOCK_DIAG_NOBODYS),
                     "the owner of its socket is unknown to this host");
    ck_assert_str_eq(sock_diag_reason(SOCK_DIAG_DENIED),
                     "this process may not query the owners of sockets");
    ck_assert_str_eq(sock_diag_reason(SOCK_DIAG_NO_ANSWER),
                     "the kernel does not report the owners of sockets");
}
END_TEST

Suite *sock_diag_failures_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("sock_diag_failures", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_question_that_cannot_be_sent_has_no_answer);
    tcase_add_test(tests, an_answer_that_cannot_be_received_is_none);
    tcase_add_test(tests, an_answer_is_waited_for);
    tcase_add_test(tests, an_answer_that_does_not_come_in_time_is_none);
    tcase_add_test(tests, no_program_that_is_started_gets_a_descriptor);
    tcase_add_test(tests, netlink_is_opened_when_it_is_there_again);
    tcase_add_test(tests, a_trial_finds_a_socket_of_its_own);
    tcase_add_test(tests, ends_of_different_families_are_no_connection);
    tcase_add_test(tests, a_socket_of_another_state_is_not_it);
    tcase_add_test(tests, an_error_is_an_errno_or_none);
    tcase_add_test(tests, answers_are_aligned_to_four_bytes);
    tcase_add_test(tests, each_verdict_has_its_reason);
    return suite;
}
