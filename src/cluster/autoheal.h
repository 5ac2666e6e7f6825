/* Autoheal: members that are down or cleaned are called from time to time; a split so heals. */
#ifndef PORTOLAN_CLUSTER_AUTOHEAL_H
#define PORTOLAN_CLUSTER_AUTOHEAL_H

#include "cluster/context.h"

#define HEAL_FIRST_MS 1000     /* between attempts to reach members that are down, growing … */
#define HEAL_LAST_MS 30000     /* … to this, and when all of them have been cleaned … */
#define HEAL_CLEANED_MS 120000 /* … to this */
#define HEAL_AT_ONCE 3         /* members tried at a time */

void autoheal_soon(struct cluster *cluster); /* a member went down */
void autoheal_tick(struct cluster *cluster);

#endif
