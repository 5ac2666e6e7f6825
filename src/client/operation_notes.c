#include "client/operation_notes.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

/* --- the server --- */

const struct address *attempt_address(const struct portolan_operation *operation) {
    return &operation->addresses.list[operation->attempt % operation->addresses.count];
}

uint16_t attempt_port(const struct portolan_operation *operation) {
    return operation->settings.epmd_ports[operation->attempt / operation->addresses.count];
}

static const char *control_path(const struct portolan_operation *operation) {
    const struct portolan_session *session = operation->settings.session;
    return session != NULL ? session_path(session) : operation->settings.control_socket;
}

const char *operation_server(const struct portolan_operation *operation, char *out) {
    char address[PORTOLAN_ADDRESS_SIZE];
    char shown[FAILURE_SHOWN_SIZE];
    if (operation->stage == STAGE_CONTROL) {
        snprintf(out, OPERATION_SERVER_SIZE, "portoland at %s",
                 failure_show(bytes_of_text(control_path(operation)), shown, sizeof shown));
        return out;
    }
    host_address_text(attempt_address(operation), address);
    snprintf(out, OPERATION_SERVER_SIZE, strchr(address, ':') == NULL ? "%s:%u" : "[%s]:%u",
             address, attempt_port(operation));
    return out;
}

/* --- this host --- */

bool is_resource_error(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

void note_no_resource(struct portolan_operation *operation, const char *of, int error) {
    char text[FAILURE_ERRNO_SIZE];
    enum portolan_code code = error == ENOMEM ? PORTOLAN_ERROR_MEMORY : PORTOLAN_ERROR_SYSTEM;
    failure_note(&operation->failure, code, "no %s: %s", of, failure_errno(error, text));
    /* EAGAIN is a thread that could not be made; raising limits helps against no other */
    operation->failure.is_advised = !is_resource_error(error) && error != EAGAIN;
}

/* --- errors --- */

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
                 error == ESHUTDOWN ? "the session was freed" : failure_errno(error, text));
    operation->failure.is_advised |= error == ESHUTDOWN;
}

static void note_epmd_error(struct portolan_operation *operation, int error) {
    char server[OPERATION_SERVER_SIZE], text[FAILURE_ERRNO_SIZE];
    enum portolan_code code = error == ETIMEDOUT                      ? PORTOLAN_ERROR_TIMEOUT
                              : error == ECONNRESET || error == EPIPE ? PORTOLAN_ERROR_CLOSED
                                                                      : PORTOLAN_ERROR_CONNECT;
    failure_note(&operation->failure, code, "%s: %s", operation_server(operation, server),
                 failure_errno(error, text));
}

void note_error(struct portolan_operation *operation, int error) {
    if (operation->stage == STAGE_CONTROL)
        note_control_error(operation, error);
    else
        note_epmd_error(operation, error);
}

void note_no_address(struct portolan_operation *operation) {
    char host[FAILURE_SHOWN_SIZE], known[64] = "", text[FAILURE_ERRNO_SIZE];
    int error = operation->addresses.error, cause = operation->addresses.system_error;
    enum portolan_code code = cause == ENOMEM      ? PORTOLAN_ERROR_MEMORY
                              : cause != 0         ? PORTOLAN_ERROR_SYSTEM
                              : error == EAI_AGAIN ? PORTOLAN_ERROR_TRY_AGAIN
                                                   : PORTOLAN_ERROR_HOST;
    if (operation->is_answered)
        snprintf(known, sizeof known, "portoland has it registered at port %u, but ",
                 operation->endpoint.port);
    failure_note(&operation->failure, code, "%sthe host %s: %s", known,
                 failure_show(bytes_of_text(operation->node.host), host, sizeof host),
                 cause != 0 ? failure_errno(cause, text) : gai_strerror(error));
    operation->failure.is_advised = cause != 0 && !is_resource_error(cause);
}

/* --- time --- */

static void note_lookup_timeout(struct portolan_operation *operation, int64_t waited_ms) {
    char host[FAILURE_SHOWN_SIZE];
    failure_note(&operation->failure, PORTOLAN_ERROR_TIMEOUT,
                 "no address for the host %s within %" PRId64
                 " ms; can this host reach its name server?",
                 failure_show(bytes_of_text(operation->node.host), host, sizeof host), waited_ms);
    operation->failure.is_advised = true;
}

static void note_control_timeout(struct portolan_operation *operation, int64_t waited_ms) {
    char server[OPERATION_SERVER_SIZE];
    int error = operation->busy_error;
    const char *what = error == 0        ? "did not reply"
                       : error == EAGAIN ? "is busy and accepted no connection"
                                         : "closed the connection without a reply";
    enum portolan_code code =
        error == 0 || error == EAGAIN ? PORTOLAN_ERROR_TIMEOUT : PORTOLAN_ERROR_CLOSED;
    operation->control_failed = true;
    failure_note(&operation->failure, code, "%s %s within %" PRId64 " ms; check its log",
                 operation_server(operation, server), what, waited_ms);
    operation->failure.is_advised = true;
}

static void note_epmd_timeout(struct portolan_operation *operation, int64_t waited_ms) {
    char server[OPERATION_SERVER_SIZE];
    const char *what = operation->roundtrip.state == ROUNDTRIP_CONNECTING ? "accept the connection"
                       : operation->roundtrip.reply_len > 0               ? "finish its reply"
                                                                          : "reply";
    failure_note(&operation->failure, PORTOLAN_ERROR_TIMEOUT, "%s did not %s within %" PRId64 " ms",
                 operation_server(operation, server), what, waited_ms);
}

/* The firewall, which the general advice is about, has a part in the last alone. */
void note_timeout(struct portolan_operation *operation, int64_t now_ms) {
    int64_t waited_ms = now_ms - operation->share_began_ms;
    if (operation->stage == STAGE_LOOKUP)
        note_lookup_timeout(operation, waited_ms);
    else if (operation->stage == STAGE_CONTROL)
        note_control_timeout(operation, waited_ms);
    else
        note_epmd_timeout(operation, waited_ms);
}
