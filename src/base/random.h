/*
 * A small seeded generator (xoshiro256**, Blackman and Vigna 2018) for choices that need no
 * secrecy: jitter, whom to ask, which link to compare with. The shell seeds it from the system, a
 * test from a number, and then everything that follows can be repeated.
 */
#ifndef PORTOLAN_BASE_RANDOM_H
#define PORTOLAN_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state[4];
};

struct random random_of(uint64_t seed);
uint64_t random_next(struct random *random);

/* 0 … bound - 1; 0 when bound is 0. */
uint64_t random_below(struct random *random, uint64_t bound);

/* min … max */
int64_t random_between(struct random *random, int64_t min, int64_t max);

/* A good mix of one number's bits (splitmix64's): the same in, the same out. */
uint64_t random_mix(uint64_t value);

#endif
