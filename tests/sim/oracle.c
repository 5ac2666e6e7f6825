#include "oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct oracle *oracle_new(struct world *world) {
    struct oracle *oracle = calloc(1, sizeof *oracle);
    size_t count = (size_t)world->host_count;
    if (oracle == NULL)
        abort();
    oracle->world = world;
    oracle->apart = calloc(count * count, sizeof *oracle->apart);
    oracle->together = calloc(count * count, sizeof *oracle->together);
    oracle->tainted = calloc(count, sizeof *oracle->tainted);
    if (oracle->apart == NULL || oracle->together == NULL || oracle->tainted == NULL)
        abort();
    return oracle;
}

void oracle_free(struct oracle *oracle) {
    free(oracle->apart);
    free(oracle->together);
    free(oracle->tainted);
    free(oracle);
}

/* --- who belongs with whom --- */

static bool *pair(bool *table, const struct oracle *oracle, int x, int y) {
    return &table[x * oracle->world->host_count + y];
}

static void not_together(struct oracle *oracle, int x) {
    for (int y = 0; y < oracle->world->host_count; y++) {
        *pair(oracle->together, oracle, x, y) = false;
        *pair(oracle->together, oracle, y, x) = false;
    }
}

/* What x knew of others' ends, and what others knew of x's, counts no more. */
static void not_apart(struct oracle *oracle, int x, bool as_knower) {
    for (int y = 0; y < oracle->world->host_count; y++) {
        if (as_knower)
            *pair(oracle->apart, oracle, y, x) = false;
        else
            *pair(oracle->apart, oracle, x, y) = false;
    }
}

void oracle_joins(struct oracle *oracle, const struct host *host) {
    not_together(oracle, host->index);
    not_apart(oracle, host->index, true);
    not_apart(oracle, host->index, false);
}

void oracle_joined(struct oracle *oracle, const struct host *host) {
    int target = host->joining_to;
    oracle_joins(oracle, host);
    if (target >= 0 && !oracle->tainted[host->index] && !oracle->tainted[target] &&
        host_runs(&oracle->world->hosts[target]) && oracle->world->hosts[target].joining_to < 0 &&
        oracle_lists(&oracle->world->hosts[target], host, NULL))
        *pair(oracle->together, oracle, host->index, target) = true;
}

void oracle_left(struct oracle *oracle, const struct host *host) {
    oracle->tainted[host->index] = true;
    oracle_joins(oracle, host);
    if (host->joining_to >= 0)
        return;
    for (int y = 0; y < oracle->world->host_count; y++) {
        const struct host *other = &oracle->world->hosts[y];
        if (other != host && host_runs(other) && other->joining_to < 0)
            *pair(oracle->apart, oracle, host->index, y) = true;
    }
}

void oracle_forced(struct oracle *oracle, const struct host *by, const struct host *out,
                   bool current) {
    oracle->tainted[out->index] = true;
    not_together(oracle, out->index);
    if (current && by->joining_to < 0 && out->joining_to < 0)
        *pair(oracle->apart, oracle, out->index, by->index) = true;
}

/* What was not on the disk is forgotten, and with it what followed from it. */
void oracle_crashes(struct oracle *oracle, const struct host *host) {
    if (!host->dirty)
        return;
    oracle->tainted[host->index] = true;
    not_together(oracle, host->index);
    not_apart(oracle, host->index, true);
    not_apart(oracle, host->index, false);
}

/* A restart ends the rest after leave and force-leave: discovery may bring the host back, and those
 * that joined it since. */
void oracle_starts(struct oracle *oracle, const struct host *host) {
    (void)host;
    for (int x = 0; x < oracle->world->host_count && oracle->world->discovery; x++)
        not_apart(oracle, x, false);
}

/* --- agreement --- */

bool oracle_lists(const struct host *host, const struct host *other,
                  struct cluster_member_view *view) {
    struct cluster_member_view found;
    if (!cluster_member_find(host->cluster, other->name, &found) || found.state > CLUSTER_DOWN)
        return false;
    if (view != NULL)
        *view = found;
    return true;
}

static bool same_id(const struct host *a, const struct host *b) {
    struct cluster_id x = cluster_id(a->cluster), y = cluster_id(b->cluster);
    return x.created_ms == y.created_ms && x.random == y.random;
}

/* Invariant 2: the entries that `host` has for `owner` are the owner's names of this life. */
static bool has_names_of(const struct host *host, const struct host *owner, char *why,
                         size_t size) {
    const struct directory *directory = cluster_directory(host->cluster);
    struct cluster_member_view view;
    if (!cluster_member_find(host->cluster, owner->name, &view) ||
        view.names != owner->name_count) {
        snprintf(why, size, "%s has %zu names of %s, which has %zu", host->name, view.names,
                 owner->name, owner->name_count);
        return false;
    }
    for (size_t i = 0; i < owner->name_count; i++) {
        char full[128];
        snprintf(full, sizeof full, "%s%s", owner->names[i].name, strchr(owner->name, '@'));
        const struct directory_entry *entry = directory_find(directory, bytes_of_text(full));
        if (entry == NULL || entry->node.creation != owner->names[i].creation ||
            entry->node.port != owner->names[i].port ||
            entry->node.front_port != owner->names[i].front_port) {
            snprintf(why, size, "%s has %s wrongly", host->name, full);
            return false;
        }
    }
    return true;
}

/* Two that run: both list each other, alive and alike, or neither does. */
static bool agree(const struct host *a, const struct host *b, char *why, size_t size) {
    struct cluster_member_view of_b, of_a;
    bool a_lists = oracle_lists(a, b, &of_b), b_lists = oracle_lists(b, a, &of_a);
    struct cluster_member_view known;
    if (cluster_member_find(a->cluster, b->name, &known) && known.state == CLUSTER_CLEANED) {
        snprintf(why, size, "%s has cleaned %s, which runs", a->name, b->name);
        return false;
    }
    if (a_lists != b_lists || (a_lists && !same_id(a, b))) {
        snprintf(why, size, "%s %s %s, which %s it, with %s id", a->name,
                 a_lists ? "lists" : "does not list", b->name, b_lists ? "lists" : "does not list",
                 same_id(a, b) ? "the same" : "another");
        return false;
    }
    if (!a_lists)
        return true;
    if (of_b.state != CLUSTER_ALIVE || of_b.incarnation != cluster_incarnation(b->cluster)) {
        snprintf(why, size, "%s has %s %s, incarnation %" PRIu64 " for %" PRIu64, a->name, b->name,
                 cluster_state_name(of_b.state), of_b.incarnation, cluster_incarnation(b->cluster));
        return false;
    }
    return has_names_of(a, b, why, size);
}

/* Of a third that does not run: two of one cluster say the same. */
static bool agree_on(const struct host *a, const struct host *b, const struct host *third,
                     char *why, size_t size) {
    struct cluster_member_view of_a = {.names = 0}, of_b = {.names = 0};
    bool a_lists = oracle_lists(a, third, &of_a), b_lists = oracle_lists(b, third, &of_b);
    if (a_lists == b_lists &&
        (!a_lists || (of_a.state == of_b.state && of_a.incarnation == of_b.incarnation)))
        return true;
    snprintf(why, size, "%s has %s %s, %s has it %s", a->name, third->name,
             a_lists ? cluster_state_name(of_a.state) : "not", b->name,
             b_lists ? cluster_state_name(of_b.state) : "not");
    return false;
}

bool oracle_agreed(const struct world *world, char *why, size_t size) {
    for (int i = 0; i < world->host_count; i++) {
        const struct host *a = &world->hosts[i];
        if (!host_runs(a))
            continue;
        if (!has_names_of(a, a, why, size))
            return false;
        for (int j = 0; j < world->host_count; j++) {
            const struct host *b = &world->hosts[j];
            if (i == j || !host_runs(b))
                continue;
            if (!agree(a, b, why, size))
                return false;
            if (!oracle_lists(a, b, NULL))
                continue;
            for (int k = 0; k < world->host_count; k++) {
                if (!host_runs(&world->hosts[k]) && !agree_on(a, b, &world->hosts[k], why, size))
                    return false;
            }
        }
    }
    return true;
}

/* --- judging --- */

static bool has_ended(const struct host *host, const struct host *other) {
    struct cluster_member_view view;
    return cluster_member_find(host->cluster, other->name, &view) &&
           (view.state == CLUSTER_LEFT || view.state == CLUSTER_FORCED_OUT);
}

/*
 * Whether the other was ended here and cannot show that it has started since: its clock, which
 * numbers its lives, is behind that of the member that forced it out.
 */
static bool stays_out(const struct host *host, const struct host *other) {
    struct cluster_member_view record, own;
    return has_ended(host, other) && cluster_member_find(host->cluster, other->name, &record) &&
           cluster_member_find(other->cluster, other->name, &own) &&
           own.generation <= record.incarnation;
}

static void judge_pair(const struct oracle *oracle, const struct host *x, const struct host *y) {
    struct world *world = oracle->world;
    bool with = oracle_lists(y, x, NULL);
    if (with && *pair(oracle->apart, oracle, x->index, y->index))
        world_violation(world, "invariant 3: %s was out and is with %s again", x->name, y->name);
    if (!with && *pair(oracle->together, oracle, x->index, y->index))
        world_violation(world, "invariant 1: %s joined %s and is not with it", x->name, y->name);
    if (!with && world->discovery && !cluster_is_discovery_paused(x->cluster) &&
        !cluster_is_discovery_paused(y->cluster) && !(has_ended(x, y) && has_ended(y, x)) &&
        !stays_out(x, y) && !stays_out(y, x))
        world_violation(world, "invariant 6: %s and %s have the same seeds and are apart", x->name,
                        y->name);
}

void oracle_judge(const struct oracle *oracle) {
    struct world *world = oracle->world;
    char why[256];
    if (!oracle_agreed(world, why, sizeof why))
        world_violation(world, "invariant 1: %s", why);
    for (int i = 0; i < world->host_count; i++) {
        for (int j = 0; j < world->host_count; j++) {
            if (i != j && host_runs(&world->hosts[i]) && host_runs(&world->hosts[j]))
                judge_pair(oracle, &world->hosts[i], &world->hosts[j]);
        }
    }
    if (world->longest_frame > CLUSTER_FRAME_MAX)
        world_violation(world, "invariant 7: a frame of %zu bytes", world->longest_frame);
}
