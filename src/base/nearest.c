#include "base/nearest.h"

#include <string.h>

#define WORD_MAX 63
#define FAR 4

static size_t smallest(size_t a, size_t b, size_t c) {
    size_t smaller = a < b ? a : b;
    return smaller < c ? smaller : c;
}

/* How many letters to change, insert, drop or swap with their neighbour. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t table[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                table[i][j] = i + j;
                continue;
            }
            size_t same = a[i - 1] == b[j - 1] ? 0 : 1;
            table[i][j] =
                smallest(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                table[i - 2][j - 2] + 1 < table[i][j])
                table[i][j] = table[i - 2][j - 2] + 1;
        }
    }
    return table[a_len][b_len];
}

struct nearest nearest_to(const char *word) {
    size_t len = strlen(word);
    size_t far = len < 3 ? 2 : len / 3 + 2;
    return (struct nearest){.word = word, .distance = far < FAR ? far : FAR};
}

void nearest_try(struct nearest *nearest, const char *candidate) {
    size_t word_len = strlen(nearest->word), len = strlen(candidate);
    if (word_len > WORD_MAX || len > WORD_MAX)
        return;
    /* the beginning of a word means that word */
    size_t apart = word_len > 1 && strncmp(nearest->word, candidate, word_len) == 0
                       ? 1
                       : distance(nearest->word, word_len, candidate, len);
    if (apart < nearest->distance) {
        nearest->distance = apart;
        nearest->found = candidate;
    }
}
