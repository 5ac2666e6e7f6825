#include "cli/control_client.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/would_block.h"
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 10 /* a listener whose queue is full cannot be waited for */
#define FOREVER INT64_MAX

struct control_client {
    int fd;
    char *path;
    int64_t timeout_ms;
    char *buffer;    /* what has come and is not yet handed out: */
    size_t at, have; /* from `at` on, so many bytes */
    size_t capacity;
};

/* --- failures --- */

void control_failure_set(struct control_failure *failure, const char *code, const char *format,
                         ...) {
    va_list arguments;
    va_start(arguments, format);
    snprintf(failure->code, sizeof failure->code, "%s", code);
    vsnprintf(failure->message, sizeof failure->message, format, arguments);
    va_end(arguments);
    failure->reply = NULL;
}

void control_failure_free(struct control_failure *failure) {
    json_decref(failure->reply);
    failure->reply = NULL;
}

static void fail_with_reply(struct control_failure *failure, json_t *reply) {
    const json_t *error = json_object_get(reply, "error");
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    control_failure_set(failure, code == NULL ? "failed" : code, "%s",
                        message == NULL ? "the daemon gave no reason" : message);
    failure->reply = reply;
}

static void fail_late(struct control_client *client, struct control_failure *failure) {
    char timeout[TEXT_DURATION_SIZE];
    text_format_duration(client->timeout_ms, timeout);
    control_failure_set(
        failure, CONTROL_TIMED_OUT,
        "no reply from the daemon at %s within %s; is it stopped or overloaded? use a longer "
        "--timeout",
        client->path, timeout);
}

static void fail_to_connect(const char *path, int error, struct control_failure *failure) {
    const char *reason = strerror(error);
    if (error == EACCES || error == EPERM)
        control_failure_set(failure, "denied", "no access to %s: %s; its owner can grant access",
                            path, reason);
    else if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
        control_failure_set(
            failure, CONTROL_NO_DAEMON,
            "no daemon listens at %s: %s; start one with 'portoland', or specify its socket with "
            "--socket",
            path, reason);
    else
        control_failure_set(failure, "failed", "connection to %s failed: %s", path, reason);
}

/* --- waiting --- */

/* Waits for `events` on the socket, or for stop_fd. >0 as poll, 0 when the time is over, -1 on
 * stop. */
static int wait_for(const struct control_client *client, short events, int64_t deadline_ms,
                    int stop_fd) {
    struct pollfd fds[2] = {{.fd = client->fd, .events = events},
                            {.fd = stop_fd, .events = POLLIN}};
    for (;;) {
        int64_t left_ms = deadline_ms == FOREVER ? -1 : deadline_ms - clock_monotonic_ms();
        if (deadline_ms != FOREVER && left_ms <= 0)
            return 0;
        int ready = poll(fds, 2, left_ms > 60000 ? 60000 : (int)left_ms);
        if (ready > 0)
            return fds[1].revents != 0 ? -1 : 1;
    }
}

static int64_t deadline_of(const struct control_client *client) {
    return clock_monotonic_ms() + client->timeout_ms;
}

/* --- connecting --- */

static int connect_before(int fd, const struct sockaddr_un *address, int64_t deadline_ms) {
    const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    while (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        if (!would_block(errno))
            return errno;
        if (clock_monotonic_ms() >= deadline_ms)
            return ETIMEDOUT;
        nanosleep(&pause, NULL);
    }
    return 0;
}

struct control_client *control_client_open(const char *path, int64_t timeout_ms,
                                           struct control_failure *failure) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof address.sun_path) {
        control_failure_set(failure, "failed",
                            "the path of a socket must have 1 to %zu bytes, not %zu",
                            sizeof address.sun_path - 1, len);
        return NULL;
    }
    memcpy(address.sun_path, path, len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = fd < 0 ? errno : connect_before(fd, &address, clock_monotonic_ms() + timeout_ms);
    if (error != 0) {
        fail_to_connect(path, error, failure);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct control_client *client = alloc_or_exit(calloc(1, sizeof *client));
    client->fd = fd;
    client->path = alloc_or_exit(strdup(path));
    client->timeout_ms = timeout_ms;
    return client;
}

void control_client_close(struct control_client *client) {
    if (client == NULL)
        return;
    close(client->fd);
    free(client->path);
    free(client->buffer);
    free(client);
}

/* --- lines --- */

static void fail_closed(const struct control_client *client, struct control_failure *failure) {
    control_failure_set(
        failure, CONTROL_CLOSED,
        "the daemon at %s closed the connection; it stopped, or has too many clients",
        client->path);
}

/* Whether all was sent. A daemon that has closed may have said why: that is left to be read. */
static bool send_all(struct control_client *client, const char *line, size_t len,
                     int64_t deadline_ms, struct control_failure *failure) {
    while (len > 0) {
        ssize_t sent = send(client->fd, line, len, MSG_NOSIGNAL);
        if (sent >= 0) {
            line += sent;
            len -= (size_t)sent;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return true;
        } else if (errno == EAGAIN && wait_for(client, POLLOUT, deadline_ms, -1) == 0) {
            fail_late(client, failure);
            return false;
        } else if (!would_block(errno)) {
            control_failure_set(failure, "failed", "sending to %s failed: %s", client->path,
                                strerror(errno));
            return false;
        }
    }
    return true;
}

/* Moves what is left to the front only when the buffer is at its end, and grows it by doubling. */
static void make_room(struct control_client *client) {
    if (client->at + client->have < client->capacity)
        return;
    if (client->at > 0) {
        memmove(client->buffer, client->buffer + client->at, client->have);
        client->at = 0;
    }
    if (client->have <= client->capacity / 2 && client->capacity > 0)
        return;
    client->capacity = client->capacity == 0 ? 65536 : client->capacity * 2;
    client->buffer = alloc_or_exit(realloc(client->buffer, client->capacity));
}

/* Cuts the first `len` bytes off and reads them as an object. */
static json_t *take_line(struct control_client *client, size_t len,
                         struct control_failure *failure) {
    json_t *value = json_loadb(client->buffer + client->at, len, 0, NULL);
    client->have -= len;
    client->at = client->have == 0 ? 0 : client->at + len;
    if (json_is_object(value))
        return value;
    json_decref(value);
    control_failure_set(failure, CONTROL_BAD_REPLY,
                        "invalid reply from %s; is it a Portolan daemon?", client->path);
    return NULL;
}

/* A list of a million names comes for seconds: as long as it does, the daemon answers. */
static int64_t extend(const struct control_client *client, int64_t deadline_ms) {
    int64_t again_ms = deadline_of(client);
    return again_ms > deadline_ms ? again_ms : deadline_ms;
}

static json_t *read_line(struct control_client *client, int64_t deadline_ms, int stop_fd,
                         struct control_failure *failure) {
    size_t seen = 0;
    for (;;) {
        const char *start = client->buffer + client->at;
        const char *end =
            client->have == seen ? NULL : memchr(start + seen, '\n', client->have - seen);
        if (end != NULL)
            return take_line(client, (size_t)(end - start) + 1, failure);
        seen = client->have;
        if (seen > CONTROL_REPLY_MAX) {
            control_failure_set(failure, CONTROL_BAD_REPLY, "the reply from %s is too long",
                                client->path);
            return NULL;
        }
        int ready = wait_for(client, POLLIN, deadline_ms, stop_fd);
        if (ready < 0) {
            control_failure_set(failure, "", "stopped");
            return NULL;
        }
        if (ready == 0) {
            fail_late(client, failure);
            return NULL;
        }
        make_room(client);
        size_t end_at = client->at + client->have;
        ssize_t got =
            recv(client->fd, client->buffer + end_at, client->capacity - end_at, MSG_DONTWAIT);
        if (got > 0) {
            client->have += (size_t)got;
            deadline_ms = extend(client, deadline_ms);
        } else if (got == 0 || !would_block(errno)) {
            fail_closed(client, failure);
            return NULL;
        }
    }
}

static bool send_request(struct control_client *client, const json_t *request,
                         struct control_failure *failure) {
    char *text = alloc_or_exit(json_dumps(request, JSON_COMPACT));
    size_t len = strlen(text);
    text[len] = '\n'; /* in the NUL's place; the length travels along */
    bool sent = send_all(client, text, len + 1, deadline_of(client), failure);
    free(text);
    return sent;
}

json_t *control_client_ask_long(struct control_client *client, const json_t *request,
                                void (*progress)(void *context, const json_t *line), void *context,
                                struct control_failure *failure) {
    json_t *reply = NULL;
    if (!send_request(client, request, failure))
        return NULL;
    while ((reply = read_line(client, deadline_of(client), -1, failure)) != NULL) {
        if (json_is_true(json_object_get(reply, "ok")))
            return reply;
        if (progress == NULL || json_object_get(reply, "ok") != NULL) {
            fail_with_reply(failure, reply);
            return NULL;
        }
        progress(context, reply);
        json_decref(reply);
    }
    return NULL;
}

json_t *control_client_ask(struct control_client *client, const json_t *request,
                           struct control_failure *failure) {
    return control_client_ask_long(client, request, NULL, NULL, failure);
}

json_t *control_client_next(struct control_client *client, int stop_fd,
                            struct control_failure *failure) {
    return read_line(client, FOREVER, stop_fd, failure);
}

bool control_client_wait_closed(struct control_client *client) {
    int64_t deadline_ms = deadline_of(client);
    char rest[256];
    for (;;) {
        if (wait_for(client, POLLIN, deadline_ms, -1) == 0)
            return false;
        ssize_t got = recv(client->fd, rest, sizeof rest, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && !would_block(errno)))
            return true;
    }
}
