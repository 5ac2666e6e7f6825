/* A checksum against accidents (torn writes, stray edits), not against people: FNV-1a, 64 bits. */
#ifndef PORTOLAN_BASE_CHECKSUM_H
#define PORTOLAN_BASE_CHECKSUM_H

#include "base/bytes.h"

uint64_t checksum_of(struct bytes bytes);

#endif
