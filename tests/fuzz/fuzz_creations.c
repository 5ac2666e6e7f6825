/*
 * Any text as a saved state: never a crash, a state that is accepted saves and restores again, and
 * one that is refused leaves creations that work.
 *
 * The input's first byte says whether the checksum that the text should have is put behind it, for
 * no fuzzer finds that; the second is the clock, in 1/256 of the creations.
 */
#include "fuzz.h"

#include "base/checksum.h"
#include "names/creations.h"

#include <inttypes.h>
#include <string.h>

#define SUM_SIZE 32

static uint8_t first_text[CREATIONS_TEXT_MAX], second_text[CREATIONS_TEXT_MAX];

static struct creations *start(uint8_t clock) {
    struct creations *creations = creations_new((INT64_C(1) << 24) * clock * CREATIONS_TICK_US);
    must(creations != NULL);
    return creations;
}

static struct bytes encode(struct creations *creations, uint8_t *buffer) {
    struct writer writer = writer_of(buffer, CREATIONS_TEXT_MAX);
    must(creations_encode(creations, &writer));
    return writer_bytes(&writer);
}

/* The lines of the older nodes' names: what stands between the second line and the last. */
static struct bytes names_of(struct bytes text) {
    const size_t sum_len = strlen("sum 0123456789abcdef\n");
    struct reader reader = reader_of(bytes_of(text.data, text.len - sum_len));
    for (int line = 0; line < 2; line++) {
        const uint8_t *end = memchr(reader.at, '\n', reader.left);
        must(end != NULL);
        read_bytes(&reader, (size_t)(end - reader.at) + 1);
    }
    return read_rest(&reader);
}

/* A counter at its very end, as only a forged state can have it, saves what is refused again. */
static bool is_at_the_end(struct bytes text) {
    const char *next = (const char *)text.data + strlen("portolan creations 1\nnext ");
    return strtoull(next, NULL, 10) > INT64_MAX;
}

static void check_use(struct creations *creations) {
    uint32_t wide = creations_next(creations, bytes_of_text("new"), 6);
    must(wide >= 4);
    must(creations_next(creations, bytes_of_text("new"), 6) != wide);
    uint32_t old = creations_next(creations, bytes_of_text("old"), 5);
    must(old >= 1 && old <= 3);
    must(creations_next(creations, bytes_of_text("old"), 5) == old % 3 + 1);
    must(creations_unsaved(creations));
}

static void check_state(struct bytes text, uint8_t clock) {
    struct creations *creations = start(clock), *again = start(clock);
    if (creations_restore(creations, text)) {
        struct bytes saved = encode(creations, first_text);
        bool restored = creations_restore(again, saved);
        must(restored || is_at_the_end(saved));
        must(!restored || bytes_equal(names_of(encode(again, second_text)), names_of(saved)));
        check_use(again);
    }
    check_use(creations);
    creations_free(again);
    creations_free(creations);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    const struct bytes body = bytes_of(data + 2, size - 2);
    uint8_t *text = fuzz_copy(body.data, body.len, SUM_SIZE);
    int sum_len = 0;
    if (data[0] % 2 == 1)
        sum_len =
            snprintf((char *)text + body.len, SUM_SIZE, "sum %016" PRIx64 "\n", checksum_of(body));
    uint8_t *exact = fuzz_copy(text, body.len + (size_t)sum_len, 0);
    check_state(bytes_of(exact, body.len + (size_t)sum_len), data[1]);
    free(exact);
    free(text);
    return 0;
}
