#include "daemon/control_cluster.h"

#include "base/clock.h"
#include "daemon/cluster_text.h"
#include "daemon/control_reply.h"
#include "discovery/discovery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *no_cluster(const struct control_host *host) {
    if (host->config->front_enable)
        return control_failure("no_cluster",
                               "this daemon runs alone, for it has no cookie; set node.cookie or "
                               "node.cookie_file, alike on all hosts, and restart it");
    return control_failure("no_cluster", "this daemon runs alone, for its front port is off; set "
                                         "front.enable = on, and restart it");
}

/* --- status --- */

static const char *state_of(const struct cluster *cluster) {
    if (cluster_is_joining(cluster))
        return "joining";
    return cluster_is_in(cluster) ? "member" : "alone";
}

static json_t *describe_member(const struct control_host *host,
                               const struct cluster_member_view *member) {
    char text[ADDRESS_TEXT_SIZE];
    const struct address *address = cluster_shell_address(host->cluster, member->name);
    json_t *object = json_pack(
        "{s:s, s:s, s:b, s:b, s:b, s:I, s:i, s:I, s:I}", "name", member->name, "state",
        cluster_state_name(member->state), "self", member->is_self, "linked", member->linked,
        "path_broken", member->path_broken, "incarnation", (json_int_t)member->incarnation, "port",
        (int)member->port, "names", (json_int_t)member->names, "since_s",
        (json_int_t)((clock_monotonic_ms() - member->since_ms) / 1000));
    json_object_set_new(object, "address",
                        address == NULL ? json_null() : json_string(address_format(address, text)));
    if (member->cause != CLUSTER_CAUSE_NONE)
        json_object_set_new(object, "cause", json_string(cluster_cause_name(member->cause)));
    return object;
}

static int by_name(const void *a, const void *b) {
    const struct cluster_member_view *left = a, *right = b;
    return strcmp(left->name, right->name);
}

/* All members, sorted as EMQX sorts them. NULL when out of memory. */
static struct cluster_member_view *sorted_members(const struct cluster *cluster, size_t *count) {
    size_t most = cluster_member_count(cluster), cursor = 0;
    struct cluster_member_view *all = calloc(most + 1, sizeof *all);
    *count = 0;
    if (all == NULL)
        return NULL;
    while (*count < most && cluster_member_next(cluster, &cursor, false, &all[*count]))
        ++*count;
    qsort(all, *count, sizeof *all, by_name);
    return all;
}

static json_t *describe_members(const struct control_host *host) {
    size_t count;
    struct cluster_member_view *all = sorted_members(cluster_shell_cluster(host->cluster), &count);
    json_t *members = all == NULL ? NULL : json_array();
    for (size_t i = 0; members != NULL && i < count; i++)
        json_array_append_new(members, describe_member(host, &all[i]));
    free(all);
    return members;
}

static json_t *describe(const struct control_host *host) {
    const struct cluster *cluster = cluster_shell_cluster(host->cluster);
    const struct peer_counters counters = cluster_shell_counters(host->cluster);
    struct cluster_id id = cluster_id(cluster);
    char id_text[64];
    snprintf(id_text, sizeof id_text, "%" PRIu64 "-%016" PRIx64, id.created_ms, id.random);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:b, s:b, s:s, s:I, s:I, s:o, s:{s:I, s:I, s:I}}", "cluster",
        host->config->cluster_name, "id", id_text, "self", cluster_self(cluster), "state",
        state_of(cluster), "incarnation", (json_int_t)cluster_incarnation(cluster), "resting",
        cluster_is_resting(cluster), "forced_out", cluster_was_forced_out(cluster), "discovery",
        discovery_names[host->config->cluster_discovery], "links",
        (json_int_t)cluster_link_count(cluster), "names",
        (json_int_t)directory_count(cluster_directory(cluster)), "members", describe_members(host),
        "handshakes", "accepted", (json_int_t)counters.accepted, "refused",
        (json_int_t)counters.refused, "limited", (json_int_t)counters.limited);
}

json_t *control_cluster_status(struct control_host *host, struct control_peer *peer,
                               const json_t *request) {
    (void)peer;
    (void)request;
    return host->cluster == NULL ? no_cluster(host) : control_ok_with(describe(host));
}

/* --- join --- */

/* A caller that waits for the end of a join. */
struct waiter {
    struct control_host *host;
    struct control_peer *peer;
};

static void on_gone(void *context) {
    struct waiter *waiter = context;
    cluster_shell_forget(waiter->host->cluster, waiter);
    free(waiter);
}

static json_t *progress_of(const struct cluster_event *event) {
    return json_pack("{s:i, s:{s:I, s:I}}", "v", CONTROL_PROTOCOL_VERSION, "progress", "members",
                     (json_int_t)event->count, "names", (json_int_t)event->names);
}

static void on_told(void *context, const struct cluster_event *event, const char *text) {
    struct waiter *waiter = context;
    if (event->type == CLUSTER_EVENT_JOIN_PROGRESS) {
        control_peer_reply(waiter->peer, progress_of(event), false);
        return;
    }
    json_t *reply;
    if (event->type == CLUSTER_EVENT_JOIN_FAILED) {
        reply = control_failure("node_down", text);
        json_object_set_new(json_object_get(reply, "error"), "cause",
                            json_string(cluster_cause_name(event->cause)));
    } else {
        reply = control_ok_with(describe(waiter->host));
        json_object_set_new(reply, "taken_over",
                            json_pack("{s:I, s:I}", "members", (json_int_t)event->count, "names",
                                      (json_int_t)event->names));
    }
    control_peer_reply(waiter->peer, reply, true);
    free(waiter);
}

static json_t *verdict_failure(enum cluster_verdict verdict) {
    switch (verdict) {
    case CLUSTER_ALREADY_IN:
        return control_failure("already_in_cluster", "it is a member of this cluster already; "
                                                     "'portolan cluster status' lists them");
    case CLUSTER_NOT_IN:
        return control_failure("node_not_in_cluster", "it is no member of this cluster; 'portolan "
                                                      "cluster status' lists them");
    case CLUSTER_BUSY:
        return control_failure("busy", "another join is under way; wait for its end, 30 s at most");
    case CLUSTER_BAD_NAME:
        return control_failure("bad_request",
                               "\"node\" must be the name of a daemon: Name@Host, with an IP "
                               "address or a full host name");
    default:
        return control_failure("failed", "the daemon is out of memory");
    }
}

/* The member "node" of the request, as a C string. */
static const char *target_of(const json_t *request) {
    struct bytes name = control_text(request, "node");
    bool good = name.len > 0 && name.len <= CLUSTER_NAME_MAX && !bytes_contain(name, 0);
    return good ? (const char *)name.data : NULL;
}

static json_t *ignored(const struct control_host *host) {
    json_t *reply = control_ok_with(describe(host));
    json_object_set_new(reply, "ignored", json_true());
    return reply;
}

json_t *control_cluster_join(struct control_host *host, struct control_peer *peer,
                             const json_t *request) {
    const char *target = target_of(request);
    if (host->cluster == NULL)
        return no_cluster(host);
    if (target == NULL)
        return verdict_failure(CLUSTER_BAD_NAME);
    struct waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL)
        return verdict_failure(CLUSTER_NO_MEMORY);
    *waiter = (struct waiter){.host = host, .peer = peer};
    control_peer_hold(peer, on_gone, waiter);
    enum cluster_verdict verdict = cluster_shell_join(host->cluster, target, on_told, waiter);
    if (verdict == CLUSTER_OK)
        return NULL; /* the reply comes later */
    control_peer_release(peer);
    free(waiter);
    return verdict == CLUSTER_IGNORED ? ignored(host) : verdict_failure(verdict);
}

/* --- leave --- */

json_t *control_cluster_leave(struct control_host *host, struct control_peer *peer,
                              const json_t *request) {
    (void)peer;
    (void)request;
    if (host->cluster == NULL)
        return no_cluster(host);
    if (cluster_shell_leave(host->cluster) == CLUSTER_OK)
        return control_ok_with(describe(host));
    return control_failure("node_not_in_cluster",
                           "this daemon is in no cluster with others; there is nothing to leave");
}

json_t *control_cluster_force_leave(struct control_host *host, struct control_peer *peer,
                                    const json_t *request) {
    const char *target = target_of(request);
    (void)peer;
    if (host->cluster == NULL)
        return no_cluster(host);
    if (target == NULL)
        return verdict_failure(CLUSTER_BAD_NAME);
    enum cluster_verdict verdict = cluster_shell_force_leave(host->cluster, target);
    if (verdict == CLUSTER_OK)
        return control_ok_with(describe(host));
    return verdict == CLUSTER_IGNORED ? ignored(host) : verdict_failure(verdict);
}

/* --- the directory --- */

static json_t *describe_name(const struct directory_entry *entry) {
    struct bytes host = directory_owner_host(entry->owner);
    json_t *object = json_pack(
        "{s:o, s:o, s:i, s:o, s:s, s:I, s:o, s:s}", "name", events_json_text(entry->node.name),
        "host", events_json_text(host), "port", (int)entry->node.port, "front_port",
        control_port_or_null(entry->node.front_port), "type", epmd_node_type_name(entry->node.type),
        "creation", (json_int_t)entry->node.creation, "member",
        events_json_text(directory_owner_name(entry->owner)), "member_state",
        cluster_state_name(cluster_owner_state(entry->owner)));
    return object;
}

json_t *control_cluster_names(struct control_host *host) {
    if (host->cluster == NULL)
        return no_cluster(host);
    const struct directory *directory = cluster_directory(cluster_shell_cluster(host->cluster));
    json_t *names = json_array();
    const struct directory_owner *owner = directory_owner_first(directory);
    for (; owner != NULL; owner = directory_owner_next(owner)) {
        const struct directory_entry *entry = directory_entry_first(owner);
        for (; entry != NULL; entry = directory_entry_next(entry))
            json_array_append_new(names, describe_name(entry));
    }
    return control_ok_with(json_pack("{s:o}", "names", names));
}

static bool runs(const struct directory_entry *entry) {
    enum cluster_state state = cluster_owner_state(entry->owner);
    return state == CLUSTER_ALIVE || state == CLUSTER_SUSPECT;
}

const struct directory_entry *control_cluster_find(const struct control_host *host,
                                                   struct bytes node) {
    if (host->cluster == NULL)
        return NULL;
    const struct directory *directory = cluster_directory(cluster_shell_cluster(host->cluster));
    const struct directory_entry *entry = directory_find(directory, node);
    while (entry != NULL && !runs(entry))
        entry = directory_find_next(entry);
    return entry;
}
