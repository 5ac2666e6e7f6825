/*
 * Resolves many nodes at once in libevent's loop, all over one connection to the portoland of this
 * host where that knows them.
 *
 *   $ cc -o resolve_libevent resolve_libevent.c \
 *         $(pkg-config --cflags --libs portolan libevent_core)
 *   $ ./resolve_libevent rabbit@s1 rabbit@s2
 *   rabbit@s2 10.0.0.2:25672
 *   rabbit@s1 10.0.0.1:25672
 */
#include <portolan.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

struct query {
    const char *node;
    struct portolan_operation *operation;
    struct event *ready;
};

static unsigned failed;

static void end(struct query *query, enum portolan_code code) {
    struct portolan_endpoint endpoint;
    if (code == PORTOLAN_OK) {
        portolan_operation_endpoint(query->operation, &endpoint);
        printf("%s %s:%u\n", query->node, endpoint.address, endpoint.port);
    } else {
        fprintf(stderr, "resolve_libevent: %s\n", portolan_operation_message(query->operation));
        failed++;
    }
    event_free(query->ready); /* before its descriptor is closed */
    portolan_operation_free(query->operation);
}

static void step(evutil_socket_t descriptor, short what, void *argument) {
    struct query *query = argument;
    enum portolan_code code = portolan_operation_step(query->operation);
    (void)descriptor;
    (void)what;
    if (code != PORTOLAN_PENDING)
        end(query, code);
}

static void start(struct query *query, struct event_base *base,
                  const struct portolan_options *options) {
    struct portolan_error error;
    if (portolan_resolve_start(query->node, options, &query->operation, &error) != PORTOLAN_OK) {
        fprintf(stderr, "resolve_libevent: %s\n", error.message);
        failed++;
        return;
    }
    query->ready = event_new(base, portolan_operation_descriptor(query->operation),
                             EV_READ | EV_PERSIST, step, query);
    if (query->ready == NULL || event_add(query->ready, NULL) != 0) {
        fprintf(stderr, "resolve_libevent: out of memory\n");
        exit(1);
    }
}

int main(int argc, char **argv) {
    struct portolan_options options;
    struct portolan_error error;
    size_t count = argc > 1 ? (size_t)argc - 1 : 0;
    struct query *queries = calloc(count + 1, sizeof *queries);
    struct event_base *base = event_base_new();

    portolan_options_init(&options, sizeof options);
    if (queries == NULL || base == NULL) {
        fprintf(stderr, "resolve_libevent: out of memory\n");
        return 1;
    }
    if (portolan_options_from_environment(&options, &error) != PORTOLAN_OK ||
        portolan_session_new(&options, &options.session, &error) != PORTOLAN_OK) {
        fprintf(stderr, "resolve_libevent: %s\n", error.message);
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        queries[i].node = argv[i + 1];
        start(&queries[i], base, &options);
    }
    event_base_dispatch(base); /* until no event is left */
    portolan_session_free(options.session);
    event_base_free(base);
    free(queries);
    return failed == 0 ? 0 : 1;
}
