#include "epmd/query.h"

#include "base/clock.h"
#include "base/would_block.h"
#include "erlang/epmd_reply.h"
#include "erlang/node_name.h"
#include "loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

struct epmd_query {
    struct event_base *base; /* borrowed */
    struct event event;
    struct address epmd;
    struct bytes name;
    int64_t deadline_ms;
    epmd_query_done *done;
    void *context;
    int fd; /* -1: none yet */
    size_t sent;
    size_t request_len;
    size_t reply_len;
    uint8_t request[2 + 1 + ALIVE_NAME_MAX_BYTES];
    uint8_t reply[EPMD_SHORT_REPLY_MAX];
};

const char *epmd_query_result_text(enum epmd_query_result result) {
    switch (result) {
    case EPMD_QUERY_PORT:
        return "knows the name";
    case EPMD_QUERY_UNKNOWN:
        return "does not know the name";
    case EPMD_QUERY_UNREACHABLE:
        return "cannot be reached";
    case EPMD_QUERY_TIMED_OUT:
        return "did not reply in time";
    case EPMD_QUERY_MALFORMED:
        return "sent an invalid reply";
    }
    return "?";
}

void epmd_query_free(struct epmd_query *query) {
    if (query == NULL)
        return;
    event_del(&query->event);
    if (query->fd >= 0)
        close(query->fd);
    free(query);
}

/* The hook may free the query: nothing comes after this. */
static void finish(struct epmd_query *query, enum epmd_query_result result,
                   const struct epmd_node *node) {
    query->done(query->context, result, node);
}

static void wait_until(struct epmd_query *query, short what, event_callback_fn then) {
    int64_t left_ms = query->deadline_ms - clock_monotonic_ms();
    if (left_ms <= 0) {
        finish(query, EPMD_QUERY_TIMED_OUT, NULL);
        return;
    }
    const struct timeval time = loop_timeval(left_ms);
    event_assign(&query->event, query->base, query->fd, what, then, query);
    if (event_add(&query->event, &time) < 0)
        finish(query, EPMD_QUERY_UNREACHABLE, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *context);

/* What has come of the reply. */
static void parse_reply(struct epmd_query *query) {
    struct bytes reply = bytes_of(query->reply, query->reply_len);
    struct epmd_node node;
    switch (epmd_reply_port2(reply, query->name, &node)) {
    case EPMD_REPLY_COMPLETE:
        finish(query, node.port == 0 ? EPMD_QUERY_UNKNOWN : EPMD_QUERY_PORT, &node);
        return;
    case EPMD_REPLY_NO:
        finish(query, EPMD_QUERY_UNKNOWN, NULL);
        return;
    case EPMD_REPLY_INCOMPLETE:
        if (reply.len < sizeof query->reply) {
            wait_until(query, EV_READ, on_readable);
            return;
        }
        break;
    default:
        break;
    }
    finish(query, EPMD_QUERY_MALFORMED, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct epmd_query *query = context;
    if ((what & EV_TIMEOUT) != 0) {
        finish(query, EPMD_QUERY_TIMED_OUT, NULL);
        return;
    }
    ssize_t got =
        recv((int)fd, query->reply + query->reply_len, sizeof query->reply - query->reply_len, 0);
    if (got > 0) {
        query->reply_len += (size_t)got;
        parse_reply(query);
    } else if (got < 0 && would_block(errno)) {
        wait_until(query, EV_READ, on_readable);
    } else {
        bool cut = got == 0 && query->reply_len > 0;
        finish(query, cut ? EPMD_QUERY_MALFORMED : EPMD_QUERY_UNREACHABLE, NULL);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    struct epmd_query *query = context;
    if ((what & EV_TIMEOUT) != 0) {
        finish(query, EPMD_QUERY_TIMED_OUT, NULL);
        return;
    }
    /* where the connection has failed, this says so */
    ssize_t sent =
        send((int)fd, query->request + query->sent, query->request_len - query->sent, MSG_NOSIGNAL);
    if (sent < 0 && !would_block(errno)) {
        finish(query, EPMD_QUERY_UNREACHABLE, NULL);
        return;
    }
    query->sent += sent < 0 ? 0 : (size_t)sent;
    if (query->sent < query->request_len)
        wait_until(query, EV_WRITE, on_writable);
    else
        wait_until(query, EV_READ, on_readable);
}

static void on_begin(evutil_socket_t fd, short what, void *context) {
    struct epmd_query *query = context;
    const struct address *epmd = &query->epmd;
    (void)fd;
    (void)what;
    if (query->request_len == 0) { /* no epmd knows a name that long */
        finish(query, EPMD_QUERY_UNKNOWN, NULL);
        return;
    }
    query->fd =
        socket(epmd->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (query->fd < 0 ||
        (connect(query->fd, &epmd->any, address_len(epmd)) < 0 && errno != EINPROGRESS))
        finish(query, EPMD_QUERY_UNREACHABLE, NULL);
    else
        wait_until(query, EV_WRITE, on_writable);
}

struct epmd_query *epmd_query_start(struct event_base *base, const struct address *epmd,
                                    struct bytes name, int64_t time_ms, epmd_query_done *done,
                                    void *context) {
    const struct timeval now = {.tv_sec = 0};
    struct epmd_query *query = calloc(1, sizeof *query);
    if (query == NULL)
        return NULL;
    query->base = base;
    query->epmd = *epmd;
    query->name = name;
    query->deadline_ms = clock_monotonic_ms() + time_ms;
    query->done = done;
    query->context = context;
    query->fd = -1;
    struct writer writer = writer_of(query->request, sizeof query->request);
    epmd_write_request(&writer, EPMD_PORT_PLEASE2, name);
    query->request_len = writer.failed ? 0 : writer.len;
    event_assign(&query->event, base, -1, 0, on_begin, query);
    if (event_add(&query->event, &now) == 0)
        return query;
    free(query);
    return NULL;
}
