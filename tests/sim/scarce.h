/*
 * Memory that runs out. The core is compiled for the simulator with this file included first, so
 * that its allocations fail when a life says so, and those of the simulator itself do not.
 */
#ifndef SIM_SCARCE_H
#define SIM_SCARCE_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void *scarce_malloc(size_t size);
void *scarce_calloc(size_t count, size_t size);
void *scarce_realloc(void *memory, size_t size);
char *scarce_strdup(const char *text);

#ifndef SIM_SCARCE_ITSELF
#define malloc scarce_malloc
#define calloc scarce_calloc
#define realloc scarce_realloc
#undef strdup
#define strdup scarce_strdup
#endif

#endif
