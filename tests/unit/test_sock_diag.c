#include "host/sock_diag.h"

#include "failing_allocation.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OTHER_USER 61234
#define NUMBER 7

static struct sock_diag *diag;

static void begin(void) {
    diag = sock_diag_new();
    ck_assert_ptr_nonnull(diag);
}

static void end(void) {
    sock_diag_free(diag);
}

static enum sock_diag_verdict connected(int fd, uint32_t *user) {
    struct address own = sockets_own_address(fd), other;
    socklen_t len = sizeof other;
    ck_assert_int_eq(getpeername(fd, &other.any, &len), 0);
    return sock_diag_connected(diag, &own.any, &other.any, user);
}

static enum sock_diag_verdict listening(const char *text, uint16_t port, uint32_t *user) {
    struct address address;
    ck_assert(address_parse(text, port, &address));
    return sock_diag_listening(diag, &address.any, user);
}

static int listen_v6_alone(uint16_t port) {
    const struct address any = address_any_v6(port);
    const int on = 1;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    ck_assert_int_eq(bind(fd, &any.any, address_len(&any)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

/* --- the kernel --- */

START_TEST(a_connection_belongs_to_the_user_who_made_it) {
    int ends[2];
    uint32_t user;
    sockets_tcp_pair(ends);

    ck_assert_int_eq(connected(ends[0], &user), SOCK_DIAG_FOUND);
    ck_assert_uint_eq(user, geteuid());
    ck_assert_int_eq(connected(ends[1], &user), SOCK_DIAG_FOUND);

    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_listener_belongs_to_the_user_who_opened_it) {
    uint16_t port = 0;
    uint32_t user;
    int fd = sockets_listen("127.0.0.1", &port);

    ck_assert_int_eq(listening("127.0.0.1", port, &user), SOCK_DIAG_FOUND);
    ck_assert_uint_eq(user, geteuid());
    ck_assert_int_eq(listening("::ffff:127.0.0.1", port, &user), SOCK_DIAG_FOUND);
    ck_assert_int_eq(listening("127.0.0.2", port, &user), SOCK_DIAG_NOT_FOUND);
    ck_assert_int_eq(listening("::1", port, &user), SOCK_DIAG_NOT_FOUND);
    ck_assert_uint_eq(user, USER_NOBODY);
    close(fd);
    ck_assert_int_eq(listening("127.0.0.1", port, &user), SOCK_DIAG_NOT_FOUND);
}
END_TEST

/* Its socket reads as one of user 0 until then. */
START_TEST(a_connection_that_is_not_accepted_is_nobodys_and_not_roots) {
    uint16_t port = 0;
    uint32_t user = 0;
    int listening_fd = sockets_listen("127.0.0.1", &port), fd = sockets_connect(port);
    struct address own = sockets_own_address(fd), there;
    socklen_t len = sizeof there;
    ck_assert_int_eq(getpeername(fd, &there.any, &len), 0);

    ck_assert_int_eq(sock_diag_connected(diag, &there.any, &own.any, &user), SOCK_DIAG_NOBODYS);
    ck_assert_uint_eq(user, USER_NOBODY);

    close(fd);
    close(listening_fd);
}
END_TEST

START_TEST(a_connection_that_was_closed_is_nobodys) {
    int ends[2];
    uint32_t user = 0;
    sockets_tcp_pair(ends);
    struct address own = sockets_own_address(ends[0]), other = sockets_own_address(ends[1]);
    close(ends[0]);

    ck_assert_int_ne(sock_diag_connected(diag, &own.any, &other.any, &user), SOCK_DIAG_FOUND);
    ck_assert_uint_eq(user, USER_NOBODY);

    close(ends[1]);
}
END_TEST

/* Asked for as IPv6, a mapped address would find the listener that takes IPv6 alone. */
START_TEST(a_mapped_address_finds_what_a_connection_to_it_reaches) {
    uint16_t port = 0;
    uint32_t user;
    int both = sockets_listen("::", &port);
    if (both < 0)
        return; /* a host without IPv6 */
    ck_assert_int_eq(listening("127.0.0.1", port, &user), SOCK_DIAG_FOUND);
    ck_assert_int_eq(listening("::ffff:127.0.0.1", port, &user), SOCK_DIAG_FOUND);
    close(both);

    int v6_alone = listen_v6_alone(port);
    ck_assert_int_eq(listening("::1", port, &user), SOCK_DIAG_FOUND);
    ck_assert_int_eq(listening("::ffff:127.0.0.1", port, &user), SOCK_DIAG_NOT_FOUND);
    ck_assert_int_eq(listening("127.0.0.1", port, &user), SOCK_DIAG_NOT_FOUND);
    close(v6_alone);
}
END_TEST

START_TEST(it_is_asked_for_a_user_and_not_for_a_process) {
    if (geteuid() != 0) {
        printf("skipped: it takes root to become another user\n");
        return;
    }
    int said[2], wait[2];
    uint16_t port = 0;
    uint32_t user;
    char byte;
    ck_assert_int_eq(pipe(said) | pipe(wait), 0);
    pid_t child = fork();
    if (child == 0) {
        close(wait[1]);
        if (setuid(OTHER_USER) < 0 || sockets_listen("127.0.0.1", &port) < 0 ||
            write(said[1], &port, sizeof port) < 0)
            _exit(1);
        _exit(read(wait[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(said[1]);
    ck_assert_int_eq(read(said[0], &port, sizeof port), sizeof port);

    ck_assert_int_eq(listening("127.0.0.1", port, &user), SOCK_DIAG_FOUND);
    ck_assert_uint_eq(user, OTHER_USER);

    close(wait[1]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

START_TEST(what_was_never_found_is_doubted_once) {
    uint32_t user;
    struct sock_diag *fresh = sock_diag_new();
    struct address address;
    ck_assert(address_parse("127.0.0.1", 1, &address));
    int before = sockets_count_descriptors();

    ck_assert_int_eq(sock_diag_listening(fresh, &address.any, &user), SOCK_DIAG_NOT_FOUND);

    ck_assert_int_eq(sockets_count_descriptors(), before);
    sock_diag_free(fresh);
}
END_TEST

/* --- the answer's bytes --- */

struct answer {
    struct nlmsghdr header;
    struct inet_diag_msg socket;
};

static struct answer some_answer(void) {
    struct answer answer;
    memset(&answer, 0, sizeof answer);
    answer.header.nlmsg_len = sizeof answer;
    answer.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    answer.header.nlmsg_seq = NUMBER;
    answer.socket.idiag_state = TCP_LISTEN;
    answer.socket.idiag_uid = 1000;
    answer.socket.idiag_inode = 55;
    return answer;
}

START_TEST(an_answer_is_read) {
    const struct answer answer = some_answer();
    struct sock_diag_socket socket;
    int error;

    ck_assert_int_eq(sock_diag_parse(bytes_of(&answer, sizeof answer), NUMBER, &socket, &error),
                     SOCK_DIAG_IS_SOCKET);
    ck_assert_uint_eq(socket.state, TCP_LISTEN);
    ck_assert_uint_eq(socket.user, 1000);
    ck_assert_uint_eq(socket.inode, 55);
}
END_TEST

START_TEST(an_answer_to_another_question_is_passed_over) {
    struct answer answers[2] = {some_answer(), some_answer()};
    struct sock_diag_socket socket;
    int error;
    answers[0].header.nlmsg_seq = NUMBER - 1;
    answers[1].socket.idiag_uid = 1001;

    ck_assert_int_eq(sock_diag_parse(bytes_of(answers, sizeof answers), NUMBER, &socket, &error),
                     SOCK_DIAG_IS_SOCKET);
    ck_assert_uint_eq(socket.user, 1001);
    ck_assert_int_eq(
        sock_diag_parse(bytes_of(answers, sizeof answers), NUMBER + 1, &socket, &error),
        SOCK_DIAG_IS_OTHER);
}
END_TEST

START_TEST(an_answer_that_is_cut_is_none) {
    const struct answer answer = some_answer();
    struct sock_diag_socket socket;
    int error;
    for (size_t len = 0; len < sizeof answer; len++) {
        ck_assert_int_eq(sock_diag_parse(bytes_of(&answer, len), NUMBER, &socket, &error),
                         SOCK_DIAG_IS_OTHER);
    }
}
END_TEST

START_TEST(lengths_that_lie_are_not_followed) {
    static const uint32_t lengths[] = {0, 1, 15, 87, 89, 4096, UINT32_MAX - 3, UINT32_MAX};
    struct answer answer = some_answer();
    struct sock_diag_socket socket;
    int error;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        answer.header.nlmsg_len = lengths[i];
        ck_assert_int_eq(sock_diag_parse(bytes_of(&answer, sizeof answer), NUMBER, &socket, &error),
                         SOCK_DIAG_IS_OTHER);
    }
}
END_TEST

START_TEST(an_error_is_read) {
    struct {
        struct nlmsghdr header;
        struct nlmsgerr said;
    } answer;
    struct sock_diag_socket socket;
    int error;
    memset(&answer, 0, sizeof answer);
    answer.header.nlmsg_len = sizeof answer;
    answer.header.nlmsg_type = NLMSG_ERROR;
    answer.header.nlmsg_seq = NUMBER;
    answer.said.error = -ENOENT;

    ck_assert_int_eq(sock_diag_parse(bytes_of(&answer, sizeof answer), NUMBER, &socket, &error),
                     SOCK_DIAG_IS_ERROR);
    ck_assert_int_eq(error, ENOENT);
    answer.said.error = INT32_MIN;
    ck_assert_int_eq(sock_diag_parse(bytes_of(&answer, sizeof answer), NUMBER, &socket, &error),
                     SOCK_DIAG_IS_ERROR);
    ck_assert_int_eq(error, 0);
}
END_TEST

START_TEST(without_memory_there_is_none) {
    fail_nth_allocation(1);
    struct sock_diag *none = sock_diag_new();

    ck_assert(allocation_failed());
    ck_assert_ptr_null(none);
    sock_diag_free(NULL);
}
END_TEST

Suite *sock_diag_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("sock_diag", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_connection_belongs_to_the_user_who_made_it);
    tcase_add_test(tests, a_listener_belongs_to_the_user_who_opened_it);
    tcase_add_test(tests, a_connection_that_is_not_accepted_is_nobodys_and_not_roots);
    tcase_add_test(tests, a_connection_that_was_closed_is_nobodys);
    tcase_add_test(tests, a_mapped_address_finds_what_a_connection_to_it_reaches);
    tcase_add_test(tests, it_is_asked_for_a_user_and_not_for_a_process);
    tcase_add_test(tests, what_was_never_found_is_doubted_once);
    tcase_add_test(tests, an_answer_is_read);
    tcase_add_test(tests, an_answer_to_another_question_is_passed_over);
    tcase_add_test(tests, an_answer_that_is_cut_is_none);
    tcase_add_test(tests, lengths_that_lie_are_not_followed);
    tcase_add_test(tests, an_error_is_read);
    tcase_add_test(tests, without_memory_there_is_none);
    return suite;
}
