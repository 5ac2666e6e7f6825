#include "client/operation.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>

/* Where more than the control socket may know the answer, it has this part of the time. */
#define CONTROL_SHARES 4

/* --- the end --- */

static void finish(struct portolan_operation *operation, enum portolan_code code) {
    waiter_forget(&operation->waiter);
    exchange_close(&operation->exchange);
    host_lookup_release(operation->lookup);
    operation->lookup = NULL;
    operation->stage = STAGE_DONE;
    operation->code = code;
    failure_message(&operation->failure, code, operation->kind->verb, operation->subject,
                    operation->message);
    waiter_wake_at(&operation->waiter, 1);
}

static void fail(struct portolan_operation *operation) {
    finish(operation, operation->failure.code);
}

/* Every server has been tried, or the time is over. */
static void give_up(struct portolan_operation *operation) {
    bool (*last_resort)(struct portolan_operation *) = operation->kind->last_resort;
    bool may = operation->stage == STAGE_EPMD && !operation->control_failed;
    if (last_resort != NULL && may && last_resort(operation))
        finish(operation, PORTOLAN_OK);
    else
        fail(operation);
}

/* --- what goes wrong with a server --- */

static const struct host_address *attempt_address(const struct portolan_operation *operation) {
    return &operation->addresses.list[operation->attempt % operation->addresses.count];
}

static uint16_t attempt_port(const struct portolan_operation *operation) {
    return operation->settings.epmd_ports[operation->attempt / operation->addresses.count];
}

const char *operation_server(const struct portolan_operation *operation, char *out) {
    char address[PORTOLAN_ADDRESS_SIZE];
    char shown[FAILURE_SHOWN_SIZE];
    if (operation->stage == STAGE_CONTROL) {
        snprintf(
            out, OPERATION_SERVER_SIZE, "portoland at %s",
            failure_show(bytes_of_text(operation->settings.control_socket), shown, sizeof shown));
        return out;
    }
    host_address_text(attempt_address(operation), address);
    snprintf(out, OPERATION_SERVER_SIZE, strchr(address, ':') == NULL ? "%s:%u" : "[%s]:%u",
             address, attempt_port(operation));
    return out;
}

/* What this host lacks is no other server's fault: the operation ends. */
static bool is_own_want(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

static void fail_for_want(struct portolan_operation *operation, const char *of, int error) {
    char text[FAILURE_ERRNO_SIZE];
    enum portolan_code code = error == ENOMEM ? PORTOLAN_ERROR_MEMORY : PORTOLAN_ERROR_SYSTEM;
    failure_note(&operation->failure, code, "no %s: %s", of, failure_errno(error, text));
    fail(operation);
}

static void note_control_error(struct portolan_operation *operation, int error) {
    char text[FAILURE_ERRNO_SIZE];
    char server[OPERATION_SERVER_SIZE];
    bool absent = error == ENOENT || error == ENOTDIR || error == ECONNREFUSED;
    /* most hosts have none, and the caller has not asked for it by name */
    if (absent && operation->asks_epmd)
        return;
    enum portolan_code code = absent                              ? PORTOLAN_ERROR_NO_DAEMON
                              : error == EACCES || error == EPERM ? PORTOLAN_ERROR_DENIED
                                                                  : PORTOLAN_ERROR_CLOSED;
    operation->control_failed = code == PORTOLAN_ERROR_CLOSED;
    failure_note(&operation->failure, code, "%s: %s", operation_server(operation, server),
                 failure_errno(error, text));
}

static void note_epmd_error(struct portolan_operation *operation, int error) {
    char server[OPERATION_SERVER_SIZE], text[FAILURE_ERRNO_SIZE];
    enum portolan_code code = error == ETIMEDOUT                      ? PORTOLAN_ERROR_TIMEOUT
                              : error == ECONNRESET || error == EPIPE ? PORTOLAN_ERROR_CLOSED
                                                                      : PORTOLAN_ERROR_CONNECT;
    failure_note(&operation->failure, code, "%s: %s", operation_server(operation, server),
                 failure_errno(error, text));
}

/* False when that ended the operation. */
static bool note_error(struct portolan_operation *operation, int error) {
    if (is_own_want(error)) {
        fail_for_want(operation, "connection", error);
        return false;
    }
    if (operation->stage == STAGE_CONTROL)
        note_control_error(operation, error);
    else
        note_epmd_error(operation, error);
    return true;
}

/* The firewall, which the general advice is about, has no part in these two. */
static void note_own_timeout(struct portolan_operation *operation, int64_t waited_ms) {
    char server[OPERATION_SERVER_SIZE], host[FAILURE_SHOWN_SIZE];
    if (operation->stage == STAGE_LOOKUP)
        failure_note(&operation->failure, PORTOLAN_ERROR_TIMEOUT,
                     "no address for the host %s within %" PRId64
                     " ms; does this host's resolver reach its name server?",
                     failure_show(bytes_of_text(operation->node.host), host, sizeof host),
                     waited_ms);
    else
        failure_note(&operation->failure, PORTOLAN_ERROR_TIMEOUT,
                     "%s did not answer within %" PRId64 " ms; what does its log say?",
                     operation_server(operation, server), waited_ms);
    operation->failure.is_advised = true;
}

static void note_timeout(struct portolan_operation *operation, int64_t now_ms) {
    char server[OPERATION_SERVER_SIZE];
    int64_t waited_ms = now_ms - operation->share_began_ms;
    const char *what = operation->exchange.state == EXCHANGE_CONNECTING ? "take the connection"
                       : operation->exchange.reply_len > 0              ? "end its answer"
                                                                        : "answer";
    operation->control_failed |= operation->stage == STAGE_CONTROL;
    if (operation->stage != STAGE_EPMD) {
        note_own_timeout(operation, waited_ms);
        return;
    }
    failure_note(&operation->failure, PORTOLAN_ERROR_TIMEOUT, "%s did not %s within %" PRId64 " ms",
                 operation_server(operation, server), what, waited_ms);
}

/* --- from server to server --- */

static void begin_share(struct portolan_operation *operation, size_t shares) {
    int64_t now_ms = clock_monotonic_ms();
    int64_t left_ms = operation->deadline_ms - now_ms;
    operation->share_began_ms = now_ms;
    operation->share_ends_ms = now_ms + left_ms / (int64_t)shares;
}

/* Each open_... and begin_... : whether there is something to wait for now. */

static bool open_exchange(struct portolan_operation *operation, const struct sockaddr *peer,
                          socklen_t peer_len, size_t reply_max) {
    struct writer writer = writer_of(operation->request, sizeof operation->request);
    operation->kind->write_request(operation, &writer);
    operation->scan = (struct epmd_names_scan){0};
    int error =
        exchange_open(&operation->exchange, peer, peer_len, writer_bytes(&writer), reply_max);
    if (error == 0)
        return true;
    note_error(operation, -error);
    return false;
}

static bool open_control(struct portolan_operation *operation) {
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    if (!operation->asks_control)
        return false;
    begin_share(operation, operation->asks_epmd ? CONTROL_SHARES : 1);
    memcpy(peer.sun_path, operation->settings.control_socket, sizeof peer.sun_path);
    return open_exchange(operation, (const struct sockaddr *)&peer, sizeof peer, CONTROL_LINE_MAX);
}

static bool begin_lookup(struct portolan_operation *operation) {
    const char *host = operation->settings.address;
    int error;
    if (!operation->asks_epmd && !operation->wants_address) {
        fail(operation);
        return false;
    }
    if (host[0] == '\0')
        host = operation->node.host;
    begin_share(operation, 1);
    if (host_numeric(host, &operation->addresses))
        return false;
    operation->lookup = host_lookup_start(host, &error);
    if (operation->lookup == NULL)
        fail_for_want(operation, "thread to look the host up in", error);
    return operation->lookup != NULL;
}

static bool open_epmd(struct portolan_operation *operation) {
    size_t attempts =
        operation->asks_epmd ? operation->addresses.count * operation->settings.epmd_port_count : 0;
    if (operation->attempt >= attempts) {
        give_up(operation);
        return false;
    }
    begin_share(operation, attempts - operation->attempt);
    struct host_address peer =
        host_address_with_port(attempt_address(operation), attempt_port(operation));
    return open_exchange(operation, &peer.any, host_address_len(&peer),
                         operation->kind->epmd_reply_max);
}

static void move_on(struct portolan_operation *operation) {
    bool waits = false;
    waiter_forget(&operation->waiter);
    exchange_close(&operation->exchange);
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
    char host[FAILURE_SHOWN_SIZE];
    if (!host_lookup_done(operation->lookup, &operation->addresses))
        return;
    waiter_forget(&operation->waiter);
    host_lookup_release(operation->lookup);
    operation->lookup = NULL;
    if (operation->addresses.error == EAI_MEMORY) {
        fail_for_want(operation, "address", ENOMEM);
        return;
    }
    if (operation->addresses.error == 0) {
        move_on(operation);
        return;
    }
    failure_note(&operation->failure, PORTOLAN_ERROR_HOST, "the host %s: %s",
                 failure_show(bytes_of_text(operation->node.host), host, sizeof host),
                 gai_strerror(operation->addresses.error));
    fail(operation);
}

static void judge(struct portolan_operation *operation, bool ended) {
    switch (operation->kind->receive(operation, exchange_reply(&operation->exchange), ended)) {
    case VERDICT_MORE:
        break;
    case VERDICT_DONE:
        finish(operation, PORTOLAN_OK);
        break;
    case VERDICT_NEXT:
        move_on(operation);
        break;
    case VERDICT_STOP:
        fail(operation);
        break;
    }
}

static void advance_exchange(struct portolan_operation *operation) {
    switch (exchange_step(&operation->exchange)) {
    case EXCHANGE_WAIT:
        break;
    case EXCHANGE_RECEIVED:
        judge(operation, false);
        break;
    case EXCHANGE_ENDED:
        judge(operation, true);
        break;
    case EXCHANGE_FAILED:
        if (note_error(operation, operation->exchange.error))
            move_on(operation);
        break;
    case EXCHANGE_TOO_LARGE:
        operation->control_failed |= operation->stage == STAGE_CONTROL;
        operation_bad_reply(operation, EPMD_REPLY_TOO_LARGE, false);
        move_on(operation);
        break;
    case EXCHANGE_NO_MEMORY:
        fail_for_want(operation, "room for the answer", ENOMEM);
        break;
    }
}

static void check_time(struct portolan_operation *operation) {
    int64_t now_ms = clock_monotonic_ms();
    bool has_begun = operation->exchange.reply_len > 0;
    if (now_ms >= operation->deadline_ms) {
        note_timeout(operation, now_ms);
        give_up(operation);
    } else if (now_ms >= operation->share_ends_ms && !has_begun) {
        note_timeout(operation, now_ms);
        move_on(operation);
    }
}

static void wait_for_more(struct portolan_operation *operation) {
    bool has_begun = operation->exchange.reply_len > 0;
    int error =
        operation->stage == STAGE_LOOKUP
            ? waiter_watch(&operation->waiter, host_lookup_descriptor(operation->lookup), EPOLLIN)
            : waiter_watch(&operation->waiter, operation->exchange.fd,
                           exchange_interest(&operation->exchange));
    waiter_wake_at(&operation->waiter,
                   has_begun ? operation->deadline_ms : operation->share_ends_ms);
    if (error != 0)
        fail_for_want(operation, "way to wait", -error);
}

enum portolan_code portolan_operation_step(struct portolan_operation *operation) {
    if (operation->stage == STAGE_DONE)
        return operation->code;
    if (operation->stage == STAGE_BEGIN)
        move_on(operation);
    else if (operation->stage == STAGE_LOOKUP)
        take_addresses(operation);
    else
        advance_exchange(operation);
    if (operation->stage != STAGE_DONE)
        check_time(operation);
    if (operation->stage != STAGE_DONE)
        wait_for_more(operation);
    return operation->code;
}
