/*
 * Random choices that can be made again: all follow from one seed a run, and each test has a stream
 * of its own, so that it chooses the same whichever tests run beside it.
 */
#ifndef PORTOLAN_TESTS_UNIT_RANDOM_H
#define PORTOLAN_TESTS_UNIT_RANDOM_H

#include "base/bytes.h"

struct random {
    uint64_t state;
};

/* Takes the seed from PORTOLAN_TEST_SEED, else from the clock, and returns it. */
uint64_t random_begin(void);

struct random random_stream(const char *name);

uint64_t random_next(struct random *random);

/* 0 <= result < limit */
size_t random_below(struct random *random, size_t limit);

/* True this often in a hundred. */
bool random_chance(struct random *random, unsigned percent);

void random_fill(struct random *random, uint8_t *buffer, size_t len);

/* UTF-8 of so many characters, none of them NUL, of all lengths; `out` needs 4 bytes for each. */
struct bytes random_utf8(struct random *random, uint8_t *out, size_t characters);

#endif
