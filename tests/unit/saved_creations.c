#include "saved_creations.h"

#include "base/checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct creations *creations_at(int64_t number) {
    struct creations *creations = creations_new(number * CREATIONS_TICK_US);
    ck_assert_ptr_nonnull(creations);
    return creations;
}

void saved_creations_take(struct saved_creations *saved, struct creations *creations) {
    struct writer writer = writer_of(saved->text, sizeof saved->text);
    ck_assert(creations_encode(creations, &writer));
    saved->len = writer.len;
    creations_saved(creations);
}

void saved_creations_of(struct saved_creations *saved, const char *body) {
    int len = snprintf((char *)saved->text, sizeof saved->text, "%ssum %016" PRIx64 "\n", body,
                       checksum_of(bytes_of_text(body)));
    saved->len = (size_t)len;
}

bool saved_creations_restore(const struct saved_creations *saved, struct creations *creations) {
    uint8_t *copy = malloc(saved->len == 0 ? 1 : saved->len);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, saved->text, saved->len);
    bool restored = creations_restore(creations, bytes_of(copy, saved->len));
    free(copy);
    return restored;
}
