#include "sockets_fixture.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void on_time(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    *(bool *)context = true;
}

void sockets_turn(struct event_base *base) {
    const struct timeval moment = {.tv_usec = 1000};
    bool idle = false;
    ck_assert_int_eq(event_base_once(base, -1, EV_TIMEOUT, on_time, &idle, &moment), 0);
    while (!idle)
        event_base_loop(base, EVLOOP_ONCE);
}

void sockets_pair(int ends[2]) {
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

struct address sockets_own_address(int fd) {
    struct address address;
    socklen_t len = sizeof address;
    ck_assert_int_eq(getsockname(fd, &address.any, &len), 0);
    return address;
}

int sockets_listen(const char *text, uint16_t *port) {
    struct address address;
    const int on = 1;
    ck_assert(address_parse(text, *port, &address));
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &address.any, address_len(&address)) < 0 || listen(fd, 16) < 0) {
        close(fd);
        return -1;
    }
    address = sockets_own_address(fd);
    *port = address_port(&address);
    return fd;
}

int sockets_accept(int listening_fd) {
    return accept4(listening_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int sockets_connect(uint16_t port) {
    const struct address address = address_loopback_v4(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, &address.any, address_len(&address)), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void sockets_tcp_pair(int ends[2]) {
    uint16_t port = 0;
    int fd = sockets_listen("127.0.0.1", &port);
    ck_assert_int_ge(fd, 0);
    ends[1] = sockets_connect(port);
    ends[0] = sockets_accept(fd);
    ck_assert_int_ge(ends[0], 0);
    close(fd);
}

size_t sockets_send(int fd, const void *data, size_t len) {
    ssize_t sent = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : (size_t)sent;
}

ssize_t sockets_read(int fd, void *data, size_t size) {
    ssize_t len = recv(fd, data, size, MSG_DONTWAIT);
    if (len > 0)
        return len;
    return len < 0 && errno == EAGAIN ? 0 : -1;
}

void sockets_reset(int fd) {
    const struct linger none = {.l_onoff = 1};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    close(fd);
}

int sockets_count_descriptors(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

int sockets_count_inherited(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        count += flags >= 0 && (flags & FD_CLOEXEC) == 0;
    }
    return count;
}
