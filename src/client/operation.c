#include "client/operation.h"

#include "base/clock.h"
#include "client/operation_notes.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

/* Where more than the control socket may know the answer, it has this part of the time. */
#define CONTROL_SHARES 4

#define BACKOFF_FIRST_MS 1
#define BACKOFF_MAX_MS 64

/* What one step reads of an answer, for the sake of the loop's other work. */
#define STEP_BYTES_MAX 262144

/* --- the end --- */

static void close_control(struct portolan_operation *operation) {
    waiter_forget(&operation->waiter);
    session_cancel(operation->settings.session, &operation->asked);
    exchange_close(&operation->exchange);
}

static void finish(struct portolan_operation *operation, enum portolan_code code) {
    close_control(operation);
    host_lookup_release(operation->lookup);
    operation->lookup = NULL;
    operation->stage = STAGE_DONE;
    operation->code = code;
    failure_message(&operation->failure, code, operation->kind->verb, operation->subject,
                    operation->message);
    /* a timer that cannot be set was one that could not be made */
    (void)waiter_wake_at(&operation->waiter, 1);
}

static void fail(struct portolan_operation *operation) {
    finish(operation, operation->failure.code);
}

void operation_fail_for_want(struct portolan_operation *operation, const char *of, int error) {
    note_want(operation, of, error);
    fail(operation);
}

const struct host_address *operation_address(const struct portolan_operation *operation) {
    return &operation->addresses.list[operation->attempt % operation->addresses.count];
}

/* The host's address was all that was missing. */
static void finish_endpoint(struct portolan_operation *operation) {
    host_address_text(operation_address(operation), operation->endpoint.address);
    finish(operation, PORTOLAN_OK);
}

/* Every server has been tried, or the time is over. */
static void give_up(struct portolan_operation *operation) {
    bool (*last_resort)(struct portolan_operation *) = operation->kind->last_resort;
    bool may = operation->stage == STAGE_EPMD && !operation->control_failed;
    operation->attempt = 0;
    if (last_resort != NULL && may && last_resort(operation))
        finish_endpoint(operation);
    else
        fail(operation);
}

/* --- from server to server --- */

static void begin_share(struct portolan_operation *operation, size_t shares) {
    int64_t now_ms = clock_monotonic_ms();
    int64_t left_ms = operation->deadline_ms - now_ms;
    operation->share_began_ms = now_ms;
    operation->share_ends_ms = now_ms + left_ms / (int64_t)shares;
}

/* The daemon is there, and takes no more at the moment. Callers that were turned away together are
 * not to come again together. */
static void try_later(struct portolan_operation *operation, int error) {
    int64_t backoff_ms = operation->backoff_ms;
    int64_t jitter_ms =
        ((int64_t)(uintptr_t)operation / 64 + clock_monotonic_us()) % BACKOFF_MAX_MS;
    if (jitter_ms < 0)
        jitter_ms = -jitter_ms;
    close_control(operation);
    operation->scanned = 0;
    operation->busy_error = error;
    operation->retry_at_ms = clock_monotonic_ms() + backoff_ms + jitter_ms * backoff_ms / 64;
    operation->backoff_ms = 2 * backoff_ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : 2 * backoff_ms;
}

/* Each open_... and begin_... : whether there is something to wait for now. */

static struct bytes write_request(struct portolan_operation *operation) {
    struct writer writer = writer_of(operation->request, sizeof operation->request);
    operation->kind->write_request(operation, &writer);
    operation->scan = (struct epmd_names_scan){0};
    return writer_bytes(&writer);
}

static bool note_open_error(struct portolan_operation *operation, int error) {
    if (is_own_want(error)) {
        operation_fail_for_want(operation, "connection", error);
        return false;
    }
    if (error == EAGAIN && operation->stage == STAGE_CONTROL) {
        try_later(operation, error);
        return true;
    }
    note_error(operation, error);
    return false;
}

static bool open_exchange(struct portolan_operation *operation, const struct sockaddr *peer,
                          socklen_t peer_len, size_t reply_max) {
    int error =
        exchange_open(&operation->exchange, peer, peer_len, write_request(operation), reply_max);
    operation->is_new = error == 0;
    return error == 0 || note_open_error(operation, -error);
}

static bool ask_session(struct portolan_operation *operation) {
    int error = session_send(operation->settings.session, &operation->asked,
                             write_request(operation), operation->kind->control_reply_max);
    /* it may be lost already */
    operation->is_new = error == 0 && operation->asked.state != REQUEST_WAITING;
    return error == 0 || note_open_error(operation, -error);
}

static bool ask_control(struct portolan_operation *operation) {
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    operation->retry_at_ms = 0;
    if (operation->settings.session != NULL)
        return ask_session(operation);
    memcpy(peer.sun_path, operation->settings.control_socket, sizeof peer.sun_path);
    return open_exchange(operation, (const struct sockaddr *)&peer, sizeof peer,
                         operation->kind->control_reply_max);
}

/* Most hosts have none: one call that says so is cheaper than three. */
static bool is_without_daemon(const struct portolan_operation *operation) {
    return operation->asks_epmd && operation->settings.session == NULL &&
           access(operation->settings.control_socket, F_OK) != 0 && errno == ENOENT;
}

static bool open_control(struct portolan_operation *operation) {
    if (!operation->asks_control || is_without_daemon(operation))
        return false;
    operation->backoff_ms = BACKOFF_FIRST_MS;
    begin_share(operation, operation->asks_epmd ? CONTROL_SHARES : 1);
    return ask_control(operation);
}

static bool begin_lookup(struct portolan_operation *operation) {
    const char *host = operation->settings.address;
    int error;
    if (!operation->asks_epmd && !operation->wants_address && !operation->is_answered) {
        fail(operation);
        return false;
    }
    if (host[0] == '\0')
        host = operation->node.host;
    begin_share(operation, 1);
    if (host_known(host, &operation->addresses))
        return false;
    operation->lookup = host_lookup_start(host, &error);
    if (operation->lookup == NULL)
        operation_fail_for_want(operation, "thread to look the host up in", error);
    return operation->lookup != NULL;
}

static bool open_epmd(struct portolan_operation *operation) {
    size_t attempts =
        operation->asks_epmd ? operation->addresses.count * operation->settings.epmd_port_count : 0;
    if (operation->is_answered) {
        finish_endpoint(operation);
        return false;
    }
    if (operation->attempt >= attempts) {
        give_up(operation);
        return false;
    }
    begin_share(operation, attempts - operation->attempt);
    struct host_address peer =
        host_address_with_port(attempt_address(operation), attempt_port(operation));
    bool waits = open_exchange(operation, &peer.any, host_address_len(&peer),
                               operation->kind->epmd_reply_max);
    /* a front port is a portoland's; an epmd written in Erlang would take it for the end of all */
    operation->exchange.half_closes =
        operation->kind->only_asks && attempt_port(operation) == operation->settings.base_port;
    return waits;
}

static void move_on(struct portolan_operation *operation) {
    bool waits = false;
    close_control(operation);
    while (!waits && operation->stage != STAGE_DONE) {
        switch (operation->stage) {
        case STAGE_BEGIN:
            operation->stage = STAGE_CONTROL;
            waits = open_control(operation);
            break;
        case STAGE_CONTROL:
            operation->stage = STAGE_LOOKUP;
            waits = begin_lookup(operation);
            break;
        case STAGE_LOOKUP:
            operation->stage = STAGE_EPMD;
            waits = open_epmd(operation);
            break;
        case STAGE_EPMD:
            operation->attempt++;
            waits = open_epmd(operation);
            break;
        case STAGE_DONE:
            break;
        }
    }
}

/* --- what comes --- */

static void take_addresses(struct portolan_operation *operation) {
    if (!host_lookup_done(operation->lookup, &operation->addresses))
        return;
    waiter_forget(&operation->waiter);
    host_lookup_release(operation->lookup);
    operation->lookup = NULL;
    if (operation->addresses.error == 0) {
        move_on(operation);
        return;
    }
    note_no_address(operation);
    fail(operation);
}

static void take_result(struct portolan_operation *operation) {
    if (!operation->kind->is_endpoint) {
        finish(operation, PORTOLAN_OK);
    } else if (operation->stage == STAGE_EPMD) {
        finish_endpoint(operation);
    } else {
        operation->is_answered = true;
        move_on(operation);
    }
}

/* Whether more of this answer may come. */
static bool judge(struct portolan_operation *operation, struct bytes reply, bool ended) {
    switch (operation->kind->receive(operation, reply, ended)) {
    case VERDICT_MORE:
        return true;
    case VERDICT_DONE:
        take_result(operation);
        break;
    case VERDICT_NEXT:
        move_on(operation);
        break;
    case VERDICT_STOP:
        fail(operation);
        break;
    }
    return false;
}

static void take_error(struct portolan_operation *operation, int error) {
    bool is_busy = operation->stage == STAGE_CONTROL && operation->exchange.reply_len == 0 &&
                   (error == EPIPE || error == ECONNRESET || error == ENOTCONN);
    if (is_own_want(error)) {
        operation_fail_for_want(operation, "connection", error);
    } else if (is_busy) {
        try_later(operation, error);
    } else {
        note_error(operation, error);
        move_on(operation);
    }
}

static void take_end(struct portolan_operation *operation) {
    if (operation->stage == STAGE_CONTROL && operation->exchange.reply_len == 0)
        try_later(operation, ECONNRESET);
    else
        judge(operation, exchange_reply(&operation->exchange), true);
}

static void take_too_large(struct portolan_operation *operation) {
    operation->control_failed |= operation->stage == STAGE_CONTROL;
    operation_bad_reply(operation, EPMD_REPLY_TOO_LARGE, false);
    move_on(operation);
}

static void take_event(struct portolan_operation *operation, enum exchange_event event) {
    switch (event) {
    case EXCHANGE_WAIT:
    case EXCHANGE_RECEIVED:
        break;
    case EXCHANGE_ENDED:
        take_end(operation);
        break;
    case EXCHANGE_FAILED:
        take_error(operation, operation->exchange.error);
        break;
    case EXCHANGE_TOO_LARGE:
        take_too_large(operation);
        break;
    case EXCHANGE_NO_MEMORY:
        operation_fail_for_want(operation, "room for the answer", ENOMEM);
        break;
    }
}

/* Reads until nothing is left: an edge-triggered loop is told of what comes, not of what is
 * there. */
static void advance_exchange(struct portolan_operation *operation) {
    size_t start = operation->exchange.reply_len;
    enum exchange_event event;
    while ((event = exchange_step(&operation->exchange)) == EXCHANGE_RECEIVED) {
        if (!judge(operation, exchange_reply(&operation->exchange), false))
            return;
        operation->has_more = operation->exchange.reply_len - start >= STEP_BYTES_MAX;
        if (operation->has_more)
            return;
    }
    take_event(operation, event);
}

static void take_lost(struct portolan_operation *operation) {
    int error = operation->asked.error;
    if (is_own_want(error))
        operation_fail_for_want(operation, "connection", error);
    else
        try_later(operation, error);
}

static void advance_session(struct portolan_operation *operation) {
    struct session_request *asked = &operation->asked;
    operation->has_more = !session_step(operation->settings.session);
    switch (asked->state) {
    case REQUEST_IDLE:
    case REQUEST_WAITING:
        break;
    case REQUEST_ANSWERED:
        judge(operation, bytes_of(asked->reply, asked->reply_len), false);
        break;
    case REQUEST_LOST:
        take_lost(operation);
        break;
    case REQUEST_TOO_LARGE:
        take_too_large(operation);
        break;
    case REQUEST_NO_MEMORY:
        operation_fail_for_want(operation, "room for the answer", ENOMEM);
        break;
    }
}

static void advance_control(struct portolan_operation *operation) {
    if (operation->retry_at_ms != 0) {
        if (clock_monotonic_ms() >= operation->retry_at_ms && !ask_control(operation) &&
            operation->stage != STAGE_DONE)
            move_on(operation);
    } else if (operation->settings.session != NULL) {
        advance_session(operation);
    } else {
        advance_exchange(operation);
    }
}

static void advance(struct portolan_operation *operation) {
    operation->is_new = operation->has_more = false;
    switch (operation->stage) {
    case STAGE_BEGIN:
        move_on(operation);
        break;
    case STAGE_CONTROL:
        advance_control(operation);
        break;
    case STAGE_LOOKUP:
        take_addresses(operation);
        break;
    case STAGE_EPMD:
        advance_exchange(operation);
        break;
    case STAGE_DONE:
        break;
    }
}

/* --- waiting --- */

static bool has_begun(const struct portolan_operation *operation) {
    return operation->exchange.reply_len > 0;
}

static void check_time(struct portolan_operation *operation) {
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms >= operation->deadline_ms) {
        note_timeout(operation, now_ms);
        give_up(operation);
    } else if (now_ms >= operation->share_ends_ms && !has_begun(operation)) {
        note_timeout(operation, now_ms);
        operation->retry_at_ms = 0;
        move_on(operation);
    }
}

static int64_t wake_time_ms(const struct portolan_operation *operation) {
    int64_t ends_ms = has_begun(operation) ? operation->deadline_ms : operation->share_ends_ms;
    if (operation->has_more)
        return 1;
    return operation->retry_at_ms != 0 && operation->retry_at_ms < ends_ms ? operation->retry_at_ms
                                                                           : ends_ms;
}

/* One of the operations of a session watches it for all; one that blocks cannot wait for others. */
static int watch_session(struct portolan_operation *operation) {
    const struct portolan_session *session = operation->settings.session;
    bool blocks = operation->waiter.epoll_fd < 0;
    if (blocks || session_is_reader(session, &operation->asked))
        return waiter_watch(&operation->waiter, session_descriptor(session),
                            session_interest(session));
    waiter_forget(&operation->waiter);
    return 0;
}

static int watch(struct portolan_operation *operation) {
    if (operation->stage == STAGE_LOOKUP)
        return waiter_watch(&operation->waiter, host_lookup_descriptor(operation->lookup), EPOLLIN);
    if (operation->retry_at_ms != 0)
        return 0;
    if (operation->stage == STAGE_CONTROL && operation->settings.session != NULL)
        return watch_session(operation);
    return waiter_watch(&operation->waiter, operation->exchange.fd,
                        exchange_interest(&operation->exchange));
}

static void wait_for_more(struct portolan_operation *operation) {
    int error = watch(operation);
    if (error == 0)
        error = waiter_wake_at(&operation->waiter, wake_time_ms(operation));
    if (error != 0)
        operation_fail_for_want(operation, "way to wait", -error);
}

enum portolan_code portolan_operation_step(struct portolan_operation *operation) {
    do {
        advance(operation);
    } while (operation->is_new);
    if (operation->stage != STAGE_DONE)
        check_time(operation);
    if (operation->stage != STAGE_DONE)
        wait_for_more(operation);
    return operation->code;
}
