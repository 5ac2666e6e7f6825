/*
 * The time that those who have much to do may take in one turn of the event loop, all together.
 *
 * Thousands of sockets may be ready in one turn, and nobody else is served before the last of them.
 * So each asks before it does its work, and leaves it for a later turn when the time is spent: its
 * socket is reported again then. Whoever was put off goes before those who were served: nobody has
 * a second time before all who asked have had their first, which is called a round.
 *
 * Time is the clock's: where this process has lost its CPU a turn does less, and is followed by
 * another.
 */
#ifndef PORTOLAN_BASE_TURN_BUDGET_H
#define PORTOLAN_BASE_TURN_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define TURN_BUDGET_US 4000

/* All zeros but for limit_us. */
struct turn_budget {
    int64_t limit_us;
    int64_t until_us; /* 0: nobody has asked in this turn */
    uint32_t round;
    bool late; /* somebody was put off who had not been served in this round */
};

/* A turn of the loop has ended. */
void turn_budget_renew(struct turn_budget *budget);

/* Whether there is time left in this turn. The first who asks in a turn has it always. Without a
 * budget (NULL) there is always time, here and below. */
bool turn_budget_is_left(struct turn_budget *budget);

/*
 * Whether one of many may do its work now. `served` is its own, 0 at first, and tells when it was
 * served last.
 */
bool turn_budget_allows(struct turn_budget *budget, uint32_t *served);

#endif
