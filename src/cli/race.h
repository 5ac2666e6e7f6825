/*
 * One question to several servers side by side, so that one that does not answer costs no time:
 * operations of libportolan (portolan.h), of which the first that succeeds wins.
 *
 * They are in the order of preference. Whoever stands before a winner, or beside one that was told
 * no, has as long again as that took to answer as well, between RACE_GRACE_MIN_MS (after a no
 * RACE_GRACE_MAX_MS) and RACE_GRACE_MAX_MS.
 */
#ifndef PORTOLAN_CLI_RACE_H
#define PORTOLAN_CLI_RACE_H

#include "portolan.h"

#include <stdbool.h>

#define RACE_MAX 5 /* operations */
#define RACE_GRACE_MIN_MS 50
#define RACE_GRACE_MAX_MS 500

struct race {
    struct portolan_operation *operations[RACE_MAX]; /* owned */
    uint16_t ports[RACE_MAX];                        /* that each asks; 0: the control socket */
    enum portolan_code codes[RACE_MAX];              /* how each ended; PENDING: it was left */
    size_t count;
    bool is_elsewhere; /* the daemon of this host does not know for sure that it is not there */
};

/* Runs them to the end. The winner, which is the race's; NULL: `error` says what they all failed
 * of, with the most telling code. */
struct portolan_operation *race_run(struct race *race, struct portolan_error *error);

/* Frees all operations. */
void race_end(struct race *race);

#endif
