#include "relay/way.h"

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
#define BULK_BEGINS 32768      /* a turn that reads as much begins a transfer ... */
#define BULK_ENDS 8192         /* ... and one that moves less ends it */
#define TURN_BYTES_MAX 4194304 /* then others have theirs */

/* --- pipes --- */

static void close_pipe(struct proxy_pipe *ends) {
    close(ends->out);
    close(ends->in);
    ends->out = ends->in = -1;
}

void proxy_store_init(struct proxy_store *store, struct event_base *base) {
    store->base = base;
    proxy_vigil_init(&store->vigil, base);
}

void proxy_store_clear(struct proxy_store *store) {
    proxy_vigil_end(&store->vigil);
    while (store->pipe_count > 0)
        close_pipe(&store->pipes[--store->pipe_count]);
}

static bool take_pipe(struct proxy_way *way) {
    struct proxy_store *store = way->store;
    int ends[2];
    if (way->pipe.out >= 0)
        return true;
    if (store->pipe_count > 0) {
        way->pipe = store->pipes[--store->pipe_count];
        return true;
    }
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
        return false;
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is as good, but slower */
    way->pipe = (struct proxy_pipe){.out = ends[0], .in = ends[1]};
    return true;
}

static void give_pipe_back(struct proxy_way *way) {
    struct proxy_store *store = way->store;
    if (way->pipe.out < 0)
        return;
    if (way->piped > 0 || store->pipe_count == PROXY_PIPES_MAX)
        close_pipe(&way->pipe);
    else
        store->pipes[store->pipe_count++] = way->pipe;
    way->pipe = (struct proxy_pipe){.out = -1, .in = -1};
    way->piped = 0;
}

/* --- what is held --- */

static void drop_kept(struct proxy_way *way) {
    free(way->kept);
    way->kept = NULL;
    way->kept_at = way->kept_len = 0;
}

bool proxy_way_keep(struct proxy_way *way, struct bytes first) {
    way->kept = malloc(first.len);
    if (way->kept == NULL)
        return false;
    memcpy(way->kept, first.data, first.len);
    way->kept_at = 0;
    way->kept_len = first.len;
    return true;
}

static bool holds(const struct proxy_way *way) {
    return way->kept != NULL || way->piped > 0;
}

/* As send and splice: how many bytes `to` took, 0 when it is full, -1 when it is broken. */
static ssize_t send_bytes(struct proxy_way *way, const uint8_t *data, size_t len) {
    ssize_t sent;
    do
        sent = send(way->to, data, len, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent > 0)
        way->moved += (size_t)sent;
    return sent < 0 && would_block(errno) ? 0 : sent;
}

static ssize_t send_piped(struct proxy_way *way) {
    ssize_t sent;
    do
        sent = splice(way->pipe.out, NULL, way->to, NULL, way->piped,
                      SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (sent < 0 && errno == EINTR);
    if (sent > 0) {
        way->moved += (size_t)sent;
        way->piped -= (size_t)sent;
    }
    return sent < 0 && would_block(errno) ? 0 : sent;
}

enum turn { TURN_GOES_ON, TURN_WAITS, TURN_BLOCKED, TURN_OVER, TURN_BROKEN };

/* Passes on what is held. */
static enum turn pour(struct proxy_way *way) {
    while (way->kept != NULL) {
        ssize_t sent = send_bytes(way, way->kept + way->kept_at, way->kept_len - way->kept_at);
        if (sent <= 0)
            return sent < 0 ? TURN_BROKEN : TURN_BLOCKED;
        way->kept_at += (size_t)sent;
        if (way->kept_at == way->kept_len)
            drop_kept(way);
    }
    while (way->piped > 0) {
        ssize_t sent = send_piped(way);
        if (sent <= 0)
            return sent < 0 ? TURN_BROKEN : TURN_BLOCKED;
    }
    return TURN_GOES_ON;
}

/* --- reading --- */

/* Reads what fits the scratch, and passes it on; keeps a copy of what is not taken. */
static enum turn move_copied(struct proxy_way *way, size_t *got) {
    uint8_t *scratch = way->store->scratch;
    ssize_t len;
    do
        len = recv(way->from, scratch, PROXY_SCRATCH_SIZE, 0);
    while (len < 0 && errno == EINTR);
    if (len <= 0)
        return len == 0 ? TURN_OVER : would_block(errno) ? TURN_WAITS : TURN_BROKEN;
    *got = (size_t)len;
    way->bulk = len >= BULK_BEGINS && !way->store->copies;
    ssize_t sent = send_bytes(way, scratch, (size_t)len);
    if (sent < 0)
        return TURN_BROKEN;
    if (sent < len) {
        const struct bytes rest = bytes_of(scratch + sent, (size_t)(len - sent));
        return proxy_way_keep(way, rest) ? TURN_BLOCKED : TURN_BROKEN;
    }
    /* a read that did not fill the buffer has emptied the socket */
    return len < PROXY_SCRATCH_SIZE ? TURN_WAITS : TURN_GOES_ON;
}

static enum turn move_spliced(struct proxy_way *way, size_t *got) {
    ssize_t len;
    do
        len = splice(way->from, NULL, way->pipe.in, NULL, PIPE_SIZE,
                     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (len < 0 && errno == EINTR);
    if (len < 0 && (errno == EINVAL || errno == ENOSYS)) {
        way->store->copies = true; /* a kernel that does not splice these */
        way->bulk = false;
        return TURN_GOES_ON;
    }
    if (len <= 0)
        return len == 0 ? TURN_OVER : would_block(errno) ? TURN_WAITS : TURN_BROKEN;
    *got = (size_t)len;
    way->piped = (size_t)len;
    way->bulk = len >= BULK_ENDS;
    return pour(way);
}

static enum turn move(struct proxy_way *way) {
    size_t total = 0;
    while (total < TURN_BYTES_MAX) {
        size_t got = 0;
        bool splices = way->bulk && take_pipe(way);
        enum turn turn = splices ? move_spliced(way, &got) : move_copied(way, &got);
        if (turn != TURN_GOES_ON)
            return turn;
        total += got;
    }
    return TURN_GOES_ON;
}

/* --- turns --- */

static void on_ready(evutil_socket_t fd, short what, void *context);

static bool wait_for(struct proxy_way *way, enum proxy_way_state state) {
    if (way->state == state)
        return true;
    if (way->state != PROXY_STOPPED)
        event_del(&way->event);
    way->state = state;
    bool reads = state == PROXY_READING;
    event_assign(&way->event, way->store->base, reads ? way->from : way->to,
                 (short)((reads ? EV_READ : EV_WRITE) | EV_PERSIST), on_ready, way);
    return event_add(&way->event, NULL) == 0;
}

/* Whoever is no longer connected has ended its own direction too, and that will be read. */
static void finish(struct proxy_way *way) {
    event_del(&way->event);
    way->state = PROXY_ENDED;
    bool ended = shutdown(way->to, SHUT_WR) == 0 || errno == ENOTCONN;
    way->changed(way->context, !ended);
}

static void settle(struct proxy_way *way, enum turn turn) {
    if (turn == TURN_OVER)
        way->over = true;
    if (turn != TURN_BLOCKED)
        give_pipe_back(way);
    if (way->over && !holds(way) && turn != TURN_BROKEN)
        finish(way);
    else if (turn == TURN_BROKEN || !wait_for(way, holds(way) ? PROXY_BLOCKED : PROXY_READING))
        way->changed(way->context, true);
}

static void on_ready(evutil_socket_t fd, short what, void *context) {
    struct proxy_way *way = context;
    (void)fd;
    (void)what;
    if (!turn_budget_allows(way->store->budget, &way->served))
        return;
    enum turn turn = holds(way) ? pour(way) : TURN_GOES_ON;
    if (turn == TURN_GOES_ON && !way->over)
        turn = move(way);
    if (turn == TURN_WAITS)
        proxy_vigil_passed(&way->store->vigil);
    settle(way, turn);
}

/* --- beginning and end --- */

void proxy_way_init(struct proxy_way *way, struct proxy_store *store, int from, int to,
                    void (*changed)(void *context, bool broken), void *context) {
    *way = (struct proxy_way){.store = store,
                              .from = from,
                              .to = to,
                              .pipe = {.out = -1, .in = -1},
                              .changed = changed,
                              .context = context};
}

bool proxy_way_start(struct proxy_way *way) {
    return wait_for(way, holds(way) ? PROXY_BLOCKED : PROXY_READING);
}

void proxy_way_end(struct proxy_way *way) {
    if (way->state == PROXY_READING || way->state == PROXY_BLOCKED)
        event_del(&way->event);
    way->state = PROXY_ENDED;
    give_pipe_back(way);
    drop_kept(way);
}
