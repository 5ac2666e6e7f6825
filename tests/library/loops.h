/* Between loops.c, which knows operations, and the loops, which know descriptors. */
#ifndef PORTOLAN_TESTS_LIBRARY_LOOPS_H
#define PORTOLAN_TESTS_LIBRARY_LOOPS_H

#include <portolan.h>

struct job {
    size_t number;
    struct portolan_operation *operation;
    void *watcher; /* the loop's own */
};

/* Starts the next operation; false when none is left to be started. The loop then waits for its
 * descriptor. */
bool job_start(struct job *job);

/* Steps; whether it is done: then the loop forgets the descriptor and frees the operation. */
bool job_step(struct job *job);

size_t jobs_running(void);

/* Each runs until no operation is left, with at most `in_flight` at a time. */
void loop_poll(struct job *jobs, size_t in_flight);
void loop_edge(struct job *jobs, size_t in_flight);
void loop_libevent(struct job *jobs, size_t in_flight);
void loop_libuv(struct job *jobs, size_t in_flight); /* aborts where it was built without libuv */

#endif
