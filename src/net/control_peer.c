/* One caller of the control socket: what it asks, and what it is sent. */
#include "base/clock.h"
#include "net/control_inner.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_SIZE_MIN 4096
#define PARTS_A_LOOK 32 /* at the clock */

bool control_peer_may_change(const struct control_peer *peer) {
    return peer->caller.may_change;
}

uid_t control_peer_user(const struct control_peer *peer) {
    return peer->caller.user;
}

/* --- its state --- */

static void stop_watching(struct control_peer *peer) {
    struct control_server *server = peer->server;
    if (!peer->watches)
        return;
    peer->watches = false;
    if (--server->watchers == 0)
        control_events_close(&server->events);
}

/* It is asked for nothing more, and closed once it has what it was told. */
static void dismiss(struct control_peer *peer) {
    stop_watching(peer);
    peer->deaf = peer->leaving = true;
    event_del(&peer->readable);
}

static void has_moved(struct control_peer *peer) {
    TAILQ_REMOVE(&peer->server->peers, peer, link);
    TAILQ_INSERT_TAIL(&peer->server->peers, peer, link);
}

static bool is_sending(const struct control_peer *peer) {
    return peer->piece_sent < peer->piece_len || peer->stream != NULL;
}

bool control_peer_is_idle(const struct control_peer *peer) {
    int unread = 0;
    if (peer->held || peer->watches || peer->ready || is_sending(peer))
        return false;
    if (!peer->asked && clock_monotonic_ms() - peer->since_ms < CONTROL_FIRST_REQUEST_MS)
        return false;
    return ioctl(peer->fd, FIONREAD, &unread) == 0 && unread == 0;
}

void control_peer_wake(struct control_peer *peer) {
    struct control_server *server = peer->server;
    if (peer->ready || peer->blocked)
        return;
    peer->ready = true;
    peer->turn = server->turn;
    TAILQ_INSERT_TAIL(&server->ready[peer->caller.may_change], peer, ready_link);
    control_server_wake(server);
}

void control_peer_end(struct control_peer *peer) {
    struct control_server *server = peer->server;
    const struct control_caller caller = peer->caller;
    TAILQ_REMOVE(&server->peers, peer, link);
    server->peer_count--;
    if (peer->ready)
        TAILQ_REMOVE(&server->ready[peer->caller.may_change], peer, ready_link);
    if (peer->held)
        peer->gone(peer->gone_context);
    stop_watching(peer);
    event_del(&peer->readable);
    event_del(&peer->writable);
    control_stream_end(peer->stream);
    control_stream_end(peer->last);
    close(peer->fd);
    free(peer->request_buffer);
    free(peer->piece);
    free(peer);
    control_server_left(server, &caller);
}

/* --- requests --- */

/* The next line, without its end; it stays in the buffer. False: there is no whole one. */
static bool next_line(struct control_peer *peer, struct bytes *line) {
    const char *start = peer->request_buffer + peer->request_at;
    size_t len = peer->request_end - peer->request_at;
    const char *end =
        len == peer->scanned ? NULL : memchr(start + peer->scanned, '\n', len - peer->scanned);
    peer->scanned = end == NULL ? len : (size_t)(end - start);
    if (end == NULL)
        return false;
    *line = bytes_of(start, (size_t)(end - start));
    return true;
}

/* Reads on where the buffer was full. */
static void resume_reading(struct control_peer *peer) {
    if (!peer->paused || peer->leaving)
        return;
    peer->paused = false;
    if (event_add(&peer->readable, NULL) < 0)
        dismiss(peer);
}

/* Gives memory back that is no longer needed, and reads on when there is room for much. */
static void line_taken(struct control_peer *peer, size_t len) {
    peer->request_at += len + 1;
    peer->scanned = 0;
    if (peer->request_at == peer->request_end) {
        peer->request_at = peer->request_end = 0;
        if (peer->request_capacity > REQUEST_SIZE_MIN) {
            free(peer->request_buffer);
            peer->request_buffer = NULL;
            peer->request_capacity = 0;
        }
    }
    if (peer->request_end - peer->request_at <= CONTROL_LINE_MAX / 2)
        resume_reading(peer);
}

static bool is_line_too_long(const struct control_peer *peer) {
    return peer->request_end - peer->request_at >= CONTROL_LINE_MAX;
}

/* Makes room for more of a line, CONTROL_LINE_MAX at most. False: memory is out. */
static bool make_room(struct control_peer *peer) {
    size_t len = peer->request_end - peer->request_at;
    if (peer->request_at > 0 && peer->request_end == peer->request_capacity) {
        memmove(peer->request_buffer, peer->request_buffer + peer->request_at, len);
        peer->request_at = 0;
        peer->request_end = len;
    }
    if (peer->request_end < peer->request_capacity || len == CONTROL_LINE_MAX)
        return true;
    size_t capacity = peer->request_capacity == 0 ? REQUEST_SIZE_MIN : 2 * peer->request_capacity;
    char *larger = realloc(peer->request_buffer, capacity);
    if (larger == NULL)
        return false;
    peer->request_buffer = larger;
    peer->request_capacity = capacity;
    return true;
}

/* A read tells the end of both: who closed, and who closed its writing side only. */
static bool still_listens(const struct control_peer *peer) {
    struct pollfd side = {.fd = peer->fd};
    return poll(&side, 1, 0) == 0;
}

/*
 * A caller that has closed its writing side may still listen: what it asked for is sent before the
 * end. Events have no end, so its watch is over. Nothing is read of it any more; should it go
 * altogether while its reply is still to come, the reply cannot be written, and that ends it.
 */
static void said_all(struct control_peer *peer) {
    if (!still_listens(peer)) {
        control_peer_end(peer);
        return;
    }
    stop_watching(peer);
    event_del(&peer->readable);
    peer->leaving = true;
    control_peer_wake(peer);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct control_peer *peer = context;
    (void)what;
    if (!make_room(peer)) {
        control_peer_end(peer);
        return;
    }
    if (peer->request_end == peer->request_capacity) {
        peer->paused = true; /* until lines are taken */
        event_del(&peer->readable);
        return;
    }
    ssize_t got = recv(fd, peer->request_buffer + peer->request_end,
                       peer->request_capacity - peer->request_end, 0);
    if (got > 0) {
        peer->request_end += (size_t)got;
        control_peer_wake(peer);
    } else if (got == 0) {
        said_all(peer);
    } else if (errno != EAGAIN && errno != EINTR) {
        control_peer_end(peer);
    }
}

static struct control_stream *bad_request(const char *message) {
    return control_stream_of_json(json_pack("{s:i, s:b, s:{s:s, s:s}}", "v", 1, "ok", 0, "error",
                                            "code", "bad_request", "message", message));
}

/* Answers what cannot be read, and closes then: where a line ends is unknown now. */
static struct control_stream *dismiss_with(struct control_peer *peer, const char *message) {
    dismiss(peer);
    return bad_request(message);
}

static struct control_stream *handle_line(struct control_peer *peer, struct bytes line) {
    struct control_server *server = peer->server;
    has_moved(peer);
    peer->asked = true;
    json_t *request = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES, NULL);
    struct control_stream *reply = json_is_object(request)
                                       ? server->handler(server->context, peer, request)
                                       : dismiss_with(peer, "a request is one JSON object on one "
                                                            "line");
    json_decref(request);
    return reply;
}

/* --- replies --- */

enum progress {
    IS_IDLE,   /* there is nothing to do for it */
    IS_FULL,   /* the piece is full, or its time is over */
    IS_BROKEN, /* memory is out, or it is too far behind */
};

/* Its next request, if there is one. */
static enum progress take_request(struct control_peer *peer, bool *any) {
    struct bytes line;
    *any = false;
    if (peer->deaf || peer->held)
        return IS_IDLE;
    if (next_line(peer, &line)) {
        size_t len = line.len;
        *any = true;
        peer->stream = handle_line(peer, line);
        line_taken(peer, len);
        return peer->stream != NULL || peer->held ? IS_IDLE : IS_BROKEN;
    }
    if (!is_line_too_long(peer)) {
        resume_reading(peer);
        return IS_IDLE;
    }
    *any = true;
    peer->stream = dismiss_with(peer, "the line is longer than 65536 bytes");
    return peer->stream != NULL ? IS_IDLE : IS_BROKEN;
}

/* Appends a part of the reply; what does not fit is left for the next piece. */
static enum progress make_part(struct control_peer *peer, struct writer *out) {
    struct writer before = *out;
    enum control_step step = CONTROL_STEP_MORE;
    if (peer->ending)
        write_u8(out, '\n');
    else
        step = peer->stream->write(peer->stream, out);
    bool is_full = out->failed;
    if (is_full)
        *out = before;
    if (step == CONTROL_STEP_FAILED || (is_full && out->len == 0))
        return IS_BROKEN;
    if (is_full)
        return IS_FULL;
    if (peer->ending) {
        control_stream_end(peer->stream);
        peer->stream = peer->last;
        peer->last = NULL;
    }
    peer->ending = step == CONTROL_STEP_END;
    return IS_IDLE;
}

/* Makes more of the reply, as far as there is room and time. */
static enum progress make_reply(struct control_peer *peer, struct writer *out, int64_t until_us) {
    enum progress progress = IS_IDLE;
    for (unsigned parts = 1; progress == IS_IDLE && peer->stream != NULL; parts++) {
        progress = make_part(peer, out);
        if (progress == IS_IDLE && parts % PARTS_A_LOOK == 0 && clock_monotonic_us() >= until_us)
            return IS_FULL;
    }
    return progress;
}

/* Fills the piece with replies to what was asked, and with events where nothing was. */
static enum progress fill_piece(struct control_peer *peer, struct writer *out, int64_t until_us) {
    enum progress progress = IS_IDLE;
    bool any = true;
    while (progress == IS_IDLE && any) {
        if (out->len > CONTROL_PIECE_SIZE / 2)
            return IS_FULL;
        if (peer->stream != NULL)
            progress = make_reply(peer, out, until_us);
        else
            progress = take_request(peer, &any);
        if (progress == IS_IDLE && any && clock_monotonic_us() >= until_us)
            return IS_FULL;
    }
    if (progress == IS_IDLE && peer->watches &&
        !control_events_read(&peer->server->events, &peer->position, out))
        return IS_BROKEN;
    return progress;
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    struct control_peer *peer = context;
    (void)fd;
    if ((what & EV_TIMEOUT) != 0) {
        control_peer_end(peer);
        return;
    }
    peer->blocked = false;
    control_peer_wake(peer);
}

/* Sends what is made. False: the peer does not read, or is gone. */
static bool send_piece(struct control_peer *peer) {
    const struct timeval timeout = {.tv_sec = CONTROL_WRITE_TIMEOUT_S};
    size_t left = peer->piece_len - peer->piece_sent;
    ssize_t sent = send(peer->fd, peer->piece + peer->piece_sent, left, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        control_peer_end(peer);
        return false;
    }
    peer->piece_sent += sent > 0 ? (size_t)sent : 0;
    if (peer->piece_sent < peer->piece_len) {
        peer->blocked = event_add(&peer->writable, &timeout) == 0;
        if (!peer->blocked)
            control_peer_end(peer);
        return false;
    }
    free(peer->piece);
    peer->piece = NULL;
    peer->piece_len = peer->piece_sent = 0;
    return true;
}

static bool has_room(const struct control_peer *peer) {
    return peer->piece_len <= CONTROL_PIECE_SIZE / 2;
}

static bool is_awaiting(const struct control_peer *peer) {
    return peer->awaited[CONTROL_GATE_LEASES] != 0 || peer->awaited[CONTROL_GATE_CLUSTER] != 0;
}

void control_peer_step(struct control_peer *peer, int64_t until_us) {
    /* what it asks while it awaits something is answered in the same piece */
    if (!is_awaiting(peer) && peer->piece_len > 0 && !send_piece(peer))
        return;
    if (peer->piece == NULL)
        peer->piece = malloc(CONTROL_PIECE_SIZE);
    if (peer->piece == NULL) {
        control_peer_end(peer);
        return;
    }
    struct writer out = writer_of(peer->piece, CONTROL_PIECE_SIZE);
    out.len = peer->piece_len;
    enum progress progress = fill_piece(peer, &out, until_us);
    peer->piece_len = out.len;
    if (out.len == 0) {
        free(peer->piece);
        peer->piece = NULL;
    }
    bool is_done = progress == IS_IDLE && peer->leaving && !peer->held && !is_sending(peer);
    if (progress == IS_BROKEN || is_done)
        control_peer_end(peer);
    else if (is_awaiting(peer) ? has_room(peer) && progress == IS_FULL
                               : progress == IS_FULL || is_sending(peer))
        control_peer_wake(peer); /* it is sent in the next turn, or when the wait is over */
}

static bool send_all(const struct control_peer *peer, const void *data, size_t len) {
    return send(peer->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

void control_peer_flush(struct control_peer *peer) {
    uint8_t piece[CONTROL_PIECE_SIZE];
    struct writer out = writer_of(piece, sizeof piece);
    bool sent = !is_awaiting(peer) && (peer->piece_sent == peer->piece_len ||
                                       send_all(peer, peer->piece + peer->piece_sent,
                                                peer->piece_len - peer->piece_sent));
    while (sent && peer->watches && peer->stream == NULL) {
        out.len = 0;
        if (!control_events_read(&peer->server->events, &peer->position, &out) || out.len == 0)
            return;
        sent = send_all(peer, piece, out.len);
    }
}

/* --- what the daemon does with it --- */

void control_peer_hold(struct control_peer *peer, void (*gone)(void *context), void *context) {
    peer->held = true;
    peer->gone = gone;
    peer->gone_context = context;
}

void control_peer_release(struct control_peer *peer) {
    peer->held = false;
}

void control_peer_reply(struct control_peer *peer, struct control_stream *reply) {
    has_moved(peer);
    peer->held = false;
    if (reply == NULL)
        dismiss(peer); /* not ended here: its own request may be what is under way */
    else if (peer->stream != NULL)
        peer->last = reply;
    else
        peer->stream = reply;
    control_peer_wake(peer);
}

void control_peer_progress(struct control_peer *peer, json_t *line) {
    if (peer->stream != NULL) {
        json_decref(line);
        return;
    }
    peer->stream = control_stream_of_json(line);
    control_peer_wake(peer);
}

void control_peer_await(struct control_peer *peer, enum control_gate gate, uint64_t number) {
    if (number > peer->awaited[gate])
        peer->awaited[gate] = number;
}

void control_server_settle(struct control_server *server, enum control_gate gate, uint64_t number) {
    struct control_peer *peer;
    TAILQ_FOREACH(peer, &server->peers, link) {
        if (peer->awaited[gate] == 0 || peer->awaited[gate] > number)
            continue;
        peer->awaited[gate] = 0;
        control_peer_wake(peer);
    }
}

void control_peer_watch(struct control_peer *peer) {
    struct control_server *server = peer->server;
    if (peer->watches)
        return;
    if (!control_events_open(&server->events)) {
        dismiss(peer);
        return;
    }
    peer->watches = true;
    peer->position = server->events.end;
    server->watchers++;
}

/* --- its beginning --- */

struct control_peer *control_peer_new(struct control_server *server, int fd,
                                      const struct control_caller *caller) {
    struct control_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        close(fd);
        return NULL;
    }
    peer->server = server;
    peer->fd = fd;
    peer->caller = *caller;
    peer->since_ms = clock_monotonic_ms();
    event_assign(&peer->readable, server->base, fd, EV_READ | EV_PERSIST, on_readable, peer);
    event_assign(&peer->writable, server->base, fd, EV_WRITE, on_writable, peer);
    if (event_add(&peer->readable, NULL) < 0) {
        close(fd);
        free(peer);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&server->peers, peer, link);
    server->peer_count++;
    return peer;
}
