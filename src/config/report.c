#include "config/report.h"

#include "base/log.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct config_remark {
    struct config_remark *next;
    enum config_remark_kind kind;
    char text[];
};

void config_report_free(struct config_report *report) {
    struct config_remark *remark = report->first;
    while (remark != NULL) {
        struct config_remark *next = remark->next;
        free(remark);
        remark = next;
    }
    memset(report, 0, sizeof *report);
}

static void keep(struct config_report *report, enum config_remark_kind kind, const char *text) {
    size_t size = strlen(text) + 1;
    struct config_remark *remark = malloc(sizeof *remark + size);
    if (remark == NULL)
        return; /* it stays counted */
    remark->next = NULL;
    remark->kind = kind;
    memcpy(remark->text, text, size);
    if (report->last == NULL)
        report->first = remark;
    else
        report->last->next = remark;
    report->last = remark;
}

void config_report_add(struct config_report *report, enum config_remark_kind kind,
                       const char *format, ...) {
    char text[CONFIG_REMARK_SIZE];
    va_list arguments;
    if (report->counts[kind]++ >= CONFIG_REMARKS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    keep(report, kind, text);
}

static const char *const kind_names[CONFIG_REMARK_KINDS] = {"error", "warning", "note"};

void config_report_print(const struct config_report *report, enum config_remark_kind kind,
                         const char *program, FILE *out) {
    size_t printed = 0;
    for (const struct config_remark *at = report->first; at != NULL; at = at->next) {
        if (at->kind != kind)
            continue;
        fprintf(out, "%s: %s\n", program, at->text);
        printed++;
    }
    if (printed < report->counts[kind]) {
        size_t more = report->counts[kind] - printed;
        fprintf(out, "%s: and %zu more %s%s\n", program, more, kind_names[kind],
                more == 1 ? "" : "s");
    }
}

void config_report_errors(const struct config_report *report, char *out, size_t size) {
    struct writer writer = writer_of(out, size - 1);
    for (const struct config_remark *at = report->first; at != NULL; at = at->next) {
        if (at->kind != CONFIG_ERROR)
            continue;
        write_text(&writer, writer.len == 0 ? "" : "; ");
        write_text(&writer, at->text);
    }
    out[writer.len] = '\0';
}

void config_report_log(const struct config_report *report) {
    static const enum log_level levels[CONFIG_REMARK_KINDS] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARN,
                                                               LOG_LEVEL_INFO};
    for (const struct config_remark *at = report->first; at != NULL; at = at->next)
        log_event(levels[at->kind], "configuration", log_text(kind_names[at->kind], at->text));
}

const char *config_quote(const char *value, char *out) {
    struct writer writer = writer_of(out, CONFIG_QUOTE_SIZE - 4);
    size_t len = strlen(value), most = 100;
    text_write_escaped(&writer, bytes_of(value, len < most ? len : most));
    snprintf(out + writer.len, CONFIG_QUOTE_SIZE - writer.len, "%s", len > most ? "..." : "");
    return out;
}
