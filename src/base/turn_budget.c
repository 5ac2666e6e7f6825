#include "base/turn_budget.h"

#include "base/clock.h"

#include <stddef.h>

void turn_budget_renew(struct turn_budget *budget) {
    budget->until_us = 0;
    if (!budget->late)
        budget->round++;
    budget->late = false;
}

bool turn_budget_is_left(struct turn_budget *budget) {
    if (budget == NULL)
        return true;
    int64_t now_us = clock_monotonic_us();
    if (budget->until_us != 0)
        return now_us < budget->until_us;
    budget->until_us = now_us + budget->limit_us;
    return true;
}

bool turn_budget_allows(struct turn_budget *budget, uint32_t *served) {
    if (budget == NULL)
        return true;
    uint32_t now = budget->round + 1; /* never that of who was not served yet, but once in 2^32 */
    if (*served == now)
        return false;
    if (!turn_budget_is_left(budget)) {
        budget->late = true;
        return false;
    }
    *served = now;
    return true;
}
