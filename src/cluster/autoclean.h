/* Autoclean: who has been down for long leaves the list; a day later it is forgotten. */
#ifndef PORTOLAN_CLUSTER_AUTOCLEAN_H
#define PORTOLAN_CLUSTER_AUTOCLEAN_H

#include "cluster/context.h"

void autoclean_tick(struct cluster *cluster);
void autoclean_schedule(struct cluster *cluster); /* a member went down, or was cleaned */

#endif
