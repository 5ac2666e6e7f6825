#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 512

static void to_standard_error(const char *text) {
    fprintf(stderr, "%s\n", text);
}

static void (*report_to)(const char *text) = to_standard_error;

void assert_report_to(void (*report)(const char *text)) {
    report_to = report != NULL ? report : to_standard_error;
}

void assert_failed(const char *condition, const char *file, int line, const char *function) {
    char text[TEXT_MAX];
    void (*report)(const char *) = report_to;
    report_to = to_standard_error;
    snprintf(text, sizeof text, "%s:%d: %s: assertion failed: %s", file, line, function, condition);
    report(text);
    abort();
}
