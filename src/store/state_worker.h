/*
 * Writes state files off the event loop: one thread, which does one job after the other.
 *
 * A slow disk stalls only this thread. The two share nothing but the job: it is its
 * owner's before state_worker_put, the thread's until `done` is called in the event loop, and then
 * its owner's again. Each state file has one job, and so the queue is bounded by their number. The
 * thread takes no signals, allocates nothing and does not log.
 *
 * Where no thread can be started, which is logged, the jobs are done in the event loop at once.
 */
#ifndef PORTOLAN_STORE_STATE_WORKER_H
#define PORTOLAN_STORE_STATE_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* How long the end of the daemon waits for the disk, in all. */
#define STATE_WORKER_END_MS 10000

struct event_base;
struct state_worker;

struct state_job {
    void (*work)(struct state_job *job); /* in the thread */
    void (*done)(struct state_job *job); /* in the event loop */
    STAILQ_ENTRY(state_job) entry;
};

/* `base` is borrowed. NULL: no memory, or no descriptor is left. */
struct state_worker *state_worker_new(struct event_base *base);

/* To be called once no job is under way, or with one that state_worker_wait has given up: then the
 * thread, its job and what they use are left alone until the process ends. NULL is fine. */
void state_worker_free(struct state_worker *worker);

/* The job is done, and its `done` called, before this returns where there is no thread. */
void state_worker_put(struct state_worker *worker, struct state_job *job);

/* Waits for all jobs, and calls their `done`. False: not within STATE_WORKER_END_MS, counted from
 * the first such call: the disk does not answer. */
bool state_worker_wait(struct state_worker *worker);

struct event_base *state_worker_base(const struct state_worker *worker);

#endif
