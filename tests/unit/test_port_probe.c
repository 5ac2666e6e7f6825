#include "host/port_probe.h"

#include "net/address.h"
#include "suites.h"

#include <unistd.h>

static int listen_on(const char *text, uint16_t *port) {
    struct address address;
    socklen_t len = sizeof address;
    ck_assert(address_parse(text, *port, &address));
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &address.any, address_len(&address)) < 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, &address.any, &len), 0);
    *port = address_port(&address);
    return fd;
}

static bool is_loopback_only(const char *text) {
    uint16_t port = 0;
    int fd = listen_on(text, &port);
    ck_assert_int_ge(fd, 0);
    bool only = port_probe_is_loopback_only(port);
    close(fd);
    return only;
}

START_TEST(who_listens_on_loopback_alone_is_told_from_who_listens_everywhere) {
    ck_assert(is_loopback_only("127.0.0.1"));
    ck_assert(!is_loopback_only("0.0.0.0"));
}
END_TEST

START_TEST(loopback_of_ipv6_is_loopback) {
    uint16_t port = 0;
    int fd = listen_on("::1", &port);
    if (fd < 0)
        return; /* a host without IPv6 */
    ck_assert(port_probe_is_loopback_only(port));
    close(fd);
    /* of both families at once, as Erlang's own listener is */
    ck_assert(!is_loopback_only("::"));
}
END_TEST

/* Below the kernel's ephemeral ports, which others take at any moment. Another test may have the
 * port: then the next one is tried, a hundred at most. */
static uint16_t free_port(bool *starved) {
    for (uint16_t port = (uint16_t)(10000 + getpid() % 20000), last = (uint16_t)(port + 100);
         port < last; port++) {
        if (port_probe_is_free(starved, port))
            return port;
    }
    return 0;
}

START_TEST(where_nobody_listens_nothing_is_loopback_only) {
    bool starved = false;
    uint16_t port = free_port(&starved);
    ck_assert_uint_ne(port, 0);
    ck_assert(!starved);
    ck_assert(!port_probe_is_loopback_only(port));
}
END_TEST

START_TEST(asking_takes_no_port_and_leaves_no_descriptor) {
    bool starved;
    uint16_t port = free_port(&starved);
    int fd = listen_on("127.0.0.1", &port), next = dup(fd);
    close(next);
    for (int i = 0; i < 10; i++)
        ck_assert(port_probe_is_loopback_only(port));
    ck_assert_int_eq(dup(fd), next);
    close(next);
    close(fd);
    fd = listen_on("0.0.0.0", &port);
    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

Suite *port_probe_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("port_probe", &tests);
    tcase_add_test(tests, who_listens_on_loopback_alone_is_told_from_who_listens_everywhere);
    tcase_add_test(tests, loopback_of_ipv6_is_loopback);
    tcase_add_test(tests, where_nobody_listens_nothing_is_loopback_only);
    tcase_add_test(tests, asking_takes_no_port_and_leaves_no_descriptor);
    return suite;
}
