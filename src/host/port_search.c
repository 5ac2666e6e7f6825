#include "host/port_search.h"

#include "base/thread.h"
#include "loop/loop.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define THREAD_STACK_BYTES (256 * 1024)

/* The two share a pipe and nothing else, so either may end first. */
struct port_search {
    struct event *event;
    int fd; /* to read the result from */
    port_search_done *done;
    void *context;
};

struct errand {
    uint16_t port;
    int fd; /* to write the result to */
};

struct result {
    bool found;
    struct port_owner owner;
};

static void *run(void *context) {
    struct errand *errand = context;
    struct result result = {.found = false};
    result.found = port_owner_find(errand->port, &result.owner);
    /* one piece, as it is less than PIPE_BUF; where nobody reads any more, nobody misses it, and
     * SIGPIPE is blocked in this thread */
    ssize_t written = write(errand->fd, &result, sizeof result);
    (void)written;
    close(errand->fd);
    free(errand);
    return NULL;
}

static bool send_out(uint16_t port, int fd) {
    struct errand *errand = malloc(sizeof *errand);
    if (errand == NULL)
        return false;
    *errand = (struct errand){.port = port, .fd = fd};
    if (thread_start(NULL, THREAD_STACK_BYTES, run, errand) == 0)
        return true;
    free(errand);
    return false;
}

static void on_result(evutil_socket_t fd, short what, void *context) {
    struct port_search *search = context;
    struct result result = {.found = false};
    (void)what;
    bool whole = read((int)fd, &result, sizeof result) == (ssize_t)sizeof result;
    search->done(search->context, whole && result.found ? &result.owner : NULL);
}

struct port_search *port_search_start(struct event_base *base, uint16_t port,
                                      port_search_done *done, void *context) {
    int ends[2];
    struct port_search *search = calloc(1, sizeof *search);
    if (search == NULL)
        return NULL;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        free(search);
        return NULL;
    }
    *search = (struct port_search){.fd = ends[0], .done = done, .context = context};
    search->event = event_new(base, ends[0], EV_READ, on_result, search);
    if (search->event != NULL && event_add(search->event, NULL) == 0 && send_out(port, ends[1]))
        return search;
    close(ends[1]);
    port_search_free(search);
    return NULL;
}

void port_search_free(struct port_search *search) {
    if (search == NULL)
        return;
    loop_free_event(search->event);
    close(search->fd);
    free(search);
}
