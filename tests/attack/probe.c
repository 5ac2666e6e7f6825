/*
 * probe: what a node of this host feels of its epmd while something else goes on.
 *
 *   probe PORT NAME INTERVAL_US
 *
 * It looks NAME up (PORT_PLEASE2) once in every interval, each time on a connection of its own,
 * until standard input ends; then it prints one line of JSON. The latency of a look-up runs from
 * the moment at which it was due, so that a server that stands still for a while is charged with
 * all look-ups that had to wait, not with one. One that is not answered within 10 s, what a node
 * waits for, has failed.
 */
#include "../bench/latency.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT_MAX = 4096, ANSWER_MAX = 512 };

#define NS_PER_US INT64_C(1000)
#define NS_PER_S INT64_C(1000000000)
#define DEADLINE_NS (10 * NS_PER_S)

struct lookup {
    int64_t due_ns;
    size_t received;
    bool positive; /* the answer began as one that has the port */
};

struct probe {
    struct sockaddr_in server;
    uint8_t request[512];
    size_t request_len;
    struct lookup lookups[IN_FLIGHT_MAX];
    struct pollfd fds[IN_FLIGHT_MAX + 1]; /* the last: standard input */
    size_t in_flight;
    struct latency latency;
    int64_t longest_ns;
    uint64_t answered, failed;
};

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void finish(struct probe *probe, size_t index, bool good) {
    int64_t took_ns = now_ns() - probe->lookups[index].due_ns;
    latency_add(&probe->latency, took_ns);
    if (took_ns > probe->longest_ns)
        probe->longest_ns = took_ns;
    probe->answered += good ? 1 : 0;
    probe->failed += good ? 0 : 1;
    close(probe->fds[index].fd);
    probe->in_flight--;
    probe->lookups[index] = probe->lookups[probe->in_flight];
    probe->fds[index] = probe->fds[probe->in_flight];
}

static void begin(struct probe *probe, int64_t due_ns) {
    const struct linger at_once = {.l_onoff = 1}; /* no TIME_WAIT is left behind */
    size_t index = probe->in_flight;
    if (index == IN_FLIGHT_MAX) {
        probe->failed++;
        return;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        probe->failed++;
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    probe->lookups[index] = (struct lookup){.due_ns = due_ns};
    probe->fds[index] = (struct pollfd){.fd = fd, .events = POLLIN};
    probe->in_flight++;
    /* over loopback a connection stands at once, unless the backlog is full: then POLLOUT tells */
    if (connect(fd, (struct sockaddr *)&probe->server, sizeof probe->server) < 0 &&
        errno != EINPROGRESS) {
        finish(probe, index, false);
        return;
    }
    if (send(fd, probe->request, probe->request_len, MSG_NOSIGNAL) < 0) {
        if (errno == EAGAIN || errno == ENOTCONN)
            probe->fds[index].events = POLLOUT;
        else
            finish(probe, index, false);
    }
}

/* False: the look-up is over. */
static bool receive(struct probe *probe, size_t index) {
    struct lookup *lookup = &probe->lookups[index];
    uint8_t answer[ANSWER_MAX];
    ssize_t got = recv(probe->fds[index].fd, answer, sizeof answer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) {
        finish(probe, index, got == 0 && lookup->positive);
        return false;
    }
    if (lookup->received == 0)
        lookup->positive = got >= 2 && answer[0] == 'w' && answer[1] == 0;
    lookup->received += (size_t)got;
    return true;
}

static bool advance(struct probe *probe, size_t index) {
    struct pollfd *fd = &probe->fds[index];
    if (fd->events == POLLOUT) {
        if (send(fd->fd, probe->request, probe->request_len, MSG_NOSIGNAL) < 0) {
            finish(probe, index, false);
            return false;
        }
        fd->events = POLLIN;
        return true;
    }
    return receive(probe, index);
}

static void serve(struct probe *probe) {
    for (size_t i = 0; i < probe->in_flight;) {
        bool stays = true;
        if (probe->fds[i].revents != 0)
            stays = advance(probe, i);
        else if (now_ns() - probe->lookups[i].due_ns > DEADLINE_NS) {
            finish(probe, i, false);
            stays = false;
        }
        i += stays ? 1 : 0;
    }
}

/* Waits until the next look-up is due. False: standard input has ended. */
static bool wait_until(struct probe *probe, int64_t due_ns) {
    for (int64_t left_ns; (left_ns = due_ns - now_ns()) > 0;) {
        const struct timespec left = {left_ns / NS_PER_S, left_ns % NS_PER_S};
        probe->fds[probe->in_flight] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        if (ppoll(probe->fds, probe->in_flight + 1, &left, NULL) <= 0)
            continue;
        if (probe->fds[probe->in_flight].revents != 0)
            return false;
        serve(probe);
    }
    return true;
}

/* What is still under way when the time is over counts as well. */
static void drain(struct probe *probe) {
    while (probe->in_flight > 0) {
        poll(probe->fds, probe->in_flight, 100);
        serve(probe);
    }
}

static void print(const struct probe *probe) {
    printf("{\"answered\":%llu,\"failed\":%llu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
           "\"longest_us\":%.1f}\n",
           (unsigned long long)probe->answered, (unsigned long long)probe->failed,
           latency_percentile_us(&probe->latency, 0.5),
           latency_percentile_us(&probe->latency, 0.99),
           latency_percentile_us(&probe->latency, 0.999), (double)probe->longest_ns / 1000);
}

int main(int argc, char **argv) {
    static struct probe probe;
    long port = argc == 4 ? strtol(argv[1], NULL, 10) : 0;
    long interval_us = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    size_t name_len = argc == 4 ? strlen(argv[2]) : 0;
    if (port < 1 || port > 65535 || interval_us < 1 || name_len < 1 || name_len > 255) {
        fprintf(stderr, "usage: probe PORT NAME INTERVAL_US\n");
        return 2;
    }
    probe.server = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    probe.request[0] = (uint8_t)((name_len + 1) >> 8);
    probe.request[1] = (uint8_t)(name_len + 1);
    probe.request[2] = 'z';
    memcpy(probe.request + 3, argv[2], name_len);
    probe.request_len = name_len + 3;
    for (int64_t due_ns = now_ns(); wait_until(&probe, due_ns); due_ns += interval_us * NS_PER_US)
        begin(&probe, due_ns);
    drain(&probe);
    print(&probe);
    return 0;
}
