/* One caller of the control socket: what it asks, and what it is sent. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/control_protocol.h"
#include "base/would_block.h"
#include "control/inner.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_SIZE_MIN 4096
#define PARTS_A_LOOK 32 /* at the clock */

bool control_conn_may_change(const struct control_conn *conn) {
    return conn->caller.may_change;
}

uid_t control_conn_user(const struct control_conn *conn) {
    return conn->caller.user;
}

/* --- its state --- */

static void stop_watching(struct control_conn *conn) {
    struct control_server *server = conn->server;
    if (!conn->watches)
        return;
    PORTOLAN_ASSERT(server->watchers > 0);
    conn->watches = false;
    if (--server->watchers == 0)
        control_events_close(&server->events);
}

/* It is asked for nothing more, and closed once it has what it was told. */
static void reject(struct control_conn *conn) {
    stop_watching(conn);
    conn->input_stopped = conn->close_after_flush = true;
    event_del(&conn->readable);
}

static void touch(struct control_conn *conn) {
    TAILQ_REMOVE(&conn->server->conns, conn, entry);
    TAILQ_INSERT_TAIL(&conn->server->conns, conn, entry);
}

static bool is_sending(const struct control_conn *conn) {
    return conn->piece_sent < conn->piece_len || conn->stream != NULL;
}

bool control_conn_is_idle(const struct control_conn *conn) {
    int unread = 0;
    if (conn->reply_pending || conn->watches || conn->ready || is_sending(conn))
        return false;
    if (!conn->has_requested && clock_monotonic_ms() - conn->since_ms < CONTROL_FIRST_REQUEST_MS)
        return false;
    return ioctl(conn->fd, FIONREAD, &unread) == 0 && unread == 0;
}

void control_conn_wake(struct control_conn *conn) {
    struct control_server *server = conn->server;
    if (conn->ready || conn->blocked)
        return;
    conn->ready = true;
    conn->turn = server->turn;
    TAILQ_INSERT_TAIL(&server->ready[conn->caller.may_change], conn, ready_link);
    control_server_wake(server);
}

void control_conn_end(struct control_conn *conn) {
    struct control_server *server = conn->server;
    const struct control_caller caller = conn->caller;
    PORTOLAN_ASSERT(server->conn_count > 0);
    TAILQ_REMOVE(&server->conns, conn, entry);
    server->conn_count--;
    if (conn->ready)
        TAILQ_REMOVE(&server->ready[conn->caller.may_change], conn, ready_link);
    if (conn->reply_pending)
        conn->gone(conn->gone_context);
    stop_watching(conn);
    event_del(&conn->readable);
    event_del(&conn->writable);
    control_stream_end(conn->stream);
    control_stream_end(conn->last);
    close(conn->fd);
    free(conn->request_buffer);
    free(conn->piece);
    free(conn);
    control_server_left(server, &caller);
}

/* --- requests --- */

/* The next line, without its end; it stays in the buffer. False: there is no complete one. */
static bool next_line(struct control_conn *conn, struct bytes *line) {
    const char *start = conn->request_buffer + conn->request_at;
    size_t len = conn->request_end - conn->request_at;
    const char *end =
        len == conn->scanned ? NULL : memchr(start + conn->scanned, '\n', len - conn->scanned);
    conn->scanned = end == NULL ? len : (size_t)(end - start);
    if (end == NULL)
        return false;
    *line = bytes_of(start, (size_t)(end - start));
    return true;
}

/* Reads on where the buffer was full. */
static void resume_reading(struct control_conn *conn) {
    if (!conn->reading_paused || conn->close_after_flush)
        return;
    conn->reading_paused = false;
    if (event_add(&conn->readable, NULL) < 0)
        reject(conn);
}

/* Gives memory back that is no longer needed, and reads on when there is room for much. */
static void line_taken(struct control_conn *conn, size_t len) {
    conn->request_at += len + 1;
    PORTOLAN_ASSERT(conn->request_at <= conn->request_end);
    conn->scanned = 0;
    if (conn->request_at == conn->request_end) {
        conn->request_at = conn->request_end = 0;
        if (conn->request_capacity > REQUEST_SIZE_MIN) {
            free(conn->request_buffer);
            conn->request_buffer = NULL;
            conn->request_capacity = 0;
        }
    }
    if (conn->request_end - conn->request_at <= CONTROL_LINE_MAX / 2)
        resume_reading(conn);
}

static bool is_line_too_long(const struct control_conn *conn) {
    return conn->request_end - conn->request_at >= CONTROL_LINE_MAX;
}

/* Makes room for more of a line, CONTROL_LINE_MAX at most. False: memory is out. */
static bool make_room(struct control_conn *conn) {
    size_t len = conn->request_end - conn->request_at;
    if (conn->request_at > 0 && conn->request_end == conn->request_capacity) {
        memmove(conn->request_buffer, conn->request_buffer + conn->request_at, len);
        conn->request_at = 0;
        conn->request_end = len;
    }
    if (conn->request_end < conn->request_capacity || len == CONTROL_LINE_MAX)
        return true;
    size_t capacity = conn->request_capacity == 0 ? REQUEST_SIZE_MIN : 2 * conn->request_capacity;
    char *larger = realloc(conn->request_buffer, capacity);
    if (larger == NULL)
        return false;
    conn->request_buffer = larger;
    conn->request_capacity = capacity;
    return true;
}

/* A read reports the end in both cases: closed, and closed for writing only. */
static bool still_reads(const struct control_conn *conn) {
    struct pollfd side = {.fd = conn->fd};
    return poll(&side, 1, 0) == 0;
}

/*
 * A caller that has closed its writing side may still listen: what it asked for is sent before the
 * end. Events have no end, so its watch is over. Nothing is read of it any more; should it go
 * altogether while its reply is still to come, the reply cannot be written, and that ends it.
 */
static void on_half_closed(struct control_conn *conn) {
    if (!still_reads(conn)) {
        control_conn_end(conn);
        return;
    }
    stop_watching(conn);
    event_del(&conn->readable);
    conn->close_after_flush = true;
    control_conn_wake(conn);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct control_conn *conn = context;
    (void)what;
    if (!make_room(conn)) {
        control_conn_end(conn);
        return;
    }
    PORTOLAN_ASSERT(conn->request_at <= conn->request_end &&
                    conn->request_end <= conn->request_capacity);
    if (conn->request_end == conn->request_capacity) {
        conn->reading_paused = true; /* until lines are taken */
        event_del(&conn->readable);
        return;
    }
    ssize_t got = recv(fd, conn->request_buffer + conn->request_end,
                       conn->request_capacity - conn->request_end, 0);
    if (got > 0) {
        conn->request_end += (size_t)got;
        control_conn_wake(conn);
    } else if (got == 0) {
        on_half_closed(conn);
    } else if (!would_block(errno)) {
        control_conn_end(conn);
    }
}

static struct control_stream *bad_request(const char *message) {
    return control_stream_of_json(json_pack("{s:i, s:b, s:{s:s, s:s}}", "v",
                                            CONTROL_PROTOCOL_VERSION, "ok", 0, "error", "code",
                                            "bad_request", "message", message));
}

/* Answers what cannot be read, and closes then: where a line ends is unknown now. */
static struct control_stream *reject_with(struct control_conn *conn, const char *message) {
    reject(conn);
    return bad_request(message);
}

static struct control_stream *handle_line(struct control_conn *conn, struct bytes line) {
    struct control_server *server = conn->server;
    touch(conn);
    conn->has_requested = true;
    json_t *request = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES, NULL);
    struct control_stream *reply =
        json_is_object(request)
            ? server->handler(server->context, conn, request)
            : reject_with(conn, "a request must be one JSON object on one line");
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
static enum progress take_request(struct control_conn *conn, bool *any) {
    struct bytes line;
    *any = false;
    if (conn->input_stopped || conn->reply_pending)
        return IS_IDLE;
    if (next_line(conn, &line)) {
        size_t len = line.len;
        *any = true;
        conn->stream = handle_line(conn, line);
        line_taken(conn, len);
        return conn->stream != NULL || conn->reply_pending ? IS_IDLE : IS_BROKEN;
    }
    if (!is_line_too_long(conn)) {
        resume_reading(conn);
        return IS_IDLE;
    }
    *any = true;
    conn->stream = reject_with(conn, "the line is longer than 65536 bytes");
    return conn->stream != NULL ? IS_IDLE : IS_BROKEN;
}

/* Appends a part of the reply; what does not fit is left for the next piece. */
static enum progress make_part(struct control_conn *conn, struct writer *out) {
    struct writer before = *out;
    enum control_step step = CONTROL_STEP_MORE;
    if (conn->newline_pending)
        write_u8(out, '\n');
    else
        step = conn->stream->write(conn->stream, out);
    bool is_full = out->failed;
    if (is_full)
        *out = before;
    if (step == CONTROL_STEP_FAILED || (is_full && out->len == 0))
        return IS_BROKEN;
    if (is_full)
        return IS_FULL;
    if (conn->newline_pending) {
        control_stream_end(conn->stream);
        conn->stream = conn->last;
        conn->last = NULL;
    }
    conn->newline_pending = step == CONTROL_STEP_END;
    return IS_IDLE;
}

/* Makes more of the reply, as far as there is room and time. */
static enum progress make_reply(struct control_conn *conn, struct writer *out, int64_t until_us) {
    enum progress progress = IS_IDLE;
    for (unsigned parts = 1; progress == IS_IDLE && conn->stream != NULL; parts++) {
        progress = make_part(conn, out);
        if (progress == IS_IDLE && parts % PARTS_A_LOOK == 0 && clock_monotonic_us() >= until_us)
            return IS_FULL;
    }
    return progress;
}

/* Fills the piece with replies to what was asked, and with events where nothing was. */
static enum progress fill_piece(struct control_conn *conn, struct writer *out, int64_t until_us) {
    enum progress progress = IS_IDLE;
    bool any = true;
    while (progress == IS_IDLE && any) {
        if (out->len > CONTROL_PIECE_SIZE / 2)
            return IS_FULL;
        if (conn->stream != NULL)
            progress = make_reply(conn, out, until_us);
        else
            progress = take_request(conn, &any);
        if (progress == IS_IDLE && any && clock_monotonic_us() >= until_us)
            return IS_FULL;
    }
    if (progress == IS_IDLE && conn->watches &&
        !control_events_read(&conn->server->events, &conn->position, out))
        return IS_BROKEN;
    return progress;
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    struct control_conn *conn = context;
    (void)fd;
    if ((what & EV_TIMEOUT) != 0) {
        control_conn_end(conn);
        return;
    }
    conn->blocked = false;
    control_conn_wake(conn);
}

/* Sends what is made. False: the connection does not read, or is gone. */
static bool send_piece(struct control_conn *conn) {
    const struct timeval timeout = {.tv_sec = CONTROL_WRITE_TIMEOUT_S};
    size_t left = conn->piece_len - conn->piece_sent;
    PORTOLAN_ASSERT(conn->piece_sent <= conn->piece_len && !conn->blocked);
    ssize_t sent = send(conn->fd, conn->piece + conn->piece_sent, left, MSG_NOSIGNAL);
    if (sent < 0 && !would_block(errno)) {
        control_conn_end(conn);
        return false;
    }
    conn->piece_sent += sent > 0 ? (size_t)sent : 0;
    if (conn->piece_sent < conn->piece_len) {
        conn->blocked = event_add(&conn->writable, &timeout) == 0;
        if (!conn->blocked)
            control_conn_end(conn);
        return false;
    }
    free(conn->piece);
    conn->piece = NULL;
    conn->piece_len = conn->piece_sent = 0;
    return true;
}

static bool has_room(const struct control_conn *conn) {
    return conn->piece_len <= CONTROL_PIECE_SIZE / 2;
}

static bool is_awaiting(const struct control_conn *conn) {
    return conn->awaited[CONTROL_GATE_LEASES] != 0 || conn->awaited[CONTROL_GATE_CLUSTER] != 0;
}

void control_conn_step(struct control_conn *conn, int64_t until_us) {
    /* what it asks while it awaits something is answered in the same piece */
    if (!is_awaiting(conn) && conn->piece_len > 0 && !send_piece(conn))
        return;
    if (conn->piece == NULL)
        conn->piece = malloc(CONTROL_PIECE_SIZE);
    if (conn->piece == NULL) {
        control_conn_end(conn);
        return;
    }
    struct writer out = writer_of(conn->piece, CONTROL_PIECE_SIZE);
    out.len = conn->piece_len;
    enum progress progress = fill_piece(conn, &out, until_us);
    conn->piece_len = out.len;
    if (out.len == 0) {
        free(conn->piece);
        conn->piece = NULL;
    }
    bool is_done =
        progress == IS_IDLE && conn->close_after_flush && !conn->reply_pending && !is_sending(conn);
    if (progress == IS_BROKEN || is_done)
        control_conn_end(conn);
    else if (is_awaiting(conn) ? has_room(conn) && progress == IS_FULL
                               : progress == IS_FULL || is_sending(conn))
        control_conn_wake(conn); /* it is sent in the next turn, or when the wait is over */
}

static bool send_all(const struct control_conn *conn, const void *data, size_t len) {
    return send(conn->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

void control_conn_flush(struct control_conn *conn) {
    uint8_t piece[CONTROL_PIECE_SIZE];
    struct writer out = writer_of(piece, sizeof piece);
    bool sent = !is_awaiting(conn) && (conn->piece_sent == conn->piece_len ||
                                       send_all(conn, conn->piece + conn->piece_sent,
                                                conn->piece_len - conn->piece_sent));
    while (sent && conn->watches && conn->stream == NULL) {
        out.len = 0;
        if (!control_events_read(&conn->server->events, &conn->position, &out) || out.len == 0)
            return;
        sent = send_all(conn, piece, out.len);
    }
}

/* --- what the daemon does with it --- */

void control_conn_hold(struct control_conn *conn, void (*gone)(void *context), void *context) {
    PORTOLAN_ASSERT(!conn->reply_pending);
    conn->reply_pending = true;
    conn->gone = gone;
    conn->gone_context = context;
}

void control_conn_release(struct control_conn *conn) {
    conn->reply_pending = false;
}

void control_conn_reply(struct control_conn *conn, struct control_stream *reply) {
    PORTOLAN_ASSERT(conn->reply_pending && conn->last == NULL);
    touch(conn);
    conn->reply_pending = false;
    if (reply == NULL)
        reject(conn); /* not ended here: its own request may be what is under way */
    else if (conn->stream != NULL)
        conn->last = reply;
    else
        conn->stream = reply;
    control_conn_wake(conn);
}

void control_conn_progress(struct control_conn *conn, json_t *line) {
    if (conn->stream != NULL) {
        json_decref(line);
        return;
    }
    conn->stream = control_stream_of_json(line);
    control_conn_wake(conn);
}

void control_conn_await(struct control_conn *conn, enum control_gate gate, uint64_t number) {
    if (number > conn->awaited[gate])
        conn->awaited[gate] = number;
}

void control_server_settle(struct control_server *server, enum control_gate gate, uint64_t number) {
    struct control_conn *conn;
    TAILQ_FOREACH(conn, &server->conns, entry) {
        if (conn->awaited[gate] == 0 || conn->awaited[gate] > number)
            continue;
        conn->awaited[gate] = 0;
        control_conn_wake(conn);
    }
}

void control_conn_watch(struct control_conn *conn) {
    struct control_server *server = conn->server;
    if (conn->watches)
        return;
    if (!control_events_open(&server->events)) {
        reject(conn);
        return;
    }
    conn->watches = true;
    conn->position = server->events.end;
    server->watchers++;
}

/* --- its beginning --- */

struct control_conn *control_conn_new(struct control_server *server, int fd,
                                      const struct control_caller *caller) {
    struct control_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        close(fd);
        return NULL;
    }
    conn->server = server;
    conn->fd = fd;
    conn->caller = *caller;
    conn->since_ms = clock_monotonic_ms();
    event_assign(&conn->readable, server->base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    event_assign(&conn->writable, server->base, fd, EV_WRITE, on_writable, conn);
    if (event_add(&conn->readable, NULL) < 0) {
        close(fd);
        free(conn);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&server->conns, conn, entry);
    server->conn_count++;
    return conn;
}
