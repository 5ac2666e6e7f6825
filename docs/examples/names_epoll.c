/*
 * Lists the names of many hosts at once, in an edge-triggered epoll(7) loop.
 *
 *   $ cc -o names_epoll names_epoll.c $(pkg-config --cflags --libs portolan)
 *   $ ./names_epoll s1 s2
 *   s2: 1 name
 *   s1: 3 names
 */
#include <portolan.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct query {
    const char *host;
    struct portolan_operation *operation;
};

static bool start(struct query *query, int set, const struct portolan_options *options) {
    struct portolan_error error;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.ptr = query}};
    if (portolan_names_start(query->host, options, &query->operation, &error) != PORTOLAN_OK) {
        fprintf(stderr, "names_epoll: %s\n", error.message);
        return false;
    }
    if (epoll_ctl(set, EPOLL_CTL_ADD, portolan_operation_descriptor(query->operation), &event) == 0)
        return true;
    perror("names_epoll: cannot wait");
    portolan_operation_free(query->operation);
    return false;
}

/* Returns whether the names were listed. */
static bool end(struct query *query, int set, enum portolan_code code) {
    struct portolan_listing *listing;
    if (code == PORTOLAN_OK) {
        portolan_operation_take_listing(query->operation, &listing);
        size_t count = portolan_listing_count(listing);
        printf("%s: %zu name%s\n", query->host, count, count == 1 ? "" : "s");
        portolan_listing_free(listing);
    } else {
        fprintf(stderr, "names_epoll: %s\n", portolan_operation_message(query->operation));
    }
    epoll_ctl(set, EPOLL_CTL_DEL, portolan_operation_descriptor(query->operation), NULL);
    portolan_operation_free(query->operation);
    return code == PORTOLAN_OK;
}

/* Returns how many failed. */
static unsigned run(int set, size_t pending) {
    struct epoll_event events[16];
    unsigned failed = 0;
    while (pending > 0) {
        int count = epoll_wait(set, events, 16, -1);
        if (count < 0 && errno != EINTR)
            return failed + (unsigned)pending;
        for (int i = 0; i < count; i++) {
            struct query *query = events[i].data.ptr;
            enum portolan_code code = portolan_operation_step(query->operation);
            if (code == PORTOLAN_PENDING)
                continue;
            failed += !end(query, set, code);
            pending--;
        }
    }
    return failed;
}

int main(int argc, char **argv) {
    struct portolan_options options;
    struct portolan_error error;
    size_t count = argc > 1 ? (size_t)argc - 1 : 0, pending = 0;
    struct query *queries = calloc(count + 1, sizeof *queries);
    int set = epoll_create1(EPOLL_CLOEXEC);

    portolan_options_init(&options, sizeof options);
    if (queries == NULL || set < 0 ||
        portolan_options_from_environment(&options, &error) != PORTOLAN_OK) {
        fprintf(stderr, "names_epoll: cannot begin\n");
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        queries[i].host = argv[i + 1];
        pending += start(&queries[i], set, &options);
    }
    unsigned failed = (unsigned)(count - pending) + run(set, pending);
    close(set);
    free(queries);
    return failed == 0 ? 0 : 1;
}
