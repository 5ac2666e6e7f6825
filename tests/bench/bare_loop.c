/*
 * bare_loop: the yardstick of the bench.
 *
 * The server that everyone writes first: one thread, a level-triggered epoll, accept, read, write,
 * close. It does not look at what it reads and answers every request with the same PORT_PLEASE2
 * reply, so it does the least that a daemon built in this way can do for a look-up. Our own daemon
 * has to be cheaper than this although it parses and searches.
 *
 * Usage: bare_loop [PORT]     0 or nothing picks a free port; the port is printed on stdout.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 64, REQUEST_MAX = 1024 };

/* What epmd answers when it is asked for the node bench0; load_wire.c checks it byte for byte. */
static const uint8_t reply[] = {
    'w',  0,                                  /* PORT2_RESP, result: found */
    0x27, 0x10,                               /* port 10000 */
    77,   0,                                  /* a normal node, TCP over IPv4 */
    0,    6,    0,   5,                       /* highest and lowest distribution version */
    0,    6,    'b', 'e', 'n', 'c', 'h', '0', /* its name */
    0,    0,                                  /* no extra */
};

static void die(const char *tried) {
    fprintf(stderr, "bare_loop: cannot %s: %s\n", tried, strerror(errno));
    exit(1);
}

static int listen_on(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t address_len = sizeof(address);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        die("make a socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
        die("listen on that port of 127.0.0.1");
    if (getsockname(fd, (struct sockaddr *)&address, &address_len) < 0)
        die("ask for the port");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int loop, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0)
        die("watch a connection");
}

/* One a turn, not all that wait: draining the queue was measured to be 10 % dearer, and a yardstick
 * ought to be the cheaper of two plain ways. */
static void accept_one(int loop, int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0)
        watch(loop, fd);
    else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        die("accept a connection");
}

static void answer(int fd) {
    uint8_t request[REQUEST_MAX];
    ssize_t got = read(fd, request, sizeof(request));

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0 && write(fd, reply, sizeof(reply)) != (ssize_t)sizeof(reply))
        fprintf(stderr, "bare_loop: a caller left before its answer\n");
    close(fd);
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS_AT_ONCE];
    struct rlimit files;
    long port = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    int listener, loop;

    if (argc > 2 || port < 0 || port > UINT16_MAX) {
        fprintf(stderr, "usage: bare_loop [PORT]\n");
        return 1;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    listener = listen_on((uint16_t)port);
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0)
        die("make an epoll");
    watch(loop, listener);
    for (;;) {
        int ready = epoll_wait(loop, events, EVENTS_AT_ONCE, -1);

        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                accept_one(loop, listener);
            else
                answer(events[i].data.fd);
        }
    }
}
