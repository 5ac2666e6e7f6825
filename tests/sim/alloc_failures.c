#define SIM_ALLOC_FAILURES_ITSELF
#include "alloc_failures.h"

#include "world.h"

static struct random chance;
static unsigned one_in; /* 0: memory is plenty */

void alloc_failures_begin(uint64_t seed, unsigned fails_one_in) {
    chance = random_of(seed);
    one_in = fails_one_in;
}

static bool is_out(void) {
    return one_in > 0 && random_below(&chance, one_in) == 0;
}

void *failing_malloc(size_t size) {
    return is_out() ? NULL : malloc(size);
}

void *failing_calloc(size_t count, size_t size) {
    return is_out() ? NULL : calloc(count, size);
}

void *failing_realloc(void *memory, size_t size) {
    return is_out() ? NULL : realloc(memory, size);
}

char *failing_strdup(const char *text) {
    return is_out() ? NULL : strdup(text);
}
