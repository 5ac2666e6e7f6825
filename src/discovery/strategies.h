/* The strategies, each in the file of its name. */
#ifndef PORTOLAN_DISCOVERY_STRATEGIES_H
#define PORTOLAN_DISCOVERY_STRATEGIES_H

#include "discovery/discovery.h"

extern const struct discovery_strategy discovery_static;

#endif
