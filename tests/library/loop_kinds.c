/* The loops that programs have. */
#include "loops.h"

#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifdef HAVE_LIBUV
#include <uv.h>
#endif

static int descriptor(const struct job *job) {
    return portolan_operation_descriptor(job->operation);
}

/* --- poll --- */

static void poll_start(struct job *job, struct pollfd *watched) {
    bool more = job_start(job);
    *watched = (struct pollfd){.fd = more ? descriptor(job) : -1, .events = POLLIN};
}

void loop_poll(struct job *jobs, size_t in_flight) {
    struct pollfd *watched = calloc(in_flight, sizeof *watched);
    for (size_t i = 0; i < in_flight; i++)
        poll_start(&jobs[i], &watched[i]);
    while (jobs_running() > 0) {
        if (poll(watched, in_flight, -1) < 0)
            abort();
        for (size_t i = 0; i < in_flight; i++) {
            if (watched[i].fd < 0 || watched[i].revents == 0 || !job_step(&jobs[i]))
                continue;
            portolan_operation_free(jobs[i].operation);
            poll_start(&jobs[i], &watched[i]);
        }
    }
    free(watched);
}

/* --- edge-triggered epoll --- */

static void edge_start(int set, struct job *job) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = job};
    if (job_start(job) && epoll_ctl(set, EPOLL_CTL_ADD, descriptor(job), &event) != 0)
        abort();
}

void loop_edge(struct job *jobs, size_t in_flight) {
    struct epoll_event events[64];
    int set = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < in_flight; i++)
        edge_start(set, &jobs[i]);
    while (jobs_running() > 0) {
        int count = epoll_wait(set, events, 64, -1);
        for (int i = 0; i < count; i++) {
            struct job *job = events[i].data.ptr;
            if (!job_step(job))
                continue;
            epoll_ctl(set, EPOLL_CTL_DEL, descriptor(job), NULL);
            portolan_operation_free(job->operation);
            edge_start(set, job);
        }
    }
    close(set);
}

/* --- libevent --- */

static struct event_base *base;

static void event_ready(evutil_socket_t fd, short what, void *argument);

static void event_start(struct job *job) {
    if (!job_start(job))
        return;
    job->watcher = event_new(base, descriptor(job), EV_READ | EV_PERSIST, event_ready, job);
    if (job->watcher == NULL || event_add(job->watcher, NULL) != 0)
        abort();
}

static void event_ready(evutil_socket_t fd, short what, void *argument) {
    struct job *job = argument;
    (void)fd, (void)what;
    if (!job_step(job))
        return;
    event_free(job->watcher);
    portolan_operation_free(job->operation);
    event_start(job);
}

void loop_libevent(struct job *jobs, size_t in_flight) {
    base = event_base_new();
    for (size_t i = 0; i < in_flight; i++)
        event_start(&jobs[i]);
    event_base_dispatch(base);
    event_base_free(base);
}

/* --- libuv --- */

#ifdef HAVE_LIBUV
static void uv_ready(uv_poll_t *handle, int status, int events);

static void uv_start(struct job *job) {
    if (!job_start(job))
        return;
    uv_poll_t *handle = malloc(sizeof *handle);
    if (handle == NULL || uv_poll_init(uv_default_loop(), handle, descriptor(job)) != 0)
        abort();
    handle->data = job;
    uv_poll_start(handle, UV_READABLE, uv_ready);
}

static void uv_free(uv_handle_t *handle) {
    free(handle);
}

static void uv_ready(uv_poll_t *handle, int status, int events) {
    struct job *job = handle->data;
    (void)status, (void)events;
    if (!job_step(job))
        return;
    uv_close((uv_handle_t *)handle, uv_free); /* forgets the descriptor at once */
    portolan_operation_free(job->operation);
    uv_start(job);
}

void loop_libuv(struct job *jobs, size_t in_flight) {
    for (size_t i = 0; i < in_flight; i++)
        uv_start(&jobs[i]);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    uv_loop_close(uv_default_loop());
}
#else
void loop_libuv(struct job *jobs, size_t in_flight) {
    (void)jobs, (void)in_flight;
    abort();
}
#endif
