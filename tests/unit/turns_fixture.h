/*
 * Turns of the loop with a budget, one by one, for tests of what waits when a turn has no time
 * left. To be included behind a fixture that has `base`.
 */
#ifndef PORTOLAN_TESTS_UNIT_TURNS_FIXTURE_H
#define PORTOLAN_TESTS_UNIT_TURNS_FIXTURE_H

#include "base/turn_budget.h"
#include "sockets_fixture.h"

static struct turn_budget budget;

static void turn(void) {
    turn_budget_renew(&budget);
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* As turn_until. */
#define turns_until(condition)                                                                     \
    do {                                                                                           \
        int64_t until_ = clock_monotonic_ms() + SOCKETS_DEADLINE_MS;                               \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_monotonic_ms() < until_, "never came: %s", #condition);            \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

#endif
