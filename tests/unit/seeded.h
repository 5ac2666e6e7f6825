/*
 * Random choices that can be made again: all follow from one seed a run, and each test has a stream
 * of its own, so that it chooses the same whichever tests run beside it.
 */
#ifndef PORTOLAN_TESTS_UNIT_SEEDED_H
#define PORTOLAN_TESTS_UNIT_SEEDED_H

#include "base/bytes.h"

struct seeded {
    uint64_t state;
};

/* Takes the seed from PORTOLAN_TEST_SEED, else from the clock, and returns it. */
uint64_t seeded_begin(void);

struct seeded seeded_stream(const char *name);

uint64_t seeded_next(struct seeded *random);

/* 0 <= result < limit */
size_t seeded_below(struct seeded *random, size_t limit);

/* True this often in a hundred. */
bool seeded_chance(struct seeded *random, unsigned percent);

void seeded_fill(struct seeded *random, uint8_t *buffer, size_t len);

/* UTF-8 of so many characters, none of them NUL, of all lengths; `out` needs 4 bytes for each. */
struct bytes seeded_utf8(struct seeded *random, uint8_t *out, size_t characters);

#endif
