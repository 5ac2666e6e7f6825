/* Named scenarios (scenarios.c) and large clusters (scale.c). */
#ifndef SIM_SCENARIOS_H
#define SIM_SCENARIOS_H

#include <stdint.h>

/* All, or the one of this name; adds to the counts. */
void scenarios_run(const char *name, uint64_t *passed, uint64_t *failed);

/* Prints a row of docs/scale.md; 0 when all went well. */
int scale_run(int members);

#endif
