/*
 * Drives many operations of libportolan at once, in each kind of loop that programs have, and looks
 * at every result.
 *
 *   loops LOOP KIND COUNT IN_FLIGHT
 *
 *   LOOP  poll, edge (epoll with EPOLLET), libevent, libuv, threads (that block), session (poll,
 *         all over one connection)
 *   KIND  names, resolve, registered, lease, cluster, mixed
 *
 * The servers are those of the environment. What they must know: nodes n0 to n99, node nI at port
 * 20000 + I; leases of l0, l1 ... must be possible. Prints "COUNT right", and how memory and
 * descriptors grew after the first tenth; or what was wrong, and exits with 1.
 */
#include "loops.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define NODES 100
#define THREADS 100
#define DEADLINE_MS 60000

enum kind { NAMES, RESOLVE, REGISTERED, LEASE, CLUSTER, KINDS };

static const char *const kind_names[] = {"names", "resolve", "registered", "lease", "cluster"};

static struct portolan_options options;
static enum kind wanted;
static bool mixed;
static size_t to_start, started, running;
static atomic_size_t right, wrong;

/* --- one operation --- */

static enum kind kind_of(size_t number) {
    return mixed ? (enum kind)(number % KINDS) : wanted;
}

static const char *node_of(size_t number, char *out, size_t size) {
    if (kind_of(number) == LEASE)
        snprintf(out, size, "l%zu", number % 500);
    else
        snprintf(out, size, "n%zu@%s", number % NODES, number % 3 == 0 ? "localhost" : "127.0.0.1");
    return out;
}

static enum portolan_code start(size_t number, struct portolan_operation **operation,
                                struct portolan_error *error) {
    struct portolan_options own = options;
    char node[64];
    node_of(number, node, sizeof node);
    switch (kind_of(number)) {
    case NAMES:
        return portolan_names_start("localhost", &own, operation, error);
    case RESOLVE:
        own.sources = PORTOLAN_SOURCE_EPMD;
        return portolan_resolve_start(node, &own, operation, error);
    case REGISTERED:
        own.sources = PORTOLAN_SOURCE_REGISTERED | PORTOLAN_SOURCE_DERIVED;
        return portolan_resolve_start(node, &own, operation, error);
    case LEASE:
        return portolan_lease_start(node, &own, operation, error);
    default:
        return portolan_cluster_names_start(&own, operation, error);
    }
}

static bool check_listing(struct portolan_operation *operation, bool of_cluster) {
    struct portolan_listing *listing;
    if (portolan_operation_take_listing(operation, &listing) != PORTOLAN_OK)
        return false;
    size_t count = portolan_listing_count(listing);
    bool good = count >= NODES && portolan_listing_malformed(listing) == 0;
    for (size_t i = 0; i < count; i++)
        good &= of_cluster == (portolan_listing_name(listing, i)->host[0] != '\0');
    portolan_listing_free(listing);
    return good;
}

static bool check_endpoint(struct portolan_operation *operation, size_t number) {
    struct portolan_endpoint endpoint;
    if (portolan_operation_endpoint(operation, &endpoint) != PORTOLAN_OK)
        return false;
    return endpoint.port == 20000 + number % NODES && strcmp(endpoint.address, "127.0.0.1") == 0 &&
           endpoint.source != PORTOLAN_SOURCE_DERIVED;
}

static bool check(struct portolan_operation *operation, size_t number) {
    struct portolan_leased_port lease;
    switch (kind_of(number)) {
    case NAMES:
        return check_listing(operation, false);
    case CLUSTER:
        return check_listing(operation, true);
    case LEASE:
        return portolan_operation_leased_port(operation, &lease) == PORTOLAN_OK && lease.port != 0;
    default:
        return check_endpoint(operation, number);
    }
}

static void count(size_t number, enum portolan_code code, bool good, const char *message) {
    if (code == PORTOLAN_OK && good) {
        atomic_fetch_add(&right, 1);
    } else if (atomic_fetch_add(&wrong, 1) < 10) {
        fprintf(stderr, "%zu (%s): %s: %s\n", number, kind_names[kind_of(number)],
                portolan_error_text(code), message);
    }
}

/* --- what the loops call --- */

bool job_start(struct job *job) {
    struct portolan_error error;
    while (started < to_start) {
        job->number = started++;
        enum portolan_code code = start(job->number, &job->operation, &error);
        if (code == PORTOLAN_OK) {
            running++;
            return true;
        }
        count(job->number, code, false, error.message);
    }
    return false;
}

bool job_step(struct job *job) {
    enum portolan_code code = portolan_operation_step(job->operation);
    if (code == PORTOLAN_PENDING)
        return false;
    count(job->number, code, code == PORTOLAN_OK && check(job->operation, job->number),
          portolan_operation_message(job->operation));
    running--;
    return true;
}

size_t jobs_running(void) {
    return running;
}

/* --- threads that block --- */

static void *block(void *argument) {
    size_t number = *(const size_t *)argument;
    for (; number < to_start; number += THREADS) {
        struct portolan_leased_port lease = {.port = 0};
        struct portolan_endpoint endpoint = {.port = 0};
        struct portolan_error error;
        char node[64];
        bool leases = kind_of(number) == LEASE;
        node_of(number, node, sizeof node);
        enum portolan_code code = leases ? portolan_lease(node, &options, &lease, &error)
                                         : portolan_resolve(node, &options, &endpoint, &error);
        count(number, code, leases ? lease.port != 0 : endpoint.port == 20000 + number % NODES,
              error.message);
    }
    return NULL;
}

static void run_threads(void) {
    pthread_t threads[THREADS];
    size_t numbers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, block, &numbers[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* --- what is left behind --- */

static size_t open_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    size_t found = 0;
    while (directory != NULL && readdir(directory) != NULL)
        found++;
    closedir(directory);
    return found;
}

static size_t resident_kib(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    size_t size = 0, pages = 0;
    if (file == NULL || fscanf(file, "%zu %zu", &size, &pages) != 2)
        abort();
    fclose(file);
    return pages * 4;
}

static void run_loop(const char *name, struct job *jobs, size_t in_flight) {
    if (strcmp(name, "edge") == 0)
        loop_edge(jobs, in_flight);
    else if (strcmp(name, "libevent") == 0)
        loop_libevent(jobs, in_flight);
    else if (strcmp(name, "libuv") == 0)
        loop_libuv(jobs, in_flight);
    else if (strcmp(name, "threads") == 0)
        run_threads();
    else
        loop_poll(jobs, in_flight);
}

static void run(const char *name, size_t total, struct job *jobs, size_t in_flight) {
    started = 0;
    to_start = total;
    run_loop(name, jobs, in_flight);
}

static void choose_kind(const char *name) {
    mixed = strcmp(name, "mixed") == 0;
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(name, kind_names[i]) == 0)
            wanted = (enum kind)i;
    }
}

static void raise_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
    struct portolan_error error;
    if (argc != 5)
        return 2;
    size_t total = strtoul(argv[3], NULL, 10), in_flight = strtoul(argv[4], NULL, 10);
    struct job *jobs = calloc(in_flight, sizeof *jobs);
    choose_kind(argv[2]);
    raise_limit();
    portolan_options_init(&options, sizeof options);
    options.deadline_ms = DEADLINE_MS;
    if (jobs == NULL || portolan_options_from_environment(&options, &error) != PORTOLAN_OK)
        return 2;
    if (strcmp(argv[1], "session") == 0 &&
        portolan_session_new(&options, &options.session, &error) != PORTOLAN_OK)
        return 2;
    run(argv[1], total / 10, jobs, in_flight);
    size_t fds = open_descriptors(), kib = resident_kib();
    run(argv[1], total - total / 10, jobs, in_flight);
    size_t fds_after = open_descriptors(), kib_after = resident_kib();
    portolan_session_free(options.session);
    free(jobs);
    printf("%zu right, %zu wrong; descriptors %zu to %zu, KiB %zu to %zu\n", (size_t)right,
           (size_t)wrong, fds, fds_after, kib, kib_after);
    return wrong == 0 && right == total ? 0 : 1;
}
