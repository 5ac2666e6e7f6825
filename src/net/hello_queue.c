#include "net/hello_queue.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/would_block.h"
#include "erlang/tls_hello.h"
#include "loop/loop.h"
#include "net/host_limit.h"
#include "net/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

/* A caller that has begun to speak TLS. */
struct hello {
    struct hello_queue *queue; /* borrowed */
    int fd;                    /* owned */
    struct address peer;
    bool host_counted; /* in the queue's limit */
    int64_t until_ms;
    struct event event;
    TAILQ_ENTRY(hello) entry;
    size_t len, wanted; /* until so many have come there is nothing to judge */
    uint8_t data[TLS_HELLO_MAX];
};
TAILQ_HEAD(hellos, hello);

struct hello_queue {
    struct event_base *base; /* borrowed */
    struct hello_queue_hooks hooks;
    struct host_limit *limit;
    struct hellos waiting; /* the oldest first */
    size_t count, waiting_max;
    struct hello_queue_counters counters;
};

static void free_hello(struct hello *hello) {
    struct hello_queue *queue = hello->queue;
    PORTOLAN_ASSERT(queue->count > 0);
    event_del(&hello->event);
    if (hello->host_counted)
        host_limit_leave(queue->limit, &hello->peer);
    TAILQ_REMOVE(&queue->waiting, hello, entry);
    queue->count--;
    free(hello);
}

/* Its event goes before its descriptor does. */
static void close_hello(struct hello *hello) {
    int fd = hello->fd;
    free_hello(hello);
    close(fd);
}

static void reject(struct hello *hello, const char *reason) {
    struct hello_queue *queue = hello->queue;
    queue->hooks.refused(queue->hooks.context, reason, &hello->peer);
    close_hello(hello);
}

static void wake_at(int fd, size_t bytes) {
    int least = (int)bytes;
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

/* There is one time for the whole hello: a read does not prolong it. */
static bool wait_again(struct hello *hello) {
    return loop_set_timer(&hello->event, hello->until_ms - clock_monotonic_ms());
}

/* A hello that comes in single bytes does not wake us for each, where the kernel can wait for as
 * many as are missing. */
static bool wait_for_more(struct hello *hello) {
    hello->wanted = tls_hello_wants(bytes_of(hello->data, hello->len));
    PORTOLAN_ASSERT(hello->wanted > hello->len && hello->wanted <= sizeof hello->data);
    wake_at(hello->fd, hello->wanted - hello->len);
    return wait_again(hello);
}

static void judge(struct hello *hello) {
    struct hello_queue *queue = hello->queue;
    const struct bytes received = bytes_of(hello->data, hello->len);
    const struct first_caller caller = first_bytes_judge(received, bytes_of_text(TLS_ALPN));
    const char *reason = "out of memory";
    if (caller.who == FIRST_BYTES_MORE && wait_for_more(hello))
        return;
    wake_at(hello->fd, 1); /* as whoever takes it expects */
    if (caller.who != FIRST_BYTES_MORE)
        reason =
            queue->hooks.arrived(queue->hooks.context, &caller, hello->fd, &hello->peer, received);
    if (reason == NULL) {
        free_hello(hello);
        return;
    }
    queue->counters.refused++;
    reject(hello, reason);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct hello *hello = context;
    PORTOLAN_ASSERT(hello->len < sizeof hello->data);
    if ((what & EV_TIMEOUT) != 0) {
        hello->queue->counters.timed_out++;
        reject(hello, "incomplete TLS hello");
        return;
    }
    ssize_t len = recv(fd, hello->data + hello->len, sizeof hello->data - hello->len, 0);
    bool nothing = len < 0 && would_block(errno);
    if (len <= 0 && !nothing) {
        hello->queue->counters.refused++;
        reject(hello, "peer disconnected in the middle of a TLS hello");
        return;
    }
    hello->len += nothing ? 0 : (size_t)len;
    if (hello->len >= hello->wanted)
        judge(hello);
    else if (!wait_again(hello))
        reject(hello, "out of memory");
}

/* The oldest gives way: an honest hello comes whole, or in a moment. */
static void make_room(struct hello_queue *queue) {
    queue->counters.refused++;
    reject(TAILQ_FIRST(&queue->waiting), "too many incomplete TLS hellos");
}

static struct hello *add_hello(struct hello_queue *queue, int fd, const struct address *peer,
                               struct bytes received) {
    struct hello *hello = malloc(sizeof *hello);
    if (hello == NULL)
        return NULL;
    hello->queue = queue;
    hello->fd = fd;
    hello->peer = *peer;
    hello->until_ms = clock_monotonic_ms() + HELLO_QUEUE_MS;
    hello->len = received.len;
    memcpy(hello->data, received.data, received.len);
    TAILQ_INSERT_TAIL(&queue->waiting, hello, entry);
    queue->count++;
    event_assign(&hello->event, queue->base, fd, EV_READ, on_readable, hello);
    return hello;
}

const char *hello_queue_add(struct hello_queue *queue, int fd, const struct address *peer,
                            struct bytes received) {
    bool limited = !address_peer_is_local(fd, peer);
    if (queue->waiting_max == 0)
        return "no descriptor left to wait for a TLS hello";
    if (limited && !host_limit_enter(queue->limit, peer))
        return "too many incomplete TLS hellos from this address";
    if (queue->count >= queue->waiting_max)
        make_room(queue);
    PORTOLAN_ASSERT(received.len < TLS_HELLO_MAX && queue->count < queue->waiting_max);
    struct hello *hello = add_hello(queue, fd, peer, received);
    if (hello == NULL) {
        if (limited)
            host_limit_leave(queue->limit, peer);
        return "out of memory";
    }
    hello->host_counted = limited;
    if (wait_for_more(hello))
        return NULL;
    free_hello(hello);
    return "out of memory";
}

struct hello_queue_counters hello_queue_counters(const struct hello_queue *queue) {
    return queue->counters;
}

struct hello_queue *hello_queue_new(struct event_base *base, size_t waiting_max,
                                    const struct hello_queue_hooks *hooks) {
    struct hello_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return NULL;
    queue->base = base;
    queue->hooks = *hooks;
    queue->waiting_max = waiting_max < HELLO_QUEUE_MAX ? waiting_max : HELLO_QUEUE_MAX;
    TAILQ_INIT(&queue->waiting);
    queue->limit = host_limit_new(HELLO_QUEUE_OF_ONE_HOST);
    if (queue->limit != NULL)
        return queue;
    free(queue);
    return NULL;
}

void hello_queue_free(struct hello_queue *queue) {
    if (queue == NULL)
        return;
    while (!TAILQ_EMPTY(&queue->waiting))
        close_hello(TAILQ_FIRST(&queue->waiting));
    host_limit_free(queue->limit);
    free(queue);
}
