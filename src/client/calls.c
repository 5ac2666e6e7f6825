/* How operations are made, run and ended: the two forms of every call. */
#include "base/clock.h"
#include "client/operation.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static enum portolan_code refuse(const struct operation_kind *kind, const char *subject,
                                 enum portolan_code code, const char *why,
                                 struct portolan_error *error) {
    struct failure failure = {.code = PORTOLAN_OK};
    char shown[FAILURE_SHOWN_SIZE], message[PORTOLAN_MESSAGE_SIZE];
    failure_show(bytes_of_text(subject != NULL ? subject : ""), shown, sizeof shown);
    failure_note(&failure, code, "%s", why);
    failure_message(&failure, code, kind->verb, shown, message);
    return failure_report(error, code, message);
}

struct portolan_operation *operation_new(const struct operation_kind *kind,
                                         const struct portolan_options *options,
                                         const char *subject, const char *wrong,
                                         enum portolan_code *code, struct portolan_error *error) {
    struct settings settings;
    char text[FAILURE_ERRNO_SIZE];
    if (wrong == NULL)
        wrong = settings_from(options, &settings);
    if (wrong != NULL) {
        *code = refuse(kind, subject, PORTOLAN_ERROR_ARGUMENT, wrong, error);
        return NULL;
    }
    struct portolan_operation *operation = calloc(1, sizeof *operation);
    if (operation == NULL) {
        *code = refuse(kind, subject, PORTOLAN_ERROR_MEMORY, "out of memory", error);
        return NULL;
    }
    operation->kind = kind;
    operation->settings = settings;
    operation->code = PORTOLAN_PENDING;
    exchange_init(&operation->exchange);
    failure_show(bytes_of_text(subject), operation->subject, sizeof operation->subject);
    int opened = waiter_open(&operation->waiter);
    if (opened == 0)
        return operation;
    portolan_operation_free(operation);
    *code = refuse(kind, subject, opened == -ENOMEM ? PORTOLAN_ERROR_MEMORY : PORTOLAN_ERROR_SYSTEM,
                   failure_errno(-opened, text), error);
    return NULL;
}

enum portolan_code operation_start(struct portolan_operation *made,
                                   struct portolan_operation **operation) {
    made->deadline_ms = clock_monotonic_ms() + made->settings.deadline_ms;
    portolan_operation_step(made);
    *operation = made;
    return PORTOLAN_OK;
}

enum portolan_code operation_run(struct portolan_operation *operation,
                                 struct portolan_error *error) {
    struct pollfd ready = {.fd = portolan_operation_descriptor(operation), .events = POLLIN};
    enum portolan_code code;
    /* a poll that a signal breaks off, or that fails, costs one needless step */
    while ((code = portolan_operation_step(operation)) == PORTOLAN_PENDING)
        poll(&ready, 1, -1);
    return failure_report(error, code, operation->message);
}

enum verdict operation_bad_reply(struct portolan_operation *operation, enum epmd_reply reply,
                                 bool ended) {
    char server[OPERATION_SERVER_SIZE];
    struct failure *failure = &operation->failure;
    operation_server(operation, server);
    if (reply == EPMD_REPLY_INCOMPLETE && !ended)
        return VERDICT_MORE;
    if (reply == EPMD_REPLY_INCOMPLETE && operation->exchange.reply_len == 0)
        failure_note(failure, PORTOLAN_ERROR_CLOSED, "%s closed without an answer", server);
    else if (reply == EPMD_REPLY_INCOMPLETE)
        failure_note(failure, PORTOLAN_ERROR_CLOSED, "%s closed in the midst of its answer",
                     server);
    else if (reply == EPMD_REPLY_TOO_LARGE)
        failure_note(failure, PORTOLAN_ERROR_TOO_LARGE, "%s answers more than can be", server);
    else if (reply == EPMD_REPLY_NO_MEMORY)
        failure_note(failure, PORTOLAN_ERROR_MEMORY, "no memory for the answer of %s", server);
    else
        failure_note(failure, PORTOLAN_ERROR_REPLY, "%s does not answer as epmd does", server);
    return reply == EPMD_REPLY_NO_MEMORY ? VERDICT_STOP : VERDICT_NEXT;
}

enum verdict operation_control_answer(struct portolan_operation *operation,
                                      enum control_command command, struct bytes reply, bool ended,
                                      struct control_answer *answer) {
    size_t len = control_line_len(reply);
    operation->control_failed = true;
    if (len == 0)
        return operation_bad_reply(operation, EPMD_REPLY_INCOMPLETE, ended);
    enum portolan_code code =
        control_parse_answer(bytes_of(reply.data, len), command, answer, &operation->failure);
    operation->control_failed = code == PORTOLAN_ERROR_REPLY;
    if (code == PORTOLAN_OK)
        return VERDICT_DONE;
    return code == PORTOLAN_ERROR_MEMORY ? VERDICT_STOP : VERDICT_NEXT;
}

int portolan_operation_descriptor(const struct portolan_operation *operation) {
    return operation->waiter.epoll_fd;
}

const char *portolan_operation_message(const struct portolan_operation *operation) {
    return operation->message;
}

void portolan_operation_free(struct portolan_operation *operation) {
    if (operation == NULL)
        return;
    waiter_close(&operation->waiter);
    exchange_close(&operation->exchange);
    host_lookup_release(operation->lookup);
    portolan_listing_free(operation->listing);
    portolan_unregister(operation->registration);
    free(operation);
}
