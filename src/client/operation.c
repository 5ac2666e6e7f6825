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
    poller_forget(&operation->poller);
    session_cancel(operation->settings.session, &operation->pending);
    roundtrip_close(&operation->roundtrip);
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
    (void)poller_wake_at(&operation->poller, 1);
}

static void fail(struct portolan_operation *operation) {
    finish(operation, operation->failure.code);
}

void operation_fail_no_resource(struct portolan_operation *operation, const char *of, int error) {
    note_no_resource(operation, of, error);
    fail(operation);
}

const struct address *operation_address(const struct portolan_operation *operation) {
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
static void retry_later(struct portolan_operation *operation, int error) {
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
    if (is_resource_error(error)) {
        operation_fail_no_resource(operation, "connection", error);
        return false;
    }
    if (error == EAGAIN && operation->stage == STAGE_CONTROL) {
        retry_later(operation, error);
        return true;
    }
    note_error(operation, error);
    return false;
}

static bool open_roundtrip(struct portolan_operation *operation, const struct sockaddr *peer,
                           socklen_t peer_len, size_t reply_max) {
    int error =
        roundtrip_open(&operation->roundtrip, peer, peer_len, write_request(operation), reply_max);
    operation->is_new = error == 0;
    return error == 0 || note_open_error(operation, -error);
}

static bool ask_session(struct portolan_operation *operation) {
    int error = session_send(operation->settings.session, &operation->pending,
                             write_request(operation), operation->kind->control_reply_max);
    /* it may be lost already */
    operation->is_new = error == 0 && operation->pending.state != REQUEST_WAITING;
    return error == 0 || note_open_error(operation, -error);
}

static bool ask_control(struct portolan_operation *operation) {
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    operation->retry_at_ms = 0;
    if (operation->settings.session != NULL)
        return ask_session(operation);
    memcpy(peer.sun_path, operation->settings.control_socket, sizeof peer.sun_path);
    return open_roundtrip(operation, (const struct sockaddr *)&peer, sizeof peer,
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
        operation_fail_no_resource(operation, "thread to look the host up in", error);
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
    struct address peer = address_with_port(attempt_address(operation), attempt_port(operation));
    bool waits =
        open_roundtrip(operation, &peer.any, address_len(&peer), operation->kind->epmd_reply_max);
    /* a front port is a portoland's; an epmd written in Erlang would take it for the end of all */
    operation->roundtrip.half_closes =
        operation->kind->only_asks && attempt_port(operation) == operation->settings.base_port;
    return waits;
}

static void next_stage(struct portolan_operation *operation) {
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

static void handle_addresses(struct portolan_operation *operation) {
    if (!host_lookup_done(operation->lookup, &operation->addresses))
        return;
    poller_forget(&operation->poller);
    host_lookup_release(operation->lookup);
    operation->lookup = NULL;
    if (operation->addresses.error == 0) {
        next_stage(operation);
        return;
    }
    note_no_address(operation);
    fail(operation);
}

static void handle_result(struct portolan_operation *operation) {
    if (!operation->kind->is_endpoint) {
        finish(operation, PORTOLAN_OK);
    } else if (operation->stage == STAGE_EPMD) {
        finish_endpoint(operation);
    } else {
        operation->is_answered = true;
        next_stage(operation);
    }
}

/* Whether more of this answer may come. */
static bool handle_reply(struct portolan_operation *operation, struct bytes reply, bool ended) {
    switch (operation->kind->receive(operation, reply, ended)) {
    case VERDICT_MORE:
        return true;
    case VERDICT_DONE:
        handle_result(operation);
        break;
    case VERDICT_NEXT:
        next_stage(operation);
        break;
    case VERDICT_STOP:
        fail(operation);
        break;
    }
    return false;
}

static void handle_error(struct portolan_operation *operation, int error) {
    bool is_busy = operation->stage == STAGE_CONTROL && operation->roundtrip.reply_len == 0 &&
                   (error == EPIPE || error == ECONNRESET || error == ENOTCONN);
    if (is_resource_error(error)) {
        operation_fail_no_resource(operation, "connection", error);
    } else if (is_busy) {
        retry_later(operation, error);
    } else {
        note_error(operation, error);
        next_stage(operation);
    }
}

static void handle_end(struct portolan_operation *operation) {
    if (operation->stage == STAGE_CONTROL && operation->roundtrip.reply_len == 0)
        retry_later(operation, ECONNRESET);
    else
        handle_reply(operation, roundtrip_reply(&operation->roundtrip), true);
}

static void handle_too_large(struct portolan_operation *operation) {
    operation->control_failed |= operation->stage == STAGE_CONTROL;
    operation_bad_reply(operation, EPMD_REPLY_TOO_LARGE, false);
    next_stage(operation);
}

static void handle_event(struct portolan_operation *operation, enum roundtrip_event event) {
    switch (event) {
    case ROUNDTRIP_WAIT:
    case ROUNDTRIP_RECEIVED:
        break;
    case ROUNDTRIP_ENDED:
        handle_end(operation);
        break;
    case ROUNDTRIP_FAILED:
        handle_error(operation, operation->roundtrip.error);
        break;
    case ROUNDTRIP_TOO_LARGE:
        handle_too_large(operation);
        break;
    case ROUNDTRIP_NO_MEMORY:
        operation_fail_no_resource(operation, "room for the answer", ENOMEM);
        break;
    }
}

/* Reads until nothing is left: an edge-triggered loop is told of what comes, not of what is
 * there. */
static void advance_roundtrip(struct portolan_operation *operation) {
    size_t start = operation->roundtrip.reply_len;
    enum roundtrip_event event;
    while ((event = roundtrip_step(&operation->roundtrip)) == ROUNDTRIP_RECEIVED) {
        if (!handle_reply(operation, roundtrip_reply(&operation->roundtrip), false))
            return;
        operation->has_more = operation->roundtrip.reply_len - start >= STEP_BYTES_MAX;
        if (operation->has_more)
            return;
    }
    handle_event(operation, event);
}

static void handle_lost(struct portolan_operation *operation) {
    int error = operation->pending.error;
    if (is_resource_error(error))
        operation_fail_no_resource(operation, "connection", error);
    else
        retry_later(operation, error);
}

static void advance_session(struct portolan_operation *operation) {
    struct session_request *pending = &operation->pending;
    operation->has_more = !session_step(operation->settings.session);
    switch (pending->state) {
    case REQUEST_IDLE:
    case REQUEST_WAITING:
        break;
    case REQUEST_ANSWERED:
        handle_reply(operation, bytes_of(pending->reply, pending->reply_len), false);
        break;
    case REQUEST_LOST:
        handle_lost(operation);
        break;
    case REQUEST_TOO_LARGE:
        handle_too_large(operation);
        break;
    case REQUEST_NO_MEMORY:
        operation_fail_no_resource(operation, "room for the answer", ENOMEM);
        break;
    }
}

static void advance_control(struct portolan_operation *operation) {
    if (operation->retry_at_ms != 0) {
        if (clock_monotonic_ms() >= operation->retry_at_ms && !ask_control(operation) &&
            operation->stage != STAGE_DONE)
            next_stage(operation);
    } else if (operation->settings.session != NULL) {
        advance_session(operation);
    } else {
        advance_roundtrip(operation);
    }
}

static void advance(struct portolan_operation *operation) {
    operation->is_new = operation->has_more = false;
    switch (operation->stage) {
    case STAGE_BEGIN:
        next_stage(operation);
        break;
    case STAGE_CONTROL:
        advance_control(operation);
        break;
    case STAGE_LOOKUP:
        handle_addresses(operation);
        break;
    case STAGE_EPMD:
        advance_roundtrip(operation);
        break;
    case STAGE_DONE:
        break;
    }
}

/* --- waiting --- */

static bool has_begun(const struct portolan_operation *operation) {
    return operation->roundtrip.reply_len > 0;
}

static void check_time(struct portolan_operation *operation) {
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms >= operation->deadline_ms) {
        note_timeout(operation, now_ms);
        give_up(operation);
    } else if (now_ms >= operation->share_ends_ms && !has_begun(operation)) {
        note_timeout(operation, now_ms);
        operation->retry_at_ms = 0;
        next_stage(operation);
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
    bool blocks = operation->poller.epoll_fd < 0;
    if (blocks || session_is_reader(session, &operation->pending))
        return poller_watch(&operation->poller, session_descriptor(session),
                            session_interest(session));
    poller_forget(&operation->poller);
    return 0;
}

static int watch(struct portolan_operation *operation) {
    if (operation->stage == STAGE_LOOKUP)
        return poller_watch(&operation->poller, host_lookup_descriptor(operation->lookup), EPOLLIN);
    if (operation->retry_at_ms != 0)
        return 0;
    if (operation->stage == STAGE_CONTROL && operation->settings.session != NULL)
        return watch_session(operation);
    return poller_watch(&operation->poller, operation->roundtrip.fd,
                        roundtrip_interest(&operation->roundtrip));
}

static void wait_for_more(struct portolan_operation *operation) {
    int error = watch(operation);
    if (error == 0)
        error = poller_wake_at(&operation->poller, wake_time_ms(operation));
    if (error != 0)
        operation_fail_no_resource(operation, "way to wait", -error);
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
