/*
 * Memory that runs out. The core is compiled for the simulator with this file included first, so
 * that its allocations fail when a life says so, and those of the simulator itself do not.
 */
#ifndef SIM_ALLOC_FAILURES_H
#define SIM_ALLOC_FAILURES_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void *failing_malloc(size_t size);
void *failing_calloc(size_t count, size_t size);
void *failing_realloc(void *memory, size_t size);
char *failing_strdup(const char *text);

#ifndef SIM_ALLOC_FAILURES_ITSELF
#define malloc failing_malloc
#define calloc failing_calloc
#define realloc failing_realloc
#undef strdup
#define strdup failing_strdup
#endif

#endif
