/* How operations are made, run and ended: the two forms of every call. */
#include "base/clock.h"
#include "client/operation_notes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct portolan_operation *operation_new(const struct operation_kind *kind,
                                         const struct portolan_options *options,
                                         const char *subject, const char *wrong,
                                         enum portolan_code *code, struct portolan_error *error) {
    struct settings settings;
    if (wrong == NULL)
        wrong = settings_from(options, &settings);
    if (wrong != NULL) {
        *code = failure_refuse(kind->verb, subject, PORTOLAN_ERROR_ARGUMENT, wrong, error);
        return NULL;
    }
    struct portolan_operation *operation = calloc(1, sizeof *operation);
    if (operation == NULL) {
        *code = failure_refuse(kind->verb, subject, PORTOLAN_ERROR_MEMORY, "out of memory", error);
        return NULL;
    }
    operation->kind = kind;
    operation->settings = settings;
    operation->code = PORTOLAN_PENDING;
    if (settings.session != NULL)
        session_retain(settings.session);
    poller_init(&operation->poller);
    roundtrip_init(&operation->roundtrip);
    failure_show(bytes_of_text(subject), operation->subject, sizeof operation->subject);
    return operation;
}

/* For an operation whose session has something for it. */
static void wake(void *owner) {
    struct portolan_operation *operation = owner;
    poller_forget(&operation->poller);
    /* a timer that cannot be set was one that could not be made */
    (void)poller_wake_at(&operation->poller, 1);
}

static void begin(struct portolan_operation *operation) {
    operation->pending.wake = wake;
    operation->pending.owner = operation;
    operation->deadline_ms = clock_monotonic_ms() + operation->settings.deadline_ms;
}

enum portolan_code operation_start(struct portolan_operation *made,
                                   struct portolan_operation **operation,
                                   struct portolan_error *error) {
    int opened = poller_open(&made->poller);
    if (opened != 0) {
        operation_fail_no_resource(made, "descriptor to wait on", -opened);
        enum portolan_code code = failure_report(error, made->code, made->message);
        portolan_operation_free(made);
        return code;
    }
    begin(made);
    portolan_operation_step(made);
    *operation = made;
    return failure_report(error, PORTOLAN_OK, "");
}

enum portolan_code operation_run(struct portolan_operation *made, struct portolan_error *error) {
    begin(made);
    while (portolan_operation_step(made) == PORTOLAN_PENDING) {
        int waited = poller_wait(&made->poller);
        if (waited != 0)
            operation_fail_no_resource(made, "way to wait", -waited);
    }
    return failure_report(error, made->code, made->message);
}

enum verdict operation_bad_reply(struct portolan_operation *operation, enum epmd_reply reply,
                                 bool ended) {
    char server[OPERATION_SERVER_SIZE];
    struct failure *failure = &operation->failure;
    operation_server(operation, server);
    if (reply == EPMD_REPLY_INCOMPLETE && !ended)
        return VERDICT_MORE;
    if (reply == EPMD_REPLY_INCOMPLETE && operation->roundtrip.reply_len == 0)
        failure_note(failure, PORTOLAN_ERROR_CLOSED, "%s closed the connection without a reply",
                     server);
    else if (reply == EPMD_REPLY_INCOMPLETE)
        failure_note(failure, PORTOLAN_ERROR_CLOSED,
                     "%s closed the connection in the middle of its reply", server);
    else if (reply == EPMD_REPLY_TOO_LARGE)
        failure_note(failure, PORTOLAN_ERROR_TOO_LARGE, "the reply from %s is too long", server);
    else if (reply == EPMD_REPLY_NO_MEMORY)
        failure_note(failure, PORTOLAN_ERROR_MEMORY, "out of memory for the reply from %s", server);
    else
        failure_note(failure, PORTOLAN_ERROR_REPLY, "invalid reply from %s", server);
    return reply == EPMD_REPLY_NO_MEMORY ? VERDICT_STOP : VERDICT_NEXT;
}

enum verdict operation_control_answer(struct portolan_operation *operation,
                                      enum control_command command, struct bytes reply, bool ended,
                                      struct control_answer *answer) {
    size_t len = control_line_len(reply, &operation->scanned);
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
    return operation->poller.epoll_fd;
}

const char *portolan_operation_message(const struct portolan_operation *operation) {
    return operation->message;
}

void portolan_operation_free(struct portolan_operation *operation) {
    if (operation == NULL)
        return;
    poller_close(&operation->poller);
    roundtrip_close(&operation->roundtrip);
    host_lookup_release(operation->lookup);
    session_cancel(operation->settings.session, &operation->pending);
    if (operation->settings.session != NULL)
        session_release(operation->settings.session);
    portolan_listing_free(operation->listing);
    portolan_unregister(operation->registration);
    free(operation);
}
