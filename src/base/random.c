#include "base/random.h"

uint64_t random_mix(uint64_t value) {
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

struct random random_of(uint64_t seed) {
    struct random random;
    for (int i = 0; i < 4; i++)
        random.state[i] = random_mix(seed += UINT64_C(0x9e3779b97f4a7c15));
    return random;
}

static uint64_t rotate(uint64_t value, int bits) {
    return value << bits | value >> (64 - bits);
}

uint64_t random_next(struct random *random) {
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t bound) {
    return bound == 0 ? 0 : random_next(random) % bound;
}

int64_t random_between(struct random *random, int64_t min, int64_t max) {
    return min + (int64_t)random_below(random, (uint64_t)(max - min) + 1);
}
