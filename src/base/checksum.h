/* A checksum against accidents (torn writes, stray edits), not against people: FNV-1a, 64 bits. */
#ifndef PORTOLAN_BASE_CHECKSUM_H
#define PORTOLAN_BASE_CHECKSUM_H

#include "base/bytes.h"

uint64_t checksum_of(struct bytes bytes);

/* The same of a text that comes in pieces: the sum of nothing, and of what came before and more. */
#define CHECKSUM_OF_NOTHING UINT64_C(0xcbf29ce484222325)
uint64_t checksum_add(uint64_t sum, struct bytes more);

#endif
