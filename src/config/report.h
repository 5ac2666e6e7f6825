/*
 * What is to be said about a configuration: errors, warnings and notes, each one sentence that
 * begins with where it is about ("emqx.conf:12: ").
 */
#ifndef PORTOLAN_CONFIG_REPORT_H
#define PORTOLAN_CONFIG_REPORT_H

#include <stddef.h>
#include <stdio.h>

enum config_remark_kind { CONFIG_ERROR, CONFIG_WARNING, CONFIG_NOTE };
#define CONFIG_REMARK_KINDS 3

/* Of each kind so many are kept; more are counted. */
#define CONFIG_REMARKS_MAX 20
#define CONFIG_REMARK_SIZE 1024

struct config_remark;

/* All zeros is an empty report. */
struct config_report {
    struct config_remark *first, *last;
    size_t counts[CONFIG_REMARK_KINDS]; /* by enum config_remark_kind; those not kept included */
};

void config_report_free(struct config_report *report);

void config_report_add(struct config_report *report, enum config_remark_kind kind,
                       const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Prints those of one kind, a line each, behind "PROGRAM: ". */
void config_report_print(const struct config_report *report, enum config_remark_kind kind,
                         const char *program, FILE *out);

/* The errors as one text, cut to `size`. */
void config_report_errors(const struct config_report *report, char *out, size_t size);

/* Logs all of it. */
void config_report_log(const struct config_report *report);

/* A value that a person wrote, cut and made printable, for the middle of a sentence. */
#define CONFIG_QUOTE_SIZE 256
const char *config_quote(const char *value, char *out);

#endif
