#include "store/state_worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Opening, writing, syncing and renaming a file takes little. */
#define THREAD_STACK_BYTES (128 * 1024)

STAILQ_HEAD(state_jobs, state_job);

struct state_worker {
    struct event_base *base; /* borrowed */
    struct event *finished_event;
    int finished_fd; /* the thread says there that a job is done */
    int64_t end_ms;  /* until when the end waits; 0: it has not come */
    size_t count;    /* jobs that were put and are not done; of the loop alone */
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct state_jobs waiting, finished;
    bool ends;
};

/* --- the thread --- */

static struct state_job *next_job(struct state_worker *worker) {
    pthread_mutex_lock(&worker->lock);
    while (STAILQ_EMPTY(&worker->waiting) && !worker->ends)
        pthread_cond_wait(&worker->changed, &worker->lock);
    struct state_job *job = STAILQ_FIRST(&worker->waiting);
    if (job != NULL)
        STAILQ_REMOVE_HEAD(&worker->waiting, entry);
    pthread_mutex_unlock(&worker->lock);
    return job;
}

static void finish(struct state_worker *worker, struct state_job *job) {
    const uint64_t one = 1;
    pthread_mutex_lock(&worker->lock);
    STAILQ_INSERT_TAIL(&worker->finished, job, entry);
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    /* an eventfd takes as many as there will ever be */
    if (write(worker->finished_fd, &one, sizeof one) < 0)
        abort();
}

static void *run(void *argument) {
    struct state_worker *worker = argument;
    struct state_job *job;
    while ((job = next_job(worker)) != NULL) {
        job->work(job);
        finish(worker, job);
    }
    return NULL;
}

/* --- the event loop --- */

static struct state_job *take_finished(struct state_worker *worker) {
    pthread_mutex_lock(&worker->lock);
    struct state_job *job = STAILQ_FIRST(&worker->finished);
    if (job != NULL)
        STAILQ_REMOVE_HEAD(&worker->finished, entry);
    pthread_mutex_unlock(&worker->lock);
    return job;
}

static void call_done(struct state_worker *worker) {
    struct state_job *job;
    while ((job = take_finished(worker)) != NULL) {
        worker->count--;
        job->done(job);
    }
}

static void on_finished(evutil_socket_t fd, short what, void *context) {
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) > 0)
        call_done(context);
}

void state_worker_put(struct state_worker *worker, struct state_job *job) {
    if (!worker->has_thread) {
        job->work(job);
        job->done(job);
        return;
    }
    worker->count++;
    pthread_mutex_lock(&worker->lock);
    STAILQ_INSERT_TAIL(&worker->waiting, job, entry);
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

/* Waits for one more job to be finished. */
static void wait_until(struct state_worker *worker, int64_t end_ms) {
    const struct timespec end = {.tv_sec = (time_t)(end_ms / 1000),
                                 .tv_nsec = (long)(end_ms % 1000) * 1000000};
    int error = 0;
    pthread_mutex_lock(&worker->lock);
    while (STAILQ_EMPTY(&worker->finished) && error == 0)
        error = pthread_cond_timedwait(&worker->changed, &worker->lock, &end);
    pthread_mutex_unlock(&worker->lock);
}

bool state_worker_wait(struct state_worker *worker) {
    int64_t now_ms = clock_monotonic_ms();
    if (worker->end_ms == 0)
        worker->end_ms = now_ms + STATE_WORKER_END_MS;
    for (call_done(worker); worker->count > 0 && now_ms < worker->end_ms; call_done(worker)) {
        wait_until(worker, worker->end_ms);
        now_ms = clock_monotonic_ms();
    }
    return worker->count == 0;
}

struct event_base *state_worker_base(const struct state_worker *worker) {
    return worker->base;
}

/* --- beginning and end --- */

/* An errno. The times of the condition are those of clock_monotonic_ms. */
static int make_lock(struct state_worker *worker) {
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error != 0)
        return error;
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(&worker->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (error != 0)
        return error;
    error = pthread_mutex_init(&worker->lock, NULL);
    if (error != 0)
        pthread_cond_destroy(&worker->changed);
    return error;
}

static bool start_event(struct state_worker *worker) {
    worker->finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->finished_fd < 0)
        return false;
    worker->finished_event =
        event_new(worker->base, worker->finished_fd, EV_READ | EV_PERSIST, on_finished, worker);
    return worker->finished_event != NULL && event_add(worker->finished_event, NULL) == 0;
}

static void free_worker(struct state_worker *worker) {
    loop_free_event(worker->finished_event);
    if (worker->finished_fd >= 0)
        close(worker->finished_fd);
    free(worker);
}

struct state_worker *state_worker_new(struct event_base *base) {
    struct state_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->base = base;
    STAILQ_INIT(&worker->waiting);
    STAILQ_INIT(&worker->finished);
    if (!start_event(worker) || make_lock(worker) != 0) {
        free_worker(worker);
        return NULL;
    }
    int error = thread_start(&worker->thread, THREAD_STACK_BYTES, run, worker);
    worker->has_thread = error == 0;
    if (error != 0)
        log_event(LOG_LEVEL_WARN, "no_thread", log_text("error", strerror(error)),
                  log_text("outcome", "a slow disk stalls the daemon"),
                  log_text("cure", "allow the daemon one more thread: TasksMax=, ulimit -u"));
    return worker;
}

void state_worker_free(struct state_worker *worker) {
    if (worker == NULL || worker->count > 0)
        return;
    if (worker->has_thread) {
        pthread_mutex_lock(&worker->lock);
        worker->ends = true;
        pthread_cond_broadcast(&worker->changed);
        pthread_mutex_unlock(&worker->lock);
        pthread_join(worker->thread, NULL);
    }
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    free_worker(worker);
}
