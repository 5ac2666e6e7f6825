/* A directory of a test's own, under $TMPDIR or /tmp. */
#ifndef PORTOLAN_TESTS_UNIT_SCRATCH_H
#define PORTOLAN_TESTS_UNIT_SCRATCH_H

#include "base/bytes.h"

struct scratch {
    char directory[128];
    char path[256]; /* of the last scratch_path */
};

void scratch_make(struct scratch *scratch);

/* Removes it and all that is in it. */
void scratch_remove(const struct scratch *scratch);

/* The path of a name in the directory, good until the next call. */
const char *scratch_path(struct scratch *scratch, const char *name);

bool scratch_has(struct scratch *scratch, const char *name);
void scratch_write(struct scratch *scratch, const char *name, struct bytes content);

/* The file's content as far as it fits; empty when there is no such file. */
struct bytes scratch_read(struct scratch *scratch, const char *name, void *buffer, size_t size);

#endif
