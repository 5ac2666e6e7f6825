/*
 * Resolves many nodes at once, in one poll(2) loop and without blocking.
 *
 *   $ cc -o resolve_many resolve_many.c $(pkg-config --cflags --libs portolan)
 *   $ ./resolve_many rabbit@s1 rabbit@s2 emqx-1@192.0.2.7
 *   rabbit@s2 s2:25672
 *   rabbit@s1 s1:25672
 *   emqx-1@192.0.2.7 192.0.2.7:4370
 */
#include <portolan.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

struct query {
    const char *node;
    struct portolan_operation *operation; /* NULL: done */
};

static bool start(struct query *query, const struct portolan_options *options) {
    struct portolan_error error;
    if (portolan_resolve_start(query->node, options, &query->operation, &error) == PORTOLAN_OK)
        return true;
    fprintf(stderr, "resolve_many: %s\n", error.message);
    return false;
}

/* Returns whether the node was found. */
static bool end(struct query *query, enum portolan_code code) {
    struct portolan_endpoint endpoint;
    if (code == PORTOLAN_OK) {
        portolan_operation_endpoint(query->operation, &endpoint);
        printf("%s %s:%u\n", query->node, endpoint.host, endpoint.port);
    } else {
        fprintf(stderr, "resolve_many: %s\n", portolan_operation_message(query->operation));
    }
    portolan_operation_free(query->operation);
    query->operation = NULL;
    return code == PORTOLAN_OK;
}

/* Steps whatever has something to do; returns how many failed, and lowers *pending. */
static unsigned turn(struct query *queries, struct pollfd *ready, size_t count, size_t *pending) {
    unsigned failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (queries[i].operation == NULL || ready[i].revents == 0)
            continue;
        enum portolan_code code = portolan_operation_step(queries[i].operation);
        if (code == PORTOLAN_PENDING)
            continue;
        failed += !end(&queries[i], code);
        ready[i].fd = -1; /* poll passes over it from now on */
        ready[i].revents = 0;
        *pending -= 1;
    }
    return failed;
}

static unsigned resolve_all(struct query *queries, struct pollfd *ready, size_t count,
                            const struct portolan_options *options) {
    unsigned failed = 0;
    size_t pending = 0;

    for (size_t i = 0; i < count; i++) {
        bool started = start(&queries[i], options);
        failed += !started;
        pending += started;
        ready[i].fd = started ? portolan_operation_descriptor(queries[i].operation) : -1;
        ready[i].events = POLLIN;
    }
    while (pending > 0) {
        int events = poll(ready, (nfds_t)count, -1);
        if (events > 0)
            failed += turn(queries, ready, count, &pending);
        if (events < 0 && errno != EINTR) {
            perror("resolve_many: cannot poll"); /* more nodes than descriptors may be open? */
            break;
        }
    }
    for (size_t i = 0; i < count; i++)
        portolan_operation_free(queries[i].operation);
    return failed + (unsigned)pending;
}

int main(int argc, char **argv) {
    struct portolan_options options;
    struct portolan_error error;
    size_t count = argc > 1 ? (size_t)argc - 1 : 0;
    struct query *queries = calloc(count + 1, sizeof *queries);
    struct pollfd *ready = calloc(count + 1, sizeof *ready);
    unsigned failed = 1;

    portolan_options_init(&options, sizeof options);
    if (queries == NULL || ready == NULL) {
        fprintf(stderr, "resolve_many: out of memory\n");
    } else if (portolan_options_from_environment(&options, &error) != PORTOLAN_OK) {
        fprintf(stderr, "resolve_many: %s\n", error.message);
    } else {
        for (size_t i = 0; i < count; i++)
            queries[i].node = argv[i + 1];
        failed = resolve_all(queries, ready, count, &options);
    }
    free(queries);
    free(ready);
    return failed == 0 ? 0 : 1;
}
