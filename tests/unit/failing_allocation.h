/*
 * Allocations that fail when a test wants them to. The test program is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=strdup.
 *
 *   for (unsigned n = 1;; n++) {
 *       fail_nth_allocation(n);
 *       ... the call under test, and no assertion: check itself allocates ...
 *       if (!allocation_failed())
 *           break;    n is beyond what the call allocates
 *       ... assert what must hold after the failure ...
 *   }
 */
#ifndef PORTOLAN_TESTS_UNIT_FAILING_ALLOCATION_H
#define PORTOLAN_TESTS_UNIT_FAILING_ALLOCATION_H

#include <stdbool.h>

/* 1: the next one. */
void fail_nth_allocation(unsigned n);

/* Whether it came to that; all succeed from here on. */
bool allocation_failed(void);

#endif
