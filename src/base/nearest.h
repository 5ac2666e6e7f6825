/* Of the words that exist, the one that a mistyped word may have meant. */
#ifndef PORTOLAN_BASE_NEAREST_H
#define PORTOLAN_BASE_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *word;
    const char *found; /* NULL while nothing is near enough */
    size_t distance;
};

/* Both words are borrowed. */
struct nearest nearest_to(const char *word);
void nearest_try(struct nearest *nearest, const char *candidate);

#endif
