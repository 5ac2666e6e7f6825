/*
 * What a look-up by libportolan costs its caller, beside the least that a C program can do by hand:
 * socket, connect, write, read, close.
 *
 *   client_calls PORT NAME [ROUNDS] [CALLS]
 *
 * Asks the epmd at PORT of 127.0.0.1 for NAME, by turns by hand and with portolan_resolve, of a
 * numeric host and of localhost. Prints for each the median over the rounds of time and of the
 * process's CPU time a call, and both over those by hand.
 */
#include <portolan.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 101

enum way { BY_HAND, NUMERIC, LOCALHOST, WAYS };

static const char *const way_names[] = {"by hand", "numeric", "localhost"};

static uint16_t port;
static const char *name;

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double cpu_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static double time_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what) {
    fprintf(stderr, "client_calls: %s\n", what);
    exit(1);
}

/* As a careful program does: all that comes is read, and looked at. */
static void ask_by_hand(void) {
    struct sockaddr_in peer = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint8_t request[64], reply[512];
    size_t len = strlen(name), got = 0;
    ssize_t now;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    request[0] = 0;
    request[1] = (uint8_t)(len + 1);
    request[2] = 'z';
    memcpy(request + 3, name, len);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&peer, sizeof peer) != 0 ||
        write(fd, request, len + 3) != (ssize_t)(len + 3))
        fail("no epmd to ask");
    while (got < 14 + len && (now = read(fd, reply + got, sizeof reply - got)) > 0)
        got += (size_t)now;
    close(fd);
    if (got < 14 + len || reply[0] != 'w' || reply[1] != 0)
        fail("the name is not registered");
}

static void ask_library(const char *host) {
    struct portolan_options options;
    struct portolan_endpoint endpoint;
    struct portolan_error error;
    char node[64];
    portolan_options_init(&options, sizeof options);
    options.epmd_port = port;
    snprintf(node, sizeof node, "%s@%s", name, host);
    if (portolan_resolve(node, &options, &endpoint, &error) != PORTOLAN_OK)
        fail(error.message);
}

static void ask(enum way way) {
    if (way == BY_HAND)
        ask_by_hand();
    else
        ask_library(way == NUMERIC ? "127.0.0.1" : "localhost");
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static double times[WAYS][ROUNDS_MAX], cpu_times[WAYS][ROUNDS_MAX];

static void measure(enum way way, size_t round, size_t calls) {
    double began = time_now(), cpu_began = cpu_now();
    for (size_t i = 0; i < calls; i++)
        ask(way);
    times[way][round] = (time_now() - began) / (double)calls;
    cpu_times[way][round] = (cpu_now() - cpu_began) / (double)calls;
}

int main(int argc, char **argv) {
    size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 15;
    size_t calls = argc > 4 ? strtoul(argv[4], NULL, 10) : 1000;
    double by_hand = 0, cpu_by_hand = 0;
    if (argc < 3 || rounds == 0 || rounds > ROUNDS_MAX)
        return 2;
    port = (uint16_t)strtoul(argv[1], NULL, 10);
    name = argv[2];
    for (size_t round = 0; round < rounds; round++) {
        for (int way = 0; way < WAYS; way++)
            measure((enum way)way, round, calls);
    }
    for (int way = 0; way < WAYS; way++) {
        double time = median(times[way], rounds), cpu = median(cpu_times[way], rounds);
        if (way == BY_HAND) {
            by_hand = time;
            cpu_by_hand = cpu;
        }
        printf("%-9s  %5.1f us  %4.2f x   CPU %5.1f us  %4.2f x\n", way_names[way], 1e6 * time,
               time / by_hand, 1e6 * cpu, cpu / cpu_by_hand);
    }
    return 0;
}
