/* What scenarios are told with: a world, who is in it, and how to look at it. */
#ifndef SIM_SCENARIO_TOOLS_H
#define SIM_SCENARIO_TOOLS_H

#include "oracle.h"

struct scenario {
    const char *name;
    void (*run)(void);
};
#define SCENARIO(name)                                                                             \
    { #name, name }
#define SCENARIOS_END                                                                              \
    { NULL, NULL }

extern const struct scenario membership_scenarios[]; /* join, leave, discovery */
extern const struct scenario failure_scenarios[];    /* faults, splits, sizes */
extern const struct scenario hostile_scenarios[];    /* lies, full lists */

extern struct world *world; /* of the scenario that is told */
extern const char *broken;  /* the first thing found wrong */
extern bool tracing;

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition) && broken == NULL)                                                        \
            broken = #condition;                                                                   \
    } while (0)

void some_hosts(int count);
struct host *host(int index);
void a_cluster_of(int count);
void with_seeds(int count);
void cut(int a, int b, bool cut_it);
void split_at(int border, bool cut_it);
void isolate(int index, bool cut_it);
bool all_agree(void);
size_t members_of(int index);
bool lists(int a, int b);
enum cluster_state state_at(int a, int b);
bool all_are_one(void);
int64_t time_until(bool (*a_fact)(int at, int about), int about, int64_t at_most_ms);
bool has_down(int at, int about);
bool lists_not(int at, int about);
size_t suspicions_and_downs(void);
bool incarnations_stand(void);
bool knows_name(int at, const char *node, int owner);
int verdict_of_join(int a, int b);

#endif
