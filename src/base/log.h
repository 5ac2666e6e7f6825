/*
 * The log: one line an event, to the console, syslog or a file, as text or JSON.
 *
 *   2026-03-01T10:20:30.123Z info registered name=rabbit port=25672 creation=1772360430
 *   {"time":"2026-03-01T10:20:30.123Z","level":"info","event":"registered","name":"rabbit",...}
 *
 * Values come from peers: they are escaped (base/text) and a line is cut at LOG_LINE_MAX bytes. A
 * line that cannot be written (disk full) is counted, and the count is logged when writing works
 * again. The one global state of the program lives here; it is not for threads.
 */
#ifndef PORTOLAN_BASE_LOG_H
#define PORTOLAN_BASE_LOG_H

#include "base/bytes.h"

#define LOG_LINE_MAX 4096

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_TRACE
};
enum log_target { LOG_TO_CONSOLE, LOG_TO_SYSLOG, LOG_TO_FILE };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

extern const char *const log_level_names[]; /* by enum log_level, NULL at the end */
extern const char *const log_format_names[];

/*
 * Starts logging. `program` is the name syslog shows; `path` is for LOG_TO_FILE alone; both are
 * borrowed for as long as the program logs. 0, or -errno when the file cannot be opened for
 * appending: then nothing is changed. Before the first call everything down to info goes to the
 * console as text.
 */
int log_open(const char *program, enum log_level level, enum log_format format,
             enum log_target target, const char *path);

/* Opens the log file anew, after it was rotated away. 0 or -errno (the old file stays in use). */
int log_reopen(void);

void log_close(void);

bool log_enabled(enum log_level level);

struct log_field {
    const char *key;
    struct bytes text; /* data == NULL: the number counts */
    int64_t number;
};

struct log_field log_bytes(const char *key, struct bytes value);
struct log_field log_text(const char *key, const char *value);
struct log_field log_number(const char *key, int64_t value);

/* Writes one line whatever the level, unless there were too many of its kind; log_event is how to
 * call it. `event` is borrowed for good. */
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

/* log_event(LOG_LEVEL_INFO, "registered", log_bytes("name", name), log_number("port", port)); */
#define log_event(level, event, ...)                                                               \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct log_field log_fields_[] = {__VA_ARGS__};                                  \
            log_write(level, event, log_fields_, sizeof log_fields_ / sizeof log_fields_[0]);      \
        }                                                                                          \
    } while (0)

/*
 * So many lines of a kind are written and no more (base/log_limits). `hook` is called for each that
 * is held back: its owner calls log_report_suppressed some time later, LOG_REPORT_MS at most, and
 * one line for each kind says how many there were. log_close does so too.
 */
void log_on_suppressed(void (*hook)(void *context), void *context);
void log_report_suppressed(void);

#endif
