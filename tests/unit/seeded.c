#include "seeded.h"

#include "base/checksum.h"
#include "utf8_oracle.h"

#include <stdlib.h>
#include <time.h>

static uint64_t run_seed;

uint64_t seeded_begin(void) {
    const char *wanted = getenv("PORTOLAN_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t clock_seed = ((uint64_t)now.tv_sec << 20) ^ (uint64_t)now.tv_nsec;
    run_seed = wanted != NULL ? strtoull(wanted, NULL, 10) : clock_seed;
    return run_seed;
}

struct seeded seeded_stream(const char *name) {
    return (struct seeded){.state = run_seed ^ checksum_of(bytes_of_text(name))};
}

/* splitmix64 */
uint64_t seeded_next(struct seeded *random) {
    uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

size_t seeded_below(struct seeded *random, size_t limit) {
    return (size_t)(seeded_next(random) % limit);
}

bool seeded_chance(struct seeded *random, unsigned percent) {
    return seeded_below(random, 100) < percent;
}

void seeded_fill(struct seeded *random, uint8_t *buffer, size_t len) {
    for (size_t i = 0; i < len; i++)
        buffer[i] = (uint8_t)seeded_next(random);
}

static uint32_t random_code_point(struct seeded *random) {
    static const uint32_t firsts[] = {1, 0x80, 0x800, 0x10000};
    static const uint32_t ends[] = {0x80, 0x800, 0x10000, 0x110000};
    size_t width = seeded_below(random, 4);
    uint32_t span = ends[width] - firsts[width];
    uint32_t chosen = firsts[width] + (uint32_t)seeded_below(random, span);
    return chosen >= 0xd800 && chosen < 0xe000 ? 0xfffd : chosen;
}

struct bytes seeded_utf8(struct seeded *random, uint8_t *out, size_t characters) {
    size_t len = 0;
    for (size_t i = 0; i < characters; i++)
        len += utf8_encode(random_code_point(random), out + len);
    return bytes_of(out, len);
}
