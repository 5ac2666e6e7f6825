#include "client/failure.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    const char *advice; /* ends the message; NULL: the notes say it all */
    int telling;        /* of the codes of several servers the highest is reported */
} codes[] = {
    [PORTOLAN_OK] = {"done", NULL, 0},
    [PORTOLAN_ERROR_ARGUMENT] = {"invalid argument", NULL, 90},
    [PORTOLAN_ERROR_MEMORY] = {"out of memory", NULL, 80},
    [PORTOLAN_ERROR_SYSTEM] = {"this host is out of descriptors or threads",
                               "raise the limits of this process (ulimit -n, -u)", 70},
    [PORTOLAN_ERROR_TIMEOUT] = {"no reply in time", "is its TCP port open in the firewall?", 25},
    [PORTOLAN_ERROR_HOST] = {"host not found",
                             "check the name, and whether this host can resolve it", 20},
    [PORTOLAN_ERROR_CONNECT] = {"connection failed", "is epmd or portoland running there?", 15},
    [PORTOLAN_ERROR_CLOSED] = {"closed the connection without a reply",
                               "is that epmd or portoland, and does it serve this host?", 30},
    [PORTOLAN_ERROR_REPLY] = {"invalid reply",
                              "is the program that listens there epmd or portoland?", 35},
    [PORTOLAN_ERROR_TOO_LARGE] = {"reply too large",
                                  "is the program that listens there epmd or portoland?", 40},
    [PORTOLAN_ERROR_NOT_FOUND] = {"not found", "is the node running, and registered there?", 50},
    [PORTOLAN_ERROR_REFUSED] = {"registration refused",
                                "stop the node with that name, or use another name", 60},
    [PORTOLAN_ERROR_NO_PORT] = {"no port can be derived", "rename the node, or lower the base port",
                                55},
    [PORTOLAN_ERROR_PORTS_TAKEN] = {"all ports are in use",
                                    "stop a node, release a lease, or widen "
                                    "node.dist_listen_min to node.dist_listen_max",
                                    60},
    [PORTOLAN_ERROR_NO_DAEMON] = {"no portoland on this host",
                                  "start it, or name its control socket in the options", 10},
    [PORTOLAN_ERROR_DENIED] = {"permission denied",
                               "run as root, as portoland's user or in the group portolan", 60},
    [PORTOLAN_ERROR_DAEMON] = {"portoland failed", NULL, 60},
    [PORTOLAN_ERROR_TRY_AGAIN] = {"temporary failure of the name server",
                                  "try again; can this host reach its name server?", 22},
};
#define CODES (sizeof codes / sizeof codes[0])

static bool is_known(enum portolan_code code) {
    return (int)code >= 0 && (size_t)code < CODES;
}

const char *portolan_error_text(enum portolan_code code) {
    if (code == PORTOLAN_PENDING)
        return "in progress";
    return is_known(code) ? codes[code].text : "unknown error";
}

void failure_note(struct failure *failure, enum portolan_code code, const char *format, ...) {
    size_t used = strlen(failure->notes);
    va_list arguments;
    if (codes[code].telling >= codes[failure->code].telling)
        failure->code = code;
    failure->is_advised = false;
    if (used > 0 && used < sizeof failure->notes - 3) {
        strcpy(failure->notes + used, "; ");
        used += 2;
    }
    va_start(arguments, format);
    vsnprintf(failure->notes + used, sizeof failure->notes - used, format, arguments);
    va_end(arguments);
}

void failure_message(const struct failure *failure, enum portolan_code code, const char *verb,
                     const char *subject, char *message) {
    const char *advice = failure->is_advised ? NULL : codes[code].advice;
    if (code == PORTOLAN_OK) {
        snprintf(message, PORTOLAN_MESSAGE_SIZE, "%s", failure->notes);
        return;
    }
    snprintf(message, PORTOLAN_MESSAGE_SIZE, "cannot %s '%s': %s%s%s", verb, subject,
             failure->notes, advice == NULL ? "" : "; ", advice == NULL ? "" : advice);
}

enum portolan_code failure_report(struct portolan_error *error, enum portolan_code code,
                                  const char *message) {
    if (error == NULL)
        return code;
    error->code = code;
    snprintf(error->message, sizeof error->message, "%s", message);
    return code;
}

enum portolan_code failure_refuse(const char *verb, const char *subject, enum portolan_code code,
                                  const char *why, struct portolan_error *error) {
    struct failure failure = {.code = PORTOLAN_OK};
    char shown[FAILURE_SHOWN_SIZE], message[PORTOLAN_MESSAGE_SIZE];
    failure_show(bytes_of_text(subject != NULL ? subject : ""), shown, sizeof shown);
    failure_note(&failure, code, "%s", why);
    failure_message(&failure, code, verb, shown, message);
    return failure_report(error, code, message);
}

const char *failure_show(struct bytes bytes, char *out, size_t size) {
    struct writer writer = writer_of(out, size - sizeof "...");
    text_write_escaped(&writer, bytes);
    memcpy(out + writer.len, writer.failed ? "..." : "", writer.failed ? sizeof "..." : 1);
    return out;
}

const char *failure_errno(int error, char *out) {
    /* the GNU form, which may leave `out` alone */
    const char *text = strerror_r(error, out, FAILURE_ERRNO_SIZE);
    if (text != out)
        snprintf(out, FAILURE_ERRNO_SIZE, "%s", text);
    return out;
}
