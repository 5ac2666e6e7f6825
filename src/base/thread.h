/* Threads for what would keep the event loop waiting. */
#ifndef PORTOLAN_BASE_THREAD_H
#define PORTOLAN_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/*
 * Runs `run` in a thread of its own, which takes no signals: those are for the thread of the loop.
 * *thread must be joined; NULL: the thread is detached, and ends by itself. 0, or an errno: then
 * nothing runs.
 */
int thread_start(pthread_t *thread, size_t stack_bytes, void *(*run)(void *argument),
                 void *argument);

#endif
