#include "failing_allocation.h"

#include <errno.h>
#include <stddef.h>

/* the names are the linker's */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__wrap_strdup(const char *text);

static unsigned until_failure; /* 0: none fails */
static bool failed;

void fail_nth_allocation(unsigned n) {
    until_failure = n;
    failed = false;
}

bool allocation_failed(void) {
    until_failure = 0;
    return failed;
}

static bool fails_now(void) {
    if (until_failure == 0 || --until_failure > 0)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size) {
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails_now() ? NULL : __real_calloc(count, size);
}

char *__wrap_strdup(const char *text) {
    return fails_now() ? NULL : __real_strdup(text);
}
