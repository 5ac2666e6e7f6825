#include "net/epmd_question.h"

#include "base/clock.h"
#include "erlang/epmd_reply.h"
#include "erlang/node_name.h"
#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

struct epmd_question {
    struct event_base *base; /* borrowed */
    struct event event;
    struct address epmd;
    struct bytes name;
    int64_t deadline_ms;
    epmd_question_answered *answered;
    void *context;
    int fd; /* -1: none yet */
    size_t sent;
    size_t request_len;
    size_t reply_len;
    uint8_t request[2 + 1 + ALIVE_NAME_MAX_BYTES];
    uint8_t reply[EPMD_SHORT_REPLY_MAX];
};

const char *epmd_word_text(enum epmd_word word) {
    switch (word) {
    case EPMD_WORD_PORT:
        return "knows the name";
    case EPMD_WORD_UNKNOWN:
        return "does not know the name";
    case EPMD_WORD_NO_EPMD:
        return "cannot be reached";
    case EPMD_WORD_LATE:
        return "did not answer in time";
    case EPMD_WORD_MALFORMED:
        return "does not answer as epmd does";
    }
    return "?";
}

void epmd_question_free(struct epmd_question *question) {
    if (question == NULL)
        return;
    event_del(&question->event);
    if (question->fd >= 0)
        close(question->fd);
    free(question);
}

/* The hook may free the question: nothing comes after this. */
static void tell(struct epmd_question *question, enum epmd_word word,
                 const struct epmd_node *node) {
    question->answered(question->context, word, node);
}

static void wait_until(struct epmd_question *question, short what, event_callback_fn then) {
    int64_t left_ms = question->deadline_ms - clock_monotonic_ms();
    if (left_ms <= 0) {
        tell(question, EPMD_WORD_LATE, NULL);
        return;
    }
    const struct timeval time = loop_timeval(left_ms);
    event_assign(&question->event, question->base, question->fd, what, then, question);
    if (event_add(&question->event, &time) < 0)
        tell(question, EPMD_WORD_NO_EPMD, NULL);
}

static bool is_no_end(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static void on_readable(evutil_socket_t fd, short what, void *context);

/* What has come of the reply. */
static void judge(struct epmd_question *question) {
    struct bytes reply = bytes_of(question->reply, question->reply_len);
    struct epmd_node node;
    switch (epmd_reply_port2(reply, question->name, &node)) {
    case EPMD_REPLY_COMPLETE:
        tell(question, node.port == 0 ? EPMD_WORD_UNKNOWN : EPMD_WORD_PORT, &node);
        return;
    case EPMD_REPLY_NO:
        tell(question, EPMD_WORD_UNKNOWN, NULL);
        return;
    case EPMD_REPLY_INCOMPLETE:
        if (reply.len < sizeof question->reply) {
            wait_until(question, EV_READ, on_readable);
            return;
        }
        break;
    default:
        break;
    }
    tell(question, EPMD_WORD_MALFORMED, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct epmd_question *question = context;
    if ((what & EV_TIMEOUT) != 0) {
        tell(question, EPMD_WORD_LATE, NULL);
        return;
    }
    ssize_t got = recv((int)fd, question->reply + question->reply_len,
                       sizeof question->reply - question->reply_len, 0);
    if (got > 0) {
        question->reply_len += (size_t)got;
        judge(question);
    } else if (got < 0 && is_no_end(errno)) {
        wait_until(question, EV_READ, on_readable);
    } else {
        bool cut = got == 0 && question->reply_len > 0;
        tell(question, cut ? EPMD_WORD_MALFORMED : EPMD_WORD_NO_EPMD, NULL);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    struct epmd_question *question = context;
    if ((what & EV_TIMEOUT) != 0) {
        tell(question, EPMD_WORD_LATE, NULL);
        return;
    }
    /* where the connection has failed, this says so */
    ssize_t sent = send((int)fd, question->request + question->sent,
                        question->request_len - question->sent, MSG_NOSIGNAL);
    if (sent < 0 && !is_no_end(errno)) {
        tell(question, EPMD_WORD_NO_EPMD, NULL);
        return;
    }
    question->sent += sent < 0 ? 0 : (size_t)sent;
    if (question->sent < question->request_len)
        wait_until(question, EV_WRITE, on_writable);
    else
        wait_until(question, EV_READ, on_readable);
}

static void on_begin(evutil_socket_t fd, short what, void *context) {
    struct epmd_question *question = context;
    const struct address *epmd = &question->epmd;
    (void)fd;
    (void)what;
    if (question->request_len == 0) { /* no epmd knows a name that long */
        tell(question, EPMD_WORD_UNKNOWN, NULL);
        return;
    }
    question->fd =
        socket(epmd->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (question->fd < 0 ||
        (connect(question->fd, &epmd->any, address_len(epmd)) < 0 && errno != EINPROGRESS))
        tell(question, EPMD_WORD_NO_EPMD, NULL);
    else
        wait_until(question, EV_WRITE, on_writable);
}

struct epmd_question *epmd_question_ask(struct event_base *base, const struct address *epmd,
                                        struct bytes name, int64_t time_ms,
                                        epmd_question_answered *answered, void *context) {
    const struct timeval now = {.tv_sec = 0};
    struct epmd_question *question = calloc(1, sizeof *question);
    if (question == NULL)
        return NULL;
    question->base = base;
    question->epmd = *epmd;
    question->name = name;
    question->deadline_ms = clock_monotonic_ms() + time_ms;
    question->answered = answered;
    question->context = context;
    question->fd = -1;
    struct writer writer = writer_of(question->request, sizeof question->request);
    epmd_write_request(&writer, EPMD_PORT_PLEASE2, name);
    question->request_len = writer.failed ? 0 : writer.len;
    event_assign(&question->event, base, -1, 0, on_begin, question);
    if (event_add(&question->event, &now) == 0)
        return question;
    free(question);
    return NULL;
}
