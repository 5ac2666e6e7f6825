/* portolan_watch_...: the events of this host's portoland, one after the other. */
#include "base/clock.h"
#include "base/control_protocol.h"
#include "client/control.h"
#include "client/json_view.h"
#include "client/poller.h"
#include "client/roundtrip.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* No event is longer than that; more may wait to be read. */
#define BUFFER_MAX (4 * CONTROL_LINE_MAX)

#define RETRY_FIRST_MS 1
#define RETRY_MAX_MS 64

static const char request[] = "{\"v\":" CONTROL_PROTOCOL_VERSION_TEXT ","
                              "\"command\":\"watch\"}\n";

struct portolan_watch {
    struct poller poller;
    struct roundtrip roundtrip;
    char path[PORTOLAN_CONTROL_SOCKET_SIZE];
    int64_t timeout_ms;
    int64_t deadline_ms; /* of the beginning */
    int64_t retry_at_ms; /* 0: connected */
    int64_t backoff_ms;
    bool has_begun;
    size_t scanned, taken;   /* of what has come; the last event, which the program has seen */
    enum portolan_code code; /* PENDING until it has ended */
    struct failure failure;
    struct portolan_event event;
    char texts[CONTROL_LINE_MAX + 64]; /* the event's, each with its NUL, and its line */
};

static enum portolan_code end(struct portolan_watch *watch, enum portolan_code code,
                              const char *why) {
    char shown[FAILURE_SHOWN_SIZE];
    poller_forget(&watch->poller);
    roundtrip_close(&watch->roundtrip);
    if (why != NULL)
        failure_note(&watch->failure, code, "portoland at %s %s",
                     failure_show(bytes_of_text(watch->path), shown, sizeof shown), why);
    watch->code = watch->failure.code;
    (void)poller_wake_at(&watch->poller, 1);
    return watch->code;
}

static enum portolan_code end_for_error(struct portolan_watch *watch, int error) {
    char text[FAILURE_ERRNO_SIZE], why[FAILURE_ERRNO_SIZE + 32] = "cannot be reached: ";
    enum portolan_code code =
        error == ENOMEM                                                ? PORTOLAN_ERROR_MEMORY
        : error == EMFILE || error == ENFILE || error == ENOBUFS       ? PORTOLAN_ERROR_SYSTEM
        : error == ENOENT || error == ENOTDIR || error == ECONNREFUSED ? PORTOLAN_ERROR_NO_DAEMON
        : error == EACCES || error == EPERM                            ? PORTOLAN_ERROR_DENIED
                                                                       : PORTOLAN_ERROR_CLOSED;
    strcat(why, failure_errno(error, text));
    return end(watch, code, why);
}

/* It cannot be waited for. */
static enum portolan_code end_no_resource(struct portolan_watch *watch, int error) {
    return end(watch, error == ENOMEM ? PORTOLAN_ERROR_MEMORY : PORTOLAN_ERROR_SYSTEM,
               "cannot be waited for");
}

/* --- the connection --- */

/* As an operation does with a daemon that is there but busy. */
static void try_later(struct portolan_watch *watch) {
    poller_forget(&watch->poller);
    roundtrip_close(&watch->roundtrip);
    watch->retry_at_ms = clock_monotonic_ms() + watch->backoff_ms;
    watch->backoff_ms = 2 * watch->backoff_ms > RETRY_MAX_MS ? RETRY_MAX_MS : 2 * watch->backoff_ms;
}

static void connect_to_daemon(struct portolan_watch *watch) {
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    memcpy(peer.sun_path, watch->path, sizeof peer.sun_path);
    watch->retry_at_ms = 0;
    watch->scanned = watch->taken = 0;
    int error = roundtrip_open(&watch->roundtrip, (const struct sockaddr *)&peer, sizeof peer,
                               bytes_of_text(request), BUFFER_MAX);
    if (error == -EAGAIN)
        try_later(watch);
    else if (error != 0)
        end_for_error(watch, -error);
}

/* Reads what there is. Whether it read anything. */
static bool receive(struct portolan_watch *watch) {
    bool is_fresh = watch->roundtrip.reply_len == 0 && !watch->has_begun;
    enum roundtrip_event event = roundtrip_step(&watch->roundtrip);
    int error = watch->roundtrip.error;
    switch (event) {
    case ROUNDTRIP_WAIT:
        break;
    case ROUNDTRIP_RECEIVED:
        return true;
    case ROUNDTRIP_ENDED:
        error = ECONNRESET;
        /* fall through */
    case ROUNDTRIP_FAILED:
        if (is_fresh && (error == ECONNRESET || error == EPIPE))
            try_later(watch);
        else if (error == ECONNRESET || error == EPIPE)
            end(watch, PORTOLAN_ERROR_CLOSED, "closed the connection");
        else
            end_for_error(watch, error);
        break;
    case ROUNDTRIP_TOO_LARGE:
        end(watch, PORTOLAN_ERROR_TOO_LARGE, "sent a line that is too long");
        break;
    case ROUNDTRIP_NO_MEMORY:
        end(watch, PORTOLAN_ERROR_MEMORY, "cannot be watched: out of memory");
        break;
    }
    return false;
}

/* --- events --- */

/* Copies a text of the event behind those that are there; "" where there is none. */
static const char *take_text(struct bytes line, const char *key, struct writer *texts) {
    struct bytes value = json_view_member(line, key);
    char *at = (char *)texts->start + texts->len;
    size_t room = texts->capacity - texts->len;
    if (room == 0 || !json_view_text(value, at, room))
        return "";
    texts->len += strlen(at) + 1;
    return at;
}

static uint32_t take_number(struct bytes line, const char *key, uint32_t max) {
    int64_t number = 0;
    json_view_integer(json_view_member(line, key), 0, max, &number);
    return (uint32_t)number;
}

/* The line stands in the buffer of the connection, its end is made a NUL. */
static bool take_event(struct portolan_watch *watch, struct bytes line) {
    struct writer texts = writer_of(watch->texts, sizeof watch->texts);
    struct portolan_event *event = &watch->event;
    if (!json_view_check(line))
        return false;
    *event = (struct portolan_event){
        .type = take_text(line, "event", &texts),
        .at = take_text(line, "at", &texts),
        .name = take_text(line, "name", &texts),
        .member = take_text(line, "member", &texts),
        .reason = take_text(line, "reason", &texts),
        .port = (uint16_t)take_number(line, "port", UINT16_MAX),
        .front_port = (uint16_t)take_number(line, "front_port", UINT16_MAX),
        .creation = take_number(line, "creation", UINT32_MAX),
        .json = (const char *)line.data,
    };
    if (event->reason[0] == '\0')
        event->reason = take_text(line, "cause", &texts);
    return event->type[0] != '\0';
}

/* Forgets the last event. */
static void drop_taken(struct portolan_watch *watch) {
    if (watch->taken > 0)
        roundtrip_consume(&watch->roundtrip, watch->taken);
    watch->taken = 0;
}

/* Whether there is a line; then OK, PENDING (it was not an event, but the beginning), or an end. */
static bool next_line(struct portolan_watch *watch, enum portolan_code *code) {
    struct bytes reply = roundtrip_reply(&watch->roundtrip);
    size_t len = control_line_len(reply, &watch->scanned);
    if (len == 0)
        return false;
    watch->scanned = 0;
    watch->taken = len;
    watch->roundtrip.reply[len - 1] = '\0';
    struct bytes line = bytes_of(reply.data, len - 1);
    *code = PORTOLAN_PENDING;
    if (!watch->has_begun) {
        *code = control_parse_ok(line, &watch->failure);
        watch->has_begun = *code == PORTOLAN_OK;
        *code = watch->has_begun ? PORTOLAN_PENDING : end(watch, *code, NULL);
    } else if (len > CONTROL_LINE_MAX || !take_event(watch, line)) {
        *code = end(watch, PORTOLAN_ERROR_REPLY, "sent an invalid event");
    } else {
        *code = PORTOLAN_OK;
    }
    return true;
}

/* --- for programs --- */

static void check_time(struct portolan_watch *watch) {
    int64_t now_ms = clock_monotonic_ms();
    if (watch->has_begun)
        return;
    if (now_ms >= watch->deadline_ms)
        end(watch, PORTOLAN_ERROR_TIMEOUT,
            watch->retry_at_ms != 0 ? "is busy and accepted no connection in time"
                                    : "did not reply in time");
    else if (watch->retry_at_ms != 0 && now_ms >= watch->retry_at_ms)
        connect_to_daemon(watch);
}

static void wait_for_more(struct portolan_watch *watch) {
    int64_t wake_at_ms = watch->has_begun          ? INT64_MAX / 1000000
                         : watch->retry_at_ms == 0 ? watch->deadline_ms
                                                   : watch->retry_at_ms;
    int error = watch->retry_at_ms != 0 ? 0
                                        : poller_watch(&watch->poller, watch->roundtrip.fd,
                                                       roundtrip_interest(&watch->roundtrip));
    if (error == 0)
        error = poller_wake_at(&watch->poller, wake_at_ms);
    if (error != 0)
        end_no_resource(watch, -error);
}

/* OK with an event, PENDING, or how it ended. */
static enum portolan_code advance(struct portolan_watch *watch) {
    enum portolan_code code = PORTOLAN_PENDING;
    drop_taken(watch);
    do {
        while (watch->code == PORTOLAN_PENDING && next_line(watch, &code)) {
            if (code != PORTOLAN_PENDING)
                return code;
            drop_taken(watch);
        }
    } while (watch->code == PORTOLAN_PENDING && watch->retry_at_ms == 0 && receive(watch));
    if (watch->code == PORTOLAN_PENDING)
        check_time(watch);
    if (watch->code == PORTOLAN_PENDING)
        wait_for_more(watch);
    return watch->code;
}

static enum portolan_code report(struct portolan_watch *watch, struct portolan_error *error) {
    char message[PORTOLAN_MESSAGE_SIZE];
    failure_message(&watch->failure, watch->code, "watch", "this host", message);
    return failure_report(error, watch->code, message);
}

enum portolan_code portolan_watch_next(struct portolan_watch *watch,
                                       const struct portolan_event **event,
                                       struct portolan_error *error) {
    enum portolan_code code = watch->code;
    *event = NULL;
    if (code == PORTOLAN_PENDING)
        code = advance(watch);
    if (code == PORTOLAN_OK)
        *event = &watch->event;
    if (code == PORTOLAN_OK || code == PORTOLAN_PENDING)
        return failure_report(error, code, "");
    return report(watch, error);
}

enum portolan_code portolan_watch_start(const struct portolan_options *options,
                                        struct portolan_watch **watch,
                                        struct portolan_error *error) {
    struct settings settings;
    *watch = NULL;
    const char *wrong = settings_from(options, &settings);
    if (wrong != NULL)
        return failure_refuse("watch", "this host", PORTOLAN_ERROR_ARGUMENT, wrong, error);
    struct portolan_watch *made = calloc(1, sizeof *made);
    if (made == NULL)
        return failure_refuse("watch", "this host", PORTOLAN_ERROR_MEMORY, "out of memory", error);
    made->code = PORTOLAN_PENDING;
    memcpy(made->path, settings.control_socket, sizeof made->path);
    made->deadline_ms = clock_monotonic_ms() + settings.deadline_ms;
    made->backoff_ms = RETRY_FIRST_MS;
    poller_init(&made->poller);
    roundtrip_init(&made->roundtrip);
    int opened = poller_open(&made->poller);
    if (opened != 0) {
        end_no_resource(made, -opened);
        enum portolan_code code = report(made, error);
        portolan_watch_free(made);
        return code;
    }
    connect_to_daemon(made);
    if (made->code == PORTOLAN_PENDING)
        advance(made);
    *watch = made;
    return failure_report(error, PORTOLAN_OK, "");
}

int portolan_watch_descriptor(const struct portolan_watch *watch) {
    return watch->poller.epoll_fd;
}

bool portolan_watch_has_begun(const struct portolan_watch *watch) {
    return watch->has_begun;
}

void portolan_watch_free(struct portolan_watch *watch) {
    if (watch == NULL)
        return;
    poller_close(&watch->poller);
    roundtrip_close(&watch->roundtrip);
    free(watch);
}
