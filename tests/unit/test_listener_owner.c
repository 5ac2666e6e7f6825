#include "host/listener_owner.h"

#include "failing_call.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct sock_diag *diag;
static int fd;
static struct address address;
static char reason[LISTENER_OWNER_REASON_SIZE];

static void begin(void) {
    uint16_t port = 0;
    diag = sock_diag_new();
    fd = sockets_listen("127.0.0.1", &port);
    ck_assert(address_parse("127.0.0.1", port, &address));
    reason[0] = '\0';
}

static void end(void) {
    sock_diag_free(diag);
    close(fd);
}

static void assert_refused(uint32_t user, const char *why) {
    ck_assert(!listener_owner_is(diag, user, &address, reason));
    ck_assert_str_eq(reason, why);
}

START_TEST(the_user_who_listens_is_the_owner) {
    ck_assert(listener_owner_is(diag, geteuid(), &address, reason));
    ck_assert_str_eq(reason, "");
}
END_TEST

START_TEST(why_another_is_not_is_said_whole) {
    char other[128];
    snprintf(other, sizeof other, "user %u registered the node, and user %u listens on its port",
             geteuid() + 1, geteuid());
    assert_refused(geteuid() + 1, other);
    assert_refused(USER_NOBODY, "the user who registered the node is unknown");
    close(fd);
    assert_refused(geteuid(), "nothing listens on its port any more");
}
END_TEST

START_TEST(a_kernel_that_does_not_answer_is_quoted) {
    char expected[128];
    fail_nth_call(CALL_SEND, 1, EPERM);
    snprintf(expected, sizeof expected, "%s: %s", sock_diag_reason(SOCK_DIAG_DENIED),
             strerror(EPERM));
    assert_refused(geteuid(), expected);
    ck_assert(call_failed());
    fail_nth_call(CALL_SEND, 1, ENOBUFS);
    snprintf(expected, sizeof expected, "%s: %s", sock_diag_reason(SOCK_DIAG_NO_ANSWER),
             strerror(ENOBUFS));
    assert_refused(geteuid(), expected);
    ck_assert(call_failed());
}
END_TEST

START_TEST(ports_below_1024_are_for_nodes_of_root) {
    ck_assert(!listener_owner_may_have(1000, 1023));
    ck_assert(listener_owner_may_have(1000, 1024));
    ck_assert(listener_owner_may_have(USER_ROOT, 1023));
    ck_assert(listener_owner_may_have(USER_ROOT, 1));
    ck_assert(!listener_owner_may_have(USER_NOBODY, 1));
}
END_TEST

Suite *listener_owner_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("listener_owner", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, the_user_who_listens_is_the_owner);
    tcase_add_test(tests, why_another_is_not_is_said_whole);
    tcase_add_test(tests, a_kernel_that_does_not_answer_is_quoted);
    tcase_add_test(tests, ports_below_1024_are_for_nodes_of_root);
    return suite;
}
