#include "client/session.h"

#include "base/would_block.h"
#include "client/failure.h"
#include "client/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OUTPUT_MAX (1 << 20)
#define FIRST_CAPACITY 4096
#define PIECE_MAX 65536
#define TURN_MAX (1 << 18) /* bytes that one step reads */

struct session_slot {
    TAILQ_ENTRY(session_slot) entry;
    struct session_request *request; /* NULL: cancelled */
    size_t reply_max;
};

struct buffer {
    uint8_t *data;
    size_t len, capacity;
};

struct portolan_session {
    char path[PORTOLAN_CONTROL_SOCKET_SIZE];
    int fd; /* -1: not connected */
    pid_t owner;
    bool closed;       /* by the program; its operations may hold it still */
    size_t references; /* the program, and operations */
    TAILQ_HEAD(session_slots, session_slot) slots; /* the oldest request first */
    const struct session_slot *reader;             /* the one that was told to watch */
    struct buffer input, output;
    size_t scanned; /* of the input: it contains no line feed */
    size_t sent;    /* of the output */
};

/* --- buffers --- */

/* Room for `more` bytes. False: out of memory. */
static bool reserve(struct buffer *buffer, size_t more) {
    size_t capacity = buffer->capacity == 0 ? FIRST_CAPACITY : buffer->capacity;
    while (capacity < buffer->len + more)
        capacity *= 2;
    if (capacity == buffer->capacity)
        return true;
    uint8_t *larger = malloc(capacity);
    if (larger == NULL)
        return false;
    if (buffer->len > 0)
        memcpy(larger, buffer->data, buffer->len);
    free(buffer->data);
    buffer->data = larger;
    buffer->capacity = capacity;
    return true;
}

static void drop_front(struct buffer *buffer, size_t len) {
    buffer->len -= len;
    if (buffer->len > 0)
        memmove(buffer->data, buffer->data + len, buffer->len);
}

static void clear(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}

/* --- the connection --- */

static int connect_to_daemon(struct portolan_session *session) {
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    memcpy(peer.sun_path, session->path, sizeof peer.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&peer, sizeof peer) != 0) {
        int error = errno == EINTR ? EAGAIN : errno;
        close(fd);
        return -error;
    }
    session->fd = fd;
    return 0;
}

static void wake(const struct portolan_session *session, const struct session_request *request) {
    if (session->owner == getpid())
        request->wake(request->owner);
}

static void complete_request(const struct portolan_session *session,
                             struct session_request *request, enum session_request_state state) {
    request->state = state;
    request->slot = NULL;
    wake(session, request);
}

static void free_slot(struct portolan_session *session, struct session_slot *slot) {
    TAILQ_REMOVE(&session->slots, slot, entry);
    if (session->reader == slot)
        session->reader = NULL;
    free(slot);
}

static void disconnect(struct portolan_session *session, int error) {
    struct session_slot *slot;
    while ((slot = TAILQ_FIRST(&session->slots)) != NULL) {
        struct session_request *request = slot->request;
        free_slot(session, slot);
        if (request == NULL)
            continue;
        request->error = error;
        complete_request(session, request, REQUEST_LOST);
    }
    if (session->fd >= 0)
        close(session->fd);
    session->fd = -1;
    session->scanned = session->sent = 0;
    clear(&session->input);
    clear(&session->output);
}

/* --- the reader --- */

static const struct session_slot *oldest_wanted(const struct portolan_session *session) {
    const struct session_slot *slot = TAILQ_FIRST(&session->slots);
    while (slot != NULL && slot->request == NULL)
        slot = TAILQ_NEXT(slot, entry);
    return slot;
}

/* Somebody has to watch the socket as long as a request waits. */
static void choose_reader(struct portolan_session *session) {
    const struct session_slot *slot = oldest_wanted(session);
    if (slot == session->reader)
        return;
    session->reader = slot;
    if (slot != NULL)
        wake(session, slot->request);
}

bool session_is_reader(const struct portolan_session *session,
                       const struct session_request *request) {
    return request->slot != NULL && session->reader == request->slot;
}

/* --- sending --- */

static void flush(struct portolan_session *session) {
    while (session->sent < session->output.len) {
        ssize_t sent = send(session->fd, session->output.data + session->sent,
                            session->output.len - session->sent, MSG_NOSIGNAL);
        if (sent < 0 && !would_block(errno)) {
            disconnect(session, errno);
            return;
        }
        if (sent < 0)
            break;
        session->sent += (size_t)sent;
    }
    drop_front(&session->output, session->sent);
    session->sent = 0;
}

int session_send(struct portolan_session *session, struct session_request *request,
                 struct bytes line, size_t reply_max) {
    int error = session->closed ? -ESHUTDOWN : session->fd < 0 ? connect_to_daemon(session) : 0;
    if (error != 0)
        return error;
    if (session->output.len + line.len > OUTPUT_MAX)
        return -EAGAIN;
    struct session_slot *slot = malloc(sizeof *slot);
    if (slot == NULL || !reserve(&session->output, line.len)) {
        free(slot);
        return -ENOMEM;
    }
    memcpy(session->output.data + session->output.len, line.data, line.len);
    session->output.len += line.len;
    *slot = (struct session_slot){.request = request, .reply_max = reply_max};
    TAILQ_INSERT_TAIL(&session->slots, slot, entry);
    request->slot = slot;
    request->state = REQUEST_WAITING;
    flush(session);
    choose_reader(session);
    return 0;
}

/* --- receiving --- */

static void deliver_reply(struct portolan_session *session, struct session_slot *slot, size_t len) {
    struct session_request *request = slot->request;
    free_slot(session, slot);
    if (request == NULL)
        return;
    request->reply = malloc(len);
    if (request->reply == NULL) {
        complete_request(session, request, REQUEST_NO_MEMORY);
        return;
    }
    memcpy(request->reply, session->input.data, len);
    request->reply_len = len;
    complete_request(session, request, REQUEST_ANSWERED);
}

/* Hands out the whole lines that have come. False: the connection has ended for what came. */
static bool deliver_lines(struct portolan_session *session) {
    struct buffer *input = &session->input;
    const uint8_t *end;
    while (session->scanned < input->len && (end = memchr(input->data + session->scanned, '\n',
                                                          input->len - session->scanned)) != NULL) {
        size_t len = (size_t)(end - input->data) + 1;
        struct session_slot *slot = TAILQ_FIRST(&session->slots);
        if (slot == NULL) {
            disconnect(session, EPROTO); /* an answer to nothing */
            return false;
        }
        deliver_reply(session, slot, len);
        drop_front(input, len);
        session->scanned = 0;
    }
    session->scanned = input->len;
    if (input->len == 0 && input->capacity > TURN_MAX)
        clear(input); /* after a long list */
    return true;
}

static bool exceeds_reply_max(const struct portolan_session *session) {
    const struct session_slot *slot = TAILQ_FIRST(&session->slots);
    return session->input.len > (slot == NULL ? 0 : slot->reply_max);
}

/* Ends the request whose answer is that long, and with the connection all others. */
static void end_too_large(struct portolan_session *session, enum session_request_state state) {
    struct session_slot *slot = TAILQ_FIRST(&session->slots);
    struct session_request *request = slot == NULL ? NULL : slot->request;
    if (slot != NULL)
        free_slot(session, slot);
    if (request != NULL)
        complete_request(session, request, state);
    disconnect(session, ECONNRESET);
}

/* Whether something came. */
static bool receive(struct portolan_session *session, size_t *taken) {
    if (!reserve(&session->input, PIECE_MAX)) {
        end_too_large(session, REQUEST_NO_MEMORY);
        return false;
    }
    ssize_t got = recv(session->fd, session->input.data + session->input.len, PIECE_MAX, 0);
    if (got < 0 && would_block(errno))
        return false;
    if (got <= 0) {
        disconnect(session, got < 0 ? errno : ECONNRESET);
        return false;
    }
    session->input.len += (size_t)got;
    *taken += (size_t)got;
    if (!deliver_lines(session))
        return false;
    if (exceeds_reply_max(session)) {
        end_too_large(session, REQUEST_TOO_LARGE);
        return false;
    }
    return true;
}

bool session_step(struct portolan_session *session) {
    size_t taken = 0;
    if (session->fd >= 0)
        flush(session);
    while (session->fd >= 0 && taken < TURN_MAX && receive(session, &taken))
        continue;
    choose_reader(session);
    return session->fd < 0 || taken < TURN_MAX;
}

/* --- what operations ask --- */

int session_descriptor(const struct portolan_session *session) {
    return session->fd;
}

uint32_t session_interest(const struct portolan_session *session) {
    return session->output.len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN;
}

const char *session_path(const struct portolan_session *session) {
    return session->path;
}

void session_cancel(struct portolan_session *session, struct session_request *request) {
    if (request->slot != NULL)
        request->slot->request = NULL;
    request->slot = NULL;
    request->state = REQUEST_IDLE;
    free(request->reply);
    request->reply = NULL;
    if (session != NULL)
        choose_reader(session);
}

void session_retain(struct portolan_session *session) {
    session->references++;
}

void session_release(struct portolan_session *session) {
    if (--session->references == 0)
        free(session);
}

/* --- for programs --- */

enum portolan_code portolan_session_new(const struct portolan_options *options,
                                        struct portolan_session **session,
                                        struct portolan_error *error) {
    struct settings settings;
    *session = NULL;
    const char *wrong = settings_from(options, &settings);
    if (wrong != NULL)
        return failure_refuse("make", "a session", PORTOLAN_ERROR_ARGUMENT, wrong, error);
    struct portolan_session *made = calloc(1, sizeof *made);
    if (made == NULL)
        return failure_refuse("make", "a session", PORTOLAN_ERROR_MEMORY, "out of memory", error);
    memcpy(made->path, settings.control_socket, sizeof made->path);
    made->fd = -1;
    made->owner = getpid();
    made->references = 1;
    TAILQ_INIT(&made->slots);
    *session = made;
    return failure_report(error, PORTOLAN_OK, "");
}

void portolan_session_free(struct portolan_session *session) {
    if (session == NULL)
        return;
    session->closed = true;
    disconnect(session, ECONNRESET);
    session_release(session);
}
