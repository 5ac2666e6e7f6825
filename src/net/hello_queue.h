/*
 * Callers at front ports whose TLS hello is not whole yet, so that nobody knows whom they are for
 * (erlang/first_bytes). Each waits HELLO_QUEUE_MS at most; there are as many as the options allow,
 * of which the oldest gives way, and HELLO_QUEUE_OF_ONE_HOST of another host.
 */
#ifndef PORTOLAN_NET_HELLO_QUEUE_H
#define PORTOLAN_NET_HELLO_QUEUE_H

#include "erlang/first_bytes.h"
#include "net/address.h"

#include <stddef.h>

#define HELLO_QUEUE_MS 5000
#define HELLO_QUEUE_MAX 256
#define HELLO_QUEUE_OF_ONE_HOST 32

struct event_base;
struct hello_queue;

/* Called from the event loop, and from no function of this module. All is borrowed. */
struct hello_queue_hooks {
    /* The hello is whole, or will never be one. NULL: the descriptor was taken over. Else why not:
     * it is closed, and reported by `refused`. */
    const char *(*arrived)(void *context, const struct first_caller *caller, int fd,
                           const struct address *peer, struct bytes received);

    /* A caller that had to wait was not taken. hello_queue_add calls it for the one that gives
     * way. */
    void (*refused)(void *context, const char *reason, const struct address *peer);
    void *context;
};

struct hello_queue_counters {
    uint64_t refused;   /* callers that waited, and were not taken */
    uint64_t timed_out; /* callers whose hello was not whole in time */
};

/* `waiting_max`: HELLO_QUEUE_MAX at most; 0: none can wait. NULL when out of memory. */
struct hello_queue *hello_queue_new(struct event_base *base, size_t waiting_max,
                                    const struct hello_queue_hooks *hooks);

/* Closes all that wait; no hook is called. NULL is fine. */
void hello_queue_free(struct hello_queue *queue);

/* Lets a caller wait, of which `received` was read (copied). NULL: the descriptor was taken over.
 * Else why not. */
const char *hello_queue_add(struct hello_queue *queue, int fd, const struct address *peer,
                            struct bytes received);

struct hello_queue_counters hello_queue_counters(const struct hello_queue *queue);

#endif
