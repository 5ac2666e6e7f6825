#include "base/log.h"

#include "base/clock.h"
#include "base/log_limits.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

const char *const log_level_names[] = {"error", "warn", "info", "debug", "trace", NULL};
const char *const log_format_names[] = {"text", "json", NULL};

static struct {
    enum log_level level;
    enum log_format format;
    enum log_target target;
    const char *path;
    int fd;
    bool to_journal; /* the console is the journal's: its levels are told in its own way */
    unsigned lost;
} state = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

static struct {
    void (*hook)(void *context);
    void *context;
} suppressed;

/* Opening does not wait for the reader of a FIFO, which may never come; writing does. */
static int open_file(const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
    if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) == 0)
        return fd < 0 ? -errno : fd;
    int error = errno;
    close(fd);
    return -error;
}

/* Whether standard error leads to the journal: JOURNAL_STREAM is its DEVICE:INODE, see
 * systemd.exec(5). */
static bool console_is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char own[64];
    if (stream == NULL || fstat(STDERR_FILENO, &status) < 0)
        return false;
    snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(stream, own) == 0;
}

int log_open(const char *program, enum log_level level, enum log_format format,
             enum log_target target, const char *path) {
    int fd = STDERR_FILENO;
    if (target == LOG_TO_FILE) {
        fd = open_file(path);
        if (fd < 0)
            return fd;
    }
    log_close();
    if (target == LOG_TO_SYSLOG)
        openlog(program, LOG_PID, LOG_DAEMON);
    state.level = level;
    state.format = format;
    state.target = target;
    state.path = path;
    state.fd = fd;
    state.to_journal = target == LOG_TO_CONSOLE && console_is_journal();
    return 0;
}

int log_reopen(void) {
    if (state.target != LOG_TO_FILE)
        return 0;
    int fd = open_file(state.path);
    if (fd < 0)
        return fd;
    close(state.fd);
    state.fd = fd;
    return 0;
}

void log_close(void) {
    log_report_suppressed();
    if (state.target == LOG_TO_FILE)
        close(state.fd);
    if (state.target == LOG_TO_SYSLOG)
        closelog();
    state.target = LOG_TO_CONSOLE;
    state.fd = STDERR_FILENO;
    state.to_journal = false;
}

bool log_enabled(enum log_level level) {
    return level <= state.level;
}

struct log_field log_bytes(const char *key, struct bytes value) {
    struct log_field field = {.key = key, .text = value};
    if (field.text.data == NULL)
        field.text.data = (const uint8_t *)"";
    return field;
}

struct log_field log_text(const char *key, const char *value) {
    return log_bytes(key, bytes_of_text(value));
}

struct log_field log_number(const char *key, int64_t value) {
    return (struct log_field){.key = key, .number = value};
}

/* To the second, which many lines share. */
static const char *time_text(time_t seconds) {
    static time_t written = -1;
    static char text[32];
    struct tm utc;
    if (seconds == written)
        return text;
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    written = seconds;
    return text;
}

static void write_time(struct writer *line) {
    int64_t now_ms = clock_wall_ms();
    int rest_ms = (int)(now_ms % 1000);
    const char rest[] = {'.',
                         (char)('0' + rest_ms / 100),
                         (char)('0' + rest_ms / 10 % 10),
                         (char)('0' + rest_ms % 10),
                         'Z',
                         '\0'};
    write_text(line, time_text((time_t)(now_ms / 1000)));
    write_text(line, rest);
}

static void write_number(struct writer *line, int64_t number) {
    if (number < 0)
        write_u8(line, '-');
    write_decimal(line, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

static void write_quoted(struct writer *line, struct bytes value) {
    write_u8(line, '"');
    text_write_escaped(line, value);
    write_u8(line, '"');
}

/* Text values are bare unless a reader, or a program that splits at blanks, could misread them. */
static bool needs_quotes(struct bytes value) {
    for (size_t i = 0; i < value.len; i++) {
        uint8_t byte = value.data[i];
        if (byte <= ' ' || byte == '"' || byte == '=' || byte == '\\' || byte >= 0x7f)
            return true;
    }
    return value.len == 0;
}

static void write_field_text(struct writer *line, const struct log_field *field) {
    write_u8(line, ' ');
    write_text(line, field->key);
    write_u8(line, '=');
    if (field->text.data == NULL)
        write_number(line, field->number);
    else if (needs_quotes(field->text))
        write_quoted(line, field->text);
    else
        write_bytes(line, field->text);
}

static void write_field_json(struct writer *line, const struct log_field *field) {
    write_text(line, ",\"");
    write_text(line, field->key);
    write_text(line, "\":");
    if (field->text.data == NULL)
        write_number(line, field->number);
    else
        write_quoted(line, field->text);
}

static void write_head(struct writer *line, enum log_level level, const char *event) {
    bool json = state.format == LOG_FORMAT_JSON;
    /* syslog stamps its lines itself */
    if (json) {
        write_text(line, "{\"time\":\"");
        write_time(line);
        write_text(line, "\",\"level\":\"");
        write_text(line, log_level_names[level]);
        write_text(line, "\",\"event\":\"");
        write_text(line, event);
        write_text(line, "\"");
        return;
    }
    if (state.target != LOG_TO_SYSLOG) {
        write_time(line);
        write_u8(line, ' ');
    }
    write_text(line, log_level_names[level]);
    write_u8(line, ' ');
    write_text(line, event);
}

static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_DEBUG};

/* "<4>", which the journal takes off and keeps as the line's priority: sd-daemon(3). */
static void write_priority(struct writer *line, enum log_level level) {
    if (!state.to_journal)
        return;
    write_u8(line, '<');
    write_u8(line, (uint8_t)('0' + priorities[level]));
    write_u8(line, '>');
}

static void emit(enum log_level level, const uint8_t *line, size_t len) {
    if (state.target == LOG_TO_SYSLOG) {
        syslog(priorities[level], "%.*s", (int)len, (const char *)line);
        return;
    }
    if (write(state.fd, line, len) != (ssize_t)len)
        state.lost++;
}

static void write_line(enum log_level level, const char *event, const struct log_field *fields,
                       size_t count);

static void report_lost(void) {
    unsigned lost = state.lost;
    state.lost = 0;
    const struct log_field count = log_number("lines", lost);
    write_line(LOG_LEVEL_WARN, "log_lines_lost", &count, 1);
    if (state.lost > 0)
        state.lost = lost;
}

static void write_line(enum log_level level, const char *event, const struct log_field *fields,
                       size_t count) {
    uint8_t buffer[LOG_LINE_MAX];
    /* a field that does not fit is left out whole; room is kept for what must close the line */
    struct writer line = writer_of(buffer, sizeof buffer - 2);
    if (state.lost > 0)
        report_lost();
    write_priority(&line, level);
    write_head(&line, level, event);
    for (size_t i = 0; i < count; i++) {
        struct writer before = line;
        if (state.format == LOG_FORMAT_JSON)
            write_field_json(&line, &fields[i]);
        else
            write_field_text(&line, &fields[i]);
        if (line.failed)
            line = before;
    }
    line.capacity = sizeof buffer;
    if (state.format == LOG_FORMAT_JSON)
        write_u8(&line, '}');
    if (state.target != LOG_TO_SYSLOG)
        write_u8(&line, '\n');
    emit(level, line.start, line.len);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count) {
    if (log_limits_allow(event, level >= LOG_LEVEL_DEBUG, clock_monotonic_ms()))
        write_line(level, event, fields, count);
    else if (suppressed.hook != NULL)
        suppressed.hook(suppressed.context);
}

void log_on_suppressed(void (*hook)(void *context), void *context) {
    suppressed.hook = hook;
    suppressed.context = context;
}

void log_report_suppressed(void) {
    const char *event;
    uint64_t lines;
    while (log_limits_next_suppressed(&event, &lines)) {
        const struct log_field fields[] = {log_text("kind", event),
                                           log_number("lines", (int64_t)lines)};
        if (log_enabled(LOG_LEVEL_WARN))
            write_line(LOG_LEVEL_WARN, "log_lines_held_back", fields, 2);
    }
}
