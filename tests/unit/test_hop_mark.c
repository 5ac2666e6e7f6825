#include "net/hop_mark.h"

#include "net/listener.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <unistd.h>

/* Whether a connection to this address, of a socket with the mark or without, is known again. */
static bool is_known(const char *text, enum listener_role role, bool marked) {
    struct listeners listeners = {.count = 0};
    struct listen_failure failure;
    struct address to;
    ck_assert(listeners_open(&listeners, role, text, 0, &failure));
    const struct listener *listener = &listeners.all[listeners.count - 1];
    to = sockets_own_address(listener->fd);
    int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (marked)
        hop_mark_set(fd);
    ck_assert_int_eq(connect(fd, &to.any, address_len(&to)), 0);
    ck_assert_int_eq(send(fd, "x", 1, 0), 1); /* it is accepted when it has sent something */
    int accepted = -1;
    while (accepted < 0)
        accepted = sockets_accept(listener->fd);
    bool found = hop_mark_found(accepted);
    close(fd);
    close(accepted);
    listeners_close(&listeners);
    return found;
}

START_TEST(what_has_the_mark_is_known_again) {
    ck_assert(is_known("127.0.0.1", LISTENER_FRONT, true));
    ck_assert(!is_known("127.0.0.1", LISTENER_FRONT, false));
    ck_assert(is_known("::1", LISTENER_FRONT, true));
    ck_assert(!is_known("::1", LISTENER_FRONT, false));
}
END_TEST

START_TEST(what_is_no_socket_has_no_mark) {
    int ends[2];
    sockets_pair(ends);
    ck_assert(!hop_mark_found(ends[0]));
    ck_assert(!hop_mark_found(-1));
    close(ends[0]);
    close(ends[1]);
}
END_TEST

Suite *hop_mark_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("hop_mark", &tests);
    tcase_add_test(tests, what_has_the_mark_is_known_again);
    tcase_add_test(tests, what_is_no_socket_has_no_mark);
    return suite;
}
