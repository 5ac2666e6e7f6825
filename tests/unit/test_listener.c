#include "net/listener.h"

#include "scratch.h"
#include "suites.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static struct listeners listeners;
static struct listen_failure failure;
static uint16_t port;

static uint16_t port_of(int fd) {
    struct address address;
    socklen_t len = sizeof address;
    ck_assert_int_eq(getsockname(fd, &address.any, &len), 0);
    return address_port(&address);
}

/* A listening socket of somebody else's. */
static int occupy(const char *text, uint16_t wanted) {
    struct address address;
    ck_assert(address_parse(text, wanted, &address));
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, &address.any, address_len(&address)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

/* A port that nobody has a moment before the test. */
static void begin(void) {
    int fd = occupy("0.0.0.0", 0);
    port = port_of(fd);
    close(fd);
    listeners.count = 0;
}

static void end(void) {
    listeners_close(&listeners);
}

static bool open_list(const char *list) {
    return listeners_open(&listeners, LISTENER_EPMD, list, port, &failure);
}

static bool listens_on(const char *text) {
    struct address wanted;
    ck_assert(address_parse(text, port, &wanted));
    for (size_t i = 0; i < listeners.count; i++) {
        struct address address;
        socklen_t len = sizeof address;
        ck_assert_int_eq(getsockname(listeners.all[i].fd, &address.any, &len), 0);
        if (address.any.sa_family == wanted.any.sa_family && address_same_host(&address, &wanted) &&
            address_port(&address) == port)
            return true;
    }
    return false;
}

static bool host_has_ipv6(void) {
    const struct address address = address_loopback_v6(0);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, &address.any, address_len(&address)) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

static int count_descriptors(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

START_TEST(without_a_list_all_addresses_are_opened) {
    static const char *const lists[] = {NULL, ""};
    for (int i = 0; i < 2; i++) {
        ck_assert(open_list(lists[i]));
        ck_assert(listens_on("0.0.0.0"));
        ck_assert_int_eq(listens_on("::"), host_has_ipv6());
        ck_assert_uint_eq(listeners.count, host_has_ipv6() ? 2 : 1);
        listeners_close(&listeners);
    }
}
END_TEST

START_TEST(loopback_is_opened_beside_what_the_list_says) {
    ck_assert(open_list("127.0.0.2,127.0.0.3"));

    ck_assert(listens_on("127.0.0.1"));
    ck_assert(listens_on("127.0.0.2"));
    ck_assert(listens_on("127.0.0.3"));
    ck_assert(!listens_on("0.0.0.0"));
    ck_assert_int_eq(listens_on("::1"), host_has_ipv6());
}
END_TEST

START_TEST(loopback_in_the_list_is_not_opened_twice) {
    ck_assert(open_list("127.0.0.1,::1,127.0.0.2,127.0.0.1,[::1]"));

    ck_assert(listens_on("127.0.0.2"));
    ck_assert_uint_eq(listeners.count, host_has_ipv6() ? 3 : 2);
}
END_TEST

START_TEST(loopback_is_not_opened_beside_all_addresses) {
    ck_assert(open_list("127.0.0.2,0.0.0.0"));
    ck_assert(listens_on("0.0.0.0"));
    ck_assert(!listens_on("127.0.0.1"));
    ck_assert(!listens_on("127.0.0.2"));
    ck_assert_int_eq(listens_on("::1"), host_has_ipv6());
    listeners_close(&listeners);
    if (!host_has_ipv6())
        return;
    ck_assert(open_list("::"));
    ck_assert(listens_on("::"));
    ck_assert(!listens_on("::1"));
    ck_assert(listens_on("127.0.0.1"));
}
END_TEST

START_TEST(empty_items_and_blanks_between_addresses_are_skipped) {
    ck_assert(open_list(",127.0.0.2,,127.0.0.3,"));
    ck_assert(listens_on("127.0.0.3"));
    listeners_close(&listeners);

    /* OTP's epmd parts its list at blanks too */
    ck_assert(open_list("127.0.0.2, 127.0.0.3 127.0.0.4"));
    ck_assert(listens_on("127.0.0.2"));
    ck_assert(listens_on("127.0.0.3"));
    ck_assert(listens_on("127.0.0.4"));
}
END_TEST

START_TEST(sockets_block_nobody_and_are_not_inherited) {
    ck_assert(open_list(NULL));

    for (size_t i = 0; i < listeners.count; i++) {
        ck_assert(fcntl(listeners.all[i].fd, F_GETFL) & O_NONBLOCK);
        ck_assert(fcntl(listeners.all[i].fd, F_GETFD) & FD_CLOEXEC);
        ck_assert_int_eq(accept(listeners.all[i].fd, NULL, NULL), -1);
        ck_assert_int_eq(errno, EAGAIN);
    }
}
END_TEST

START_TEST(what_is_no_address_is_named_and_nothing_stays_open) {
    int before = count_descriptors();

    ck_assert(!open_list("127.0.0.2,localhost"));

    ck_assert_str_eq(failure.item, "localhost");
    ck_assert_int_eq(failure.error, EINVAL);
    ck_assert_uint_eq(listeners.count, 0);
    ck_assert_int_eq(count_descriptors(), before);
}
END_TEST

START_TEST(an_overlong_item_is_refused_and_cut_in_what_is_said) {
    char list[600];
    memset(list, '1', sizeof list - 1);
    list[sizeof list - 1] = '\0';

    ck_assert(!open_list(list));
    ck_assert_int_eq(failure.error, EINVAL);
    ck_assert_uint_lt(strlen(failure.item), sizeof failure.item);
    ck_assert_int_eq(failure.item[0], '1');
}
END_TEST

START_TEST(a_taken_address_fails_the_whole_and_is_named) {
    int taken = occupy("127.0.0.3", port);
    int before = count_descriptors();
    char text[ADDRESS_TEXT_SIZE], expected[ADDRESS_TEXT_SIZE];

    ck_assert(!open_list("127.0.0.2,127.0.0.3"));

    ck_assert_int_eq(failure.error, EADDRINUSE);
    ck_assert_str_eq(failure.item, "");
    snprintf(expected, sizeof expected, "127.0.0.3:%u", port);
    ck_assert_str_eq(address_format(&failure.address, text), expected);
    ck_assert_int_eq(count_descriptors(), before);
    close(taken);
}
END_TEST

START_TEST(a_taken_loopback_fails_the_whole_though_nobody_named_it) {
    int taken = occupy("127.0.0.1", port);

    ck_assert(!open_list(NULL));
    ck_assert_int_eq(failure.error, EADDRINUSE);
    ck_assert(!open_list("127.0.0.2"));
    ck_assert_int_eq(failure.error, EADDRINUSE);
    close(taken);
}
END_TEST

START_TEST(an_address_of_another_host_fails_the_whole) {
    ck_assert(!open_list("192.0.2.1"));

    ck_assert_int_eq(failure.error, EADDRNOTAVAIL);
    ck_assert_uint_eq(listeners.count, 0);
}
END_TEST

START_TEST(a_list_of_too_many_addresses_fails_and_closes_all) {
    char list[2048] = "";
    int before = count_descriptors();
    for (int i = 2; i < 2 + LISTENERS_MAX; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "127.0.0.%d,", i);

    ck_assert(!open_list(list));
    ck_assert_int_eq(failure.error, E2BIG);
    ck_assert_int_eq(count_descriptors(), before);
}
END_TEST

START_TEST(a_listening_socket_of_someone_else_is_adopted) {
    int fd = occupy("127.0.0.1", port);

    ck_assert(listeners_adopt(&listeners, LISTENER_EPMD, fd));

    ck_assert_uint_eq(listeners.count, 1);
    ck_assert_int_eq(listeners.all[0].fd, fd);
    ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}
END_TEST

START_TEST(what_does_not_listen_for_tcp_is_not_adopted) {
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int idle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

    ck_assert(!listeners_adopt(&listeners, LISTENER_EPMD, udp));
    ck_assert(!listeners_adopt(&listeners, LISTENER_EPMD, idle));
    ck_assert(!listeners_adopt(&listeners, LISTENER_EPMD, file));
    ck_assert(!listeners_adopt(&listeners, LISTENER_EPMD, -1));
    ck_assert_uint_eq(listeners.count, 0);
    close(udp);
    close(idle);
    close(file);
}
END_TEST

static bool is_unix_socket_adopted(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(sizeof address.sun_family + strlen(path) + 1);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    bool adopted = listeners_adopt(&listeners, LISTENER_EPMD, fd);
    listeners.count = 0;
    close(fd);
    unlink(path);
    return adopted;
}

START_TEST(a_unix_socket_is_not_adopted_however_short_its_name) {
    struct scratch scratch;
    char here[512];
    scratch_make(&scratch);
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));

    bool long_name = is_unix_socket_adopted(scratch_path(&scratch, "a-name-of-some-length"));
    ck_assert_int_eq(chdir(scratch.directory), 0);
    bool short_name = is_unix_socket_adopted("s");
    ck_assert_int_eq(chdir(here), 0);
    scratch_remove(&scratch);

    ck_assert(!long_name);
    ck_assert(!short_name);
}
END_TEST

START_TEST(no_more_are_adopted_than_there_is_room_for) {
    int fd = occupy("127.0.0.1", port);
    listeners.count = LISTENERS_MAX;

    ck_assert(!listeners_adopt(&listeners, LISTENER_EPMD, fd));
    listeners.count = 0;
    close(fd);
}
END_TEST

Suite *listener_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("listener", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, without_a_list_all_addresses_are_opened);
    tcase_add_test(tests, loopback_is_opened_beside_what_the_list_says);
    tcase_add_test(tests, loopback_in_the_list_is_not_opened_twice);
    tcase_add_test(tests, loopback_is_not_opened_beside_all_addresses);
    tcase_add_test(tests, empty_items_and_blanks_between_addresses_are_skipped);
    tcase_add_test(tests, sockets_block_nobody_and_are_not_inherited);
    tcase_add_test(tests, what_is_no_address_is_named_and_nothing_stays_open);
    tcase_add_test(tests, an_overlong_item_is_refused_and_cut_in_what_is_said);
    tcase_add_test(tests, a_taken_address_fails_the_whole_and_is_named);
    tcase_add_test(tests, a_taken_loopback_fails_the_whole_though_nobody_named_it);
    tcase_add_test(tests, an_address_of_another_host_fails_the_whole);
    tcase_add_test(tests, a_list_of_too_many_addresses_fails_and_closes_all);
    tcase_add_test(tests, a_listening_socket_of_someone_else_is_adopted);
    tcase_add_test(tests, what_does_not_listen_for_tcp_is_not_adopted);
    tcase_add_test(tests, a_unix_socket_is_not_adopted_however_short_its_name);
    tcase_add_test(tests, no_more_are_adopted_than_there_is_room_for);
    return suite;
}
