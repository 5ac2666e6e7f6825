/*
 * Creations: the numbers that distinguish incarnations of a node name.
 *
 * Nodes of distribution version 6 and up get 32-bit creations, from one counter for all names. It
 * starts at the clock, in ticks of CREATIONS_TICK_US, or at what the last run left, whichever is
 * more; its low 32 bits, 4 … 2^32-1, are the creation, so that two lives share one only by the
 * chance of being apart by a multiple of 38 hours to the tick. Older nodes have two bits only, 1 …
 * 3: for them the last one given to each of the last CREATIONS_OLD_NAMES names is kept, and the
 * next follows it.
 *
 * Surviving a crash without a write for each registration: the counter's numbers are reserved in
 * blocks. The saved state says "start at N", and N lies ahead of all numbers handed out; long
 * before they come near it, creations_unsaved() turns true and the owner writes creations_encode()
 * somewhere safe, then says creations_saved(). Meanwhile numbers of the old block are handed out;
 * creations_is_kept() says whether a number may be told. Where nothing can be saved the clock alone
 * keeps lives apart: it has moved on by the time a daemon is back.
 */
#ifndef PORTOLAN_NAMES_CREATIONS_H
#define PORTOLAN_NAMES_CREATIONS_H

#include "base/bytes.h"

#define CREATIONS_OLD_NAMES 1000
#define CREATIONS_BLOCK 16384
#define CREATIONS_BLOCK_LEFT 12288 /* when the next block is reserved */

struct creations;

/* No daemon registers faster than this, so that without a saved state the clock is ahead all the
 * same. */
#define CREATIONS_TICK_US 32

/* `clock_us`: microseconds since 1970. NULL when out of memory. */
struct creations *creations_new(int64_t clock_us);
void creations_free(struct creations *creations);

/*
 * The creation of a new life of `name`, a node of this highest distribution version. Out of memory
 * it still answers, but may forget what an older node's name had.
 */
uint32_t creations_next(struct creations *creations, struct bytes name, uint16_t highest_version);

/* Whether the state must be saved again before a crash could repeat a creation. */
bool creations_unsaved(const struct creations *creations);

/* Whether the creation that was given last, to a node of this highest distribution version, cannot
 * be repeated after a crash. */
bool creations_is_kept(const struct creations *creations, uint16_t highest_version);

/* The state as text, into a buffer of the owner's; false when it does not fit. */
#define CREATIONS_TEXT_MAX (128 + CREATIONS_OLD_NAMES * (8 + 2 * 1020))
bool creations_encode(struct creations *creations, struct writer *writer);

/* What was encoded last is safe now. */
void creations_saved(struct creations *creations);

/* Takes over a saved state: to be called once, before the first creations_next. False: damaged
 * text. */
bool creations_restore(struct creations *creations, struct bytes text);

/* NULL, or what does not hold inside that must: for tests, for it walks over everything. */
const char *creations_check(const struct creations *creations);

#endif
