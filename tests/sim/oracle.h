/*
 * What must hold, whatever happened. The numbers are those of the invariants in docs/simulator.md.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "world.h"

struct oracle {
    struct world *world;
    bool *apart;    /* [x * hosts + y]: y knows that x is out, x must not be with y */
    bool *together; /* [x * hosts + y]: x joined y, they must be together */
    bool *tainted;  /* [x]: x was out once; who is with whom then depends on who knew */
};

struct oracle *oracle_new(struct world *world);
void oracle_free(struct oracle *oracle);

/* To be told before (crash) or after (the others) the host does it. */
void oracle_joins(struct oracle *oracle, const struct host *host);
void oracle_joined(struct oracle *oracle, const struct host *host);
void oracle_left(struct oracle *oracle, const struct host *host);
void oracle_forced(struct oracle *oracle, const struct host *by, const struct host *out,
                   bool current); /* it knew the membership that it ended */
void oracle_crashes(struct oracle *oracle, const struct host *host);
void oracle_starts(struct oracle *oracle, const struct host *host);

/* Whether all that run agree; `why` says who does not. */
bool oracle_agreed(const struct world *world, char *why, size_t size);

/* Invariants of a world that has come to rest: complains when one is broken. */
void oracle_judge(const struct oracle *oracle);

bool oracle_lists(const struct host *host, const struct host *other,
                  struct cluster_member_view *view);

#endif
