#include "base/thread.h"

#include <signal.h>

/* A thread inherits the mask of the one that starts it. */
static int start_masked(pthread_t *thread, const pthread_attr_t *attributes,
                        void *(*run)(void *argument), void *argument) {
    sigset_t all, before;
    sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error != 0)
        return error;
    error = pthread_create(thread, attributes, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int thread_start(pthread_t *thread, size_t stack_bytes, void *(*run)(void *argument),
                 void *argument) {
    pthread_attr_t attributes;
    pthread_t detached;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    error = pthread_attr_setstacksize(&attributes, stack_bytes);
    if (error == 0 && thread == NULL)
        error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (error == 0)
        error = start_masked(thread == NULL ? &detached : thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return error;
}
