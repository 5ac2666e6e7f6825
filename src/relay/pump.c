#include "relay/pump.h"

#include "base/assert.h"
#include "base/turn_budget.h"
#include "base/would_block.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_SIZE 1048576      /* bytes: what the kernel gives anyone who asks */
#define SPLICE_BEGINS 32768    /* a turn that reads as much begins a transfer ... */
#define SPLICE_ENDS 8192       /* ... and one that moves less ends it */
#define TURN_BYTES_MAX 4194304 /* then others have theirs */

/* --- pipes --- */

static void close_pipe(struct relay_pipe *ends) {
    close(ends->out);
    close(ends->in);
    ends->out = ends->in = -1;
}

void relay_shared_init(struct relay_shared *shared, struct event_base *base) {
    shared->base = base;
    busy_poll_init(&shared->busy_poll, base);
}

void relay_shared_clear(struct relay_shared *shared) {
    busy_poll_end(&shared->busy_poll);
    while (shared->pipe_count > 0)
        close_pipe(&shared->pipes[--shared->pipe_count]);
}

static bool take_pipe(struct relay_pump *pump) {
    struct relay_shared *shared = pump->shared;
    PORTOLAN_ASSERT(shared->pipe_count <= RELAY_PIPES_MAX);
    int ends[2];
    if (pump->pipe.out >= 0)
        return true;
    if (shared->pipe_count > 0) {
        pump->pipe = shared->pipes[--shared->pipe_count];
        return true;
    }
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
        return false;
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is as good, but slower */
    pump->pipe = (struct relay_pipe){.out = ends[0], .in = ends[1]};
    return true;
}

static void give_pipe_back(struct relay_pump *pump) {
    struct relay_shared *shared = pump->shared;
    if (pump->pipe.out < 0)
        return;
    if (pump->piped > 0 || shared->pipe_count == RELAY_PIPES_MAX)
        close_pipe(&pump->pipe);
    else
        shared->pipes[shared->pipe_count++] = pump->pipe;
    pump->pipe = (struct relay_pipe){.out = -1, .in = -1};
    pump->piped = 0;
}

/* --- what is held --- */

static void drop_pending(struct relay_pump *pump) {
    free(pump->pending);
    pump->pending = NULL;
    pump->pending_at = pump->pending_len = 0;
}

bool relay_pump_prepend(struct relay_pump *pump, struct bytes first) {
    PORTOLAN_ASSERT(pump->pending == NULL && pump->piped == 0);
    if (first.len == 0)
        return true;
    pump->pending = malloc(first.len);
    if (pump->pending == NULL)
        return false;
    memcpy(pump->pending, first.data, first.len);
    pump->pending_at = 0;
    pump->pending_len = first.len;
    return true;
}

static bool holds_bytes(const struct relay_pump *pump) {
    return pump->pending != NULL || pump->piped > 0;
}

/* What holds whenever a pump is not at work. */
static void assert_consistent(const struct relay_pump *pump) {
    PORTOLAN_ASSERT((pump->pending != NULL) == (pump->pending_at < pump->pending_len));
    PORTOLAN_ASSERT((pump->pipe.out >= 0) == (pump->pipe.in >= 0));
    PORTOLAN_ASSERT(pump->piped == 0 || (pump->pipe.out >= 0 && pump->pending == NULL));
    PORTOLAN_ASSERT(pump->state != PUMP_READING || (!holds_bytes(pump) && !pump->eof));
    PORTOLAN_ASSERT(pump->state != PUMP_WRITING || holds_bytes(pump));
    PORTOLAN_ASSERT(pump->state != PUMP_ENDED || (!holds_bytes(pump) && pump->pipe.out < 0));
}

/* As send and splice: how many bytes `to` took, 0 when it is full, -1 when it is broken. */
static ssize_t send_bytes(struct relay_pump *pump, const uint8_t *data, size_t len) {
    ssize_t sent;
    do
        sent = send(pump->to, data, len, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent > 0)
        pump->moved += (size_t)sent;
    return sent < 0 && would_block(errno) ? 0 : sent;
}

static ssize_t send_piped(struct relay_pump *pump) {
    ssize_t sent;
    do
        sent = splice(pump->pipe.out, NULL, pump->to, NULL, pump->piped,
                      SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (sent < 0 && errno == EINTR);
    if (sent > 0) {
        PORTOLAN_ASSERT((size_t)sent <= pump->piped);
        pump->moved += (size_t)sent;
        pump->piped -= (size_t)sent;
    }
    return sent < 0 && would_block(errno) ? 0 : sent;
}

enum pump_result { PUMP_MORE, PUMP_DRAINED, PUMP_BLOCKED, PUMP_EOF, PUMP_BROKEN };

/* Passes on what is held. */
static enum pump_result flush(struct relay_pump *pump) {
    while (pump->pending != NULL) {
        ssize_t sent = send_bytes(pump, pump->pending + pump->pending_at,
                                  pump->pending_len - pump->pending_at);
        if (sent <= 0)
            return sent < 0 ? PUMP_BROKEN : PUMP_BLOCKED;
        pump->pending_at += (size_t)sent;
        if (pump->pending_at == pump->pending_len)
            drop_pending(pump);
    }
    while (pump->piped > 0) {
        ssize_t sent = send_piped(pump);
        if (sent <= 0)
            return sent < 0 ? PUMP_BROKEN : PUMP_BLOCKED;
    }
    return PUMP_MORE;
}

/* --- reading --- */

/* Reads what fits the scratch, and passes it on; keeps a copy of what is not taken. */
static enum pump_result move_copied(struct relay_pump *pump, size_t *got) {
    uint8_t *scratch = pump->shared->scratch;
    ssize_t len;
    do
        len = recv(pump->from, scratch, RELAY_SCRATCH_SIZE, 0);
    while (len < 0 && errno == EINTR);
    if (len <= 0)
        return len == 0 ? PUMP_EOF : would_block(errno) ? PUMP_DRAINED : PUMP_BROKEN;
    *got = (size_t)len;
    pump->splicing = len >= SPLICE_BEGINS && !pump->shared->copies;
    ssize_t sent = send_bytes(pump, scratch, (size_t)len);
    if (sent < 0)
        return PUMP_BROKEN;
    if (sent < len) {
        const struct bytes rest = bytes_of(scratch + sent, (size_t)(len - sent));
        return relay_pump_prepend(pump, rest) ? PUMP_BLOCKED : PUMP_BROKEN;
    }
    /* a read that did not fill the buffer has emptied the socket */
    return len < RELAY_SCRATCH_SIZE ? PUMP_DRAINED : PUMP_MORE;
}

static enum pump_result move_spliced(struct relay_pump *pump, size_t *got) {
    ssize_t len;
    do
        len = splice(pump->from, NULL, pump->pipe.in, NULL, PIPE_SIZE,
                     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (len < 0 && errno == EINTR);
    if (len < 0 && (errno == EINVAL || errno == ENOSYS)) {
        pump->shared->copies = true; /* a kernel that does not splice these */
        pump->splicing = false;
        return PUMP_MORE;
    }
    if (len <= 0)
        return len == 0 ? PUMP_EOF : would_block(errno) ? PUMP_DRAINED : PUMP_BROKEN;
    *got = (size_t)len;
    PORTOLAN_ASSERT(pump->piped == 0);
    pump->piped = (size_t)len;
    pump->splicing = len >= SPLICE_ENDS;
    return flush(pump);
}

static enum pump_result move(struct relay_pump *pump) {
    size_t total = 0;
    while (total < TURN_BYTES_MAX) {
        size_t got = 0;
        bool splices = pump->splicing && take_pipe(pump);
        enum pump_result result = splices ? move_spliced(pump, &got) : move_copied(pump, &got);
        if (result != PUMP_MORE)
            return result;
        total += got;
    }
    return PUMP_MORE;
}

/* --- turns --- */

static void on_ready(evutil_socket_t fd, short what, void *context);

static bool wait_for(struct relay_pump *pump, enum relay_pump_state state) {
    if (pump->state == state)
        return true;
    if (pump->state != PUMP_STOPPED)
        event_del(&pump->event);
    pump->state = state;
    bool reads = state == PUMP_READING;
    event_assign(&pump->event, pump->shared->base, reads ? pump->from : pump->to,
                 (short)((reads ? EV_READ : EV_WRITE) | EV_PERSIST), on_ready, pump);
    return event_add(&pump->event, NULL) == 0;
}

/* Whoever is no longer connected has ended its own direction too, and that will be read. */
static void finish(struct relay_pump *pump) {
    event_del(&pump->event);
    pump->state = PUMP_ENDED;
    assert_consistent(pump);
    bool ended = shutdown(pump->to, SHUT_WR) == 0 || errno == ENOTCONN;
    pump->changed(pump->context, !ended);
}

static void settle(struct relay_pump *pump, enum pump_result result) {
    if (result == PUMP_EOF)
        pump->eof = true;
    if (result != PUMP_BLOCKED)
        give_pipe_back(pump);
    if (pump->eof && !holds_bytes(pump) && result != PUMP_BROKEN)
        finish(pump);
    else if (result == PUMP_BROKEN ||
             !wait_for(pump, holds_bytes(pump) ? PUMP_WRITING : PUMP_READING))
        pump->changed(pump->context, true);
}

static void on_ready(evutil_socket_t fd, short what, void *context) {
    struct relay_pump *pump = context;
    (void)fd;
    (void)what;
    PORTOLAN_ASSERT(pump->state == PUMP_READING || pump->state == PUMP_WRITING);
    assert_consistent(pump);
    if (!turn_budget_allows(pump->shared->budget, &pump->served))
        return;
    enum pump_result result = holds_bytes(pump) ? flush(pump) : PUMP_MORE;
    if (result == PUMP_MORE && !pump->eof)
        result = move(pump);
    if (result == PUMP_DRAINED)
        busy_poll_passed(&pump->shared->busy_poll);
    settle(pump, result);
}

/* --- beginning and end --- */

void relay_pump_init(struct relay_pump *pump, struct relay_shared *shared, int from, int to,
                     void (*changed)(void *context, bool broken), void *context) {
    *pump = (struct relay_pump){.shared = shared,
                                .from = from,
                                .to = to,
                                .pipe = {.out = -1, .in = -1},
                                .changed = changed,
                                .context = context};
}

bool relay_pump_start(struct relay_pump *pump) {
    PORTOLAN_ASSERT(pump->state == PUMP_STOPPED && pump->from >= 0 && pump->to >= 0);
    return wait_for(pump, holds_bytes(pump) ? PUMP_WRITING : PUMP_READING);
}

void relay_pump_stop(struct relay_pump *pump) {
    if (pump->state == PUMP_READING || pump->state == PUMP_WRITING)
        event_del(&pump->event);
    pump->state = PUMP_ENDED;
    give_pipe_back(pump);
    drop_pending(pump);
    assert_consistent(pump);
}
