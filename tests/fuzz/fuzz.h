/*
 * What the fuzz targets share. Each is one file, linked with the core and with libFuzzer; a target
 * fails when a sanitizer does, or when something does not hold that `must`.
 */
#ifndef PORTOLAN_TESTS_FUZZ_FUZZ_H
#define PORTOLAN_TESTS_FUZZ_FUZZ_H

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))

_Noreturn static inline void fuzz_failed(const char *condition, const char *file, int line) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* Memory of exactly this length, so that a sanitizer sees who reads past it. To be freed. */
static inline uint8_t *fuzz_copy(const void *data, size_t len, size_t more) {
    uint8_t *copy = malloc(len + more == 0 ? 1 : len + more);
    must(copy != NULL);
    for (size_t i = 0; i < len; i++)
        copy[i] = ((const uint8_t *)data)[i];
    return copy;
}

#endif
