/* The saved state of creations in memory, and the tests of lives that need it. */
#ifndef PORTOLAN_TESTS_UNIT_SAVED_CREATIONS_H
#define PORTOLAN_TESTS_UNIT_SAVED_CREATIONS_H

#include "names/creations.h"

#include <check.h>

struct saved_creations {
    size_t len;
    uint8_t text[CREATIONS_TEXT_MAX];
};

/* Creations of a daemon that starts when the clock stands at this number. */
struct creations *creations_at(int64_t number);

/* As a daemon saves. */
void saved_creations_take(struct saved_creations *saved, struct creations *creations);

/* A text of the caller's, with the checksum that it should have. */
void saved_creations_of(struct saved_creations *saved, const char *body);

/* Hands over a copy that is exactly as long, for sanitizers to watch its ends. */
bool saved_creations_restore(const struct saved_creations *saved, struct creations *creations);

/* In creations_lives.c: random registrations, saves and crashes. */
void creations_lives_add(TCase *tests);

#endif
