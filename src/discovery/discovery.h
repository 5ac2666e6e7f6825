/*
 * Strategies by which a daemon finds others of its cluster without being told to join them.
 *
 * A strategy is a table of functions in a file of its own. `discover` collects names, Name@Host,
 * and says when it is done, at once or later; the daemon asks again every DISCOVERY_INTERVAL_MS as
 * long as members are missing. Manual discovery has no strategy: members come by command alone.
 */
#ifndef PORTOLAN_DISCOVERY_DISCOVERY_H
#define PORTOLAN_DISCOVERY_DISCOVERY_H

#include "cluster/cluster.h"

#define DISCOVERY_INTERVAL_MS 5000
#define DISCOVERY_NAMES_MAX CLUSTER_SEEDS_MAX
#define DISCOVERY_NAME_SIZE (CLUSTER_NAME_MAX + 1)

enum discovery_kind { DISCOVERY_MANUAL, DISCOVERY_STATIC };
extern const char *const discovery_names[]; /* by enum discovery_kind, NULL at the end */

/* What was found; `error` NULL: all is well. All is borrowed for the call. */
struct discovery_result {
    const char *const *names;
    size_t count;
    const char *error;
};

typedef void discovery_done(void *context, const struct discovery_result *result);

/* All borrowed, and alive as long as the strategy. */
struct discovery_options {
    const char *seeds; /* cluster.static.seeds */
    discovery_done *done;
    void *done_context;
};

struct discovery_strategy {
    const char *name;

    /* NULL when out of memory; what it returns is handed to the others. */
    void *(*open)(const struct discovery_options *options);
    void (*close)(void *state);

    /* Begins to look; options->done is called, once, before or after it returns. */
    void (*discover)(void *state);
};

/* NULL for DISCOVERY_MANUAL. */
const struct discovery_strategy *discovery_strategy(enum discovery_kind kind);

#endif
