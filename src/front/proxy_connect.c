#include "base/clock.h"
#include "base/turn_budget.h"
#include "front/proxy_inner.h"
#include "host/listener_owner.h"
#include "loop/loop.h"
#include "net/hop_mark.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As the distribution has them on the sockets that it makes itself. */
void proxy_connect_prepare(int fd) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/*
 * The node is on this host, so no path has to be found out about: an algorithm that paces what it
 * sends, as bbr does, would only wait. Reno is in every kernel, and open to everyone.
 */
static void prepare_for_node(int fd) {
    static const char reno[] = "reno";
    proxy_connect_prepare(fd);
    hop_mark_set(fd);
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof reno - 1);
}

static void start_moving(struct stream *stream) {
    stream->open = true;
    stream->attempt = ATTEMPT_NONE;
    if (!relay_pump_start(&stream->in) || !relay_pump_start(&stream->out))
        proxy_stream_close(stream, "out of memory");
    else
        proxy_stream_set_timer(stream, stream->proxy->options.answer_ms);
}

static struct address address_of(const struct stream *stream) {
    struct address called = stream->called;
    switch (stream->attempt) {
    case ATTEMPT_V4:
        return address_loopback_v4(stream->node_port);
    case ATTEMPT_V6:
        return address_loopback_v6(stream->node_port);
    default:
        called = address_with_port(&called, stream->node_port);
        return called;
    }
}

/* Whether what was reached is the node. */
static bool is_node(struct stream *stream) {
    const struct proxy_options *options = &stream->proxy->options;
    const struct address reached = address_of(stream);
    char reason[LISTENER_OWNER_REASON_SIZE];
    if (!options->check_owner || options->users == NULL ||
        listener_owner_is(options->users->diag, stream->user, &reached, reason))
        return true;
    free(stream->refusal);
    stream->refusal = strdup(reason);
    stream->not_owned = true;
    return false;
}

/* There is one time for all addresses. */
static bool wait_for_node(struct stream *stream) {
    return loop_set_timer(&stream->timer,
                          stream->since_ms + PROXY_CONNECT_MS - clock_monotonic_ms());
}

static void on_connected(evutil_socket_t fd, short what, void *context) {
    struct stream *stream = context;
    int error = 0;
    socklen_t len = sizeof error;
    if (!turn_budget_allows(stream->proxy->options.budget, &stream->served) &&
        wait_for_node(stream))
        return; /* it is reported again */
    if ((what & EV_TIMEOUT) != 0)
        error = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    stream->has_timer = false;
    if (error == 0 && is_node(stream)) {
        start_moving(stream);
        return;
    }
    close(stream->node_fd);
    stream->node_fd = -1;
    stream->attempt++;
    proxy_connect(stream);
}

/* 0, or an errno. */
static int begin_connecting(struct stream *stream) {
    const struct address address = address_of(stream);
    if (clock_monotonic_ms() - stream->since_ms >= PROXY_CONNECT_MS)
        return ETIMEDOUT;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    prepare_for_node(fd);
    event_assign(&stream->timer, stream->proxy->shared.base, fd, EV_WRITE, on_connected, stream);
    if ((connect(fd, &address.any, address_len(&address)) < 0 && errno != EINPROGRESS) ||
        !wait_for_node(stream)) {
        close(fd);
        return ECONNREFUSED;
    }
    stream->has_timer = true;
    stream->node_fd = fd;
    stream->in.to = stream->out.from = fd;
    return 0;
}

static void refuse_listener(struct stream *stream) {
    const struct proxy_options *options = &stream->proxy->options;
    const char *reason = stream->refusal == NULL ? "out of memory" : stream->refusal;
    stream->proxy->counters.not_owned++;
    if (options->refused != NULL && stream->node != NULL)
        options->refused(options->context, stream->node->registration, reason, &stream->peer);
    proxy_stream_close(stream, "its listener is not the node's");
}

void proxy_connect(struct stream *stream) {
    int error = 0;
    while (stream->attempt != ATTEMPT_NONE && (error = begin_connecting(stream)) != 0)
        stream->attempt++;
    if (stream->attempt != ATTEMPT_NONE)
        return;
    if (loop_is_out_of_descriptors(error)) {
        stream->proxy->counters.limited++;
        proxy_stream_close(stream, "no descriptor left");
    } else if (stream->not_owned) {
        refuse_listener(stream);
    } else {
        stream->proxy->counters.unreachable++;
        proxy_stream_close(stream, "no address of this host reaches the node");
    }
}
