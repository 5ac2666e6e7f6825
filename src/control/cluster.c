#include "control/cluster.h"

#include "base/clock.h"
#include "control/members.h"
#include "control/reply.h"
#include "discovery/discovery.h"
#include "net/json_whole.h"
#include "service/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *control_no_cluster(const struct control_context *control) {
    if (control->config->front_enable)
        return control_failure(
            "no_cluster",
            "this daemon runs alone because it has no cookie; set the same node.cookie or "
            "node.cookie_file on all hosts, and restart it");
    return control_failure(
        "no_cluster",
        "this daemon runs alone because its front port is off; set front.enable = on, and "
        "restart it");
}

/* --- status --- */

static const char *state_of(const struct cluster *cluster) {
    if (cluster_is_joining(cluster))
        return "joining";
    return cluster_is_in(cluster) ? "member" : "alone";
}

/* What is told of the cluster, with its members, and `more` (taken over, may be NULL) behind it. */
static struct control_stream *describe(const struct control_context *control, json_t *more) {
    const struct cluster *cluster = cluster_service_cluster(control->cluster);
    const struct peer_counters counters = cluster_service_counters(control->cluster);
    struct cluster_id id = cluster_id(cluster);
    char id_text[64];
    snprintf(id_text, sizeof id_text, "%" PRIu64 "-%016" PRIx64, id.created_ms, id.random);
    json_t *head = control_ok_with(json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:b, s:b, s:s, s:I, s:I}", "cluster",
        control->config->cluster_name, "id", id_text, "self", cluster_self(cluster), "state",
        state_of(cluster), "incarnation", (json_int_t)cluster_incarnation(cluster), "resting",
        cluster_is_discovery_paused(cluster), "forced_out", cluster_was_forced_out(cluster),
        "discovery", discovery_names[control->config->cluster_discovery], "links",
        (json_int_t)cluster_link_count(cluster), "names",
        (json_int_t)directory_count(cluster_directory(cluster))));
    json_t *rest =
        json_pack("{s:{s:I, s:I, s:I}}", "handshakes", "accepted", (json_int_t)counters.accepted,
                  "refused", (json_int_t)counters.refused, "limited", (json_int_t)counters.limited);
    return control_members(control, head, more == NULL ? rest : json_whole_update(rest, more));
}

struct control_stream *control_cluster_status(struct control_context *control,
                                              struct control_conn *conn, const json_t *request) {
    (void)conn;
    (void)request;
    return control->cluster == NULL ? control_stream_of_json(control_no_cluster(control))
                                    : describe(control, NULL);
}

/* --- join --- */

/* A caller that waits for the end of a join. */
struct waiter {
    struct control_context *control;
    struct control_conn *conn;
};

static void on_gone(void *context) {
    struct waiter *waiter = context;
    cluster_service_forget(waiter->control->cluster, waiter);
    free(waiter);
}

static json_t *progress_of(const struct cluster_event *event) {
    return json_pack("{s:i, s:{s:I, s:I}}", "v", CONTROL_PROTOCOL_VERSION, "progress", "members",
                     (json_int_t)event->count, "names", (json_int_t)event->names);
}

static struct control_stream *failure_of(const struct cluster_event *event, const char *text) {
    json_t *reply = control_failure("node_down", text);
    json_t *cause = json_string(cluster_cause_name(event->cause));
    if (json_object_set_new(json_object_get(reply, "error"), "cause", cause) == 0)
        return control_stream_of_json(reply);
    json_decref(reply);
    return NULL;
}

static void on_join(void *context, const struct cluster_event *event, const char *text) {
    struct waiter *waiter = context;
    if (event->type == CLUSTER_EVENT_JOIN_PROGRESS) {
        control_conn_progress(waiter->conn, progress_of(event));
        return;
    }
    bool failed = event->type == CLUSTER_EVENT_JOIN_FAILED;
    control_conn_reply(waiter->conn, failed
                                         ? failure_of(event, text)
                                         : describe(waiter->control,
                                                    json_pack("{s:{s:I, s:I}}", "taken_over",
                                                              "members", (json_int_t)event->count,
                                                              "names", (json_int_t)event->names)));
    free(waiter);
}

static json_t *explain_verdict(enum cluster_verdict verdict) {
    switch (verdict) {
    case CLUSTER_ALREADY_IN:
        return control_failure(
            "already_in_cluster",
            "it is already a member of this cluster; 'portolan cluster status' lists the members");
    case CLUSTER_NOT_IN:
        return control_failure(
            "node_not_in_cluster",
            "it is not a member of this cluster; 'portolan cluster status' lists the members");
    case CLUSTER_BUSY:
        return control_failure("busy",
                               "another join is in progress; wait until it ends, 30 s at most");
    case CLUSTER_BAD_NAME:
        return control_failure("bad_request",
                               "\"node\" must be the name of a daemon: Name@Host, with an IP "
                               "address or a full host name");
    default:
        return control_failure("failed", "the daemon is out of memory");
    }
}

static struct control_stream *verdict_failure(enum cluster_verdict verdict) {
    return control_stream_of_json(explain_verdict(verdict));
}

/* The member "node" of the request, as a C string. */
static const char *target_of(const json_t *request) {
    struct bytes name = control_text(request, "node");
    bool good = name.len > 0 && name.len <= CLUSTER_NAME_MAX && !bytes_contain(name, 0);
    return good ? (const char *)name.data : NULL;
}

static struct control_stream *ignored(const struct control_context *control) {
    return describe(control, json_pack("{s:b}", "ignored", 1));
}

struct control_stream *control_cluster_join(struct control_context *control,
                                            struct control_conn *conn, const json_t *request) {
    const char *target = target_of(request);
    if (control->cluster == NULL)
        return control_stream_of_json(control_no_cluster(control));
    if (target == NULL)
        return verdict_failure(CLUSTER_BAD_NAME);
    struct waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL)
        return verdict_failure(CLUSTER_NO_MEMORY);
    *waiter = (struct waiter){.control = control, .conn = conn};
    control_conn_hold(conn, on_gone, waiter);
    enum cluster_verdict verdict = cluster_service_join(control->cluster, target, on_join, waiter);
    if (verdict == CLUSTER_OK)
        return NULL; /* the reply comes later */
    control_conn_release(conn);
    free(waiter);
    return verdict == CLUSTER_IGNORED ? ignored(control) : verdict_failure(verdict);
}

/* --- leave --- */

/* Is told once it is on disk. */
static struct control_stream *once_saved(struct control_context *control,
                                         struct control_conn *conn) {
    control_conn_await(conn, CONTROL_GATE_CLUSTER, cluster_service_awaited(control->cluster));
    return describe(control, NULL);
}

struct control_stream *control_cluster_leave(struct control_context *control,
                                             struct control_conn *conn, const json_t *request) {
    (void)request;
    if (control->cluster == NULL)
        return control_stream_of_json(control_no_cluster(control));
    if (cluster_service_leave(control->cluster) == CLUSTER_OK)
        return once_saved(control, conn);
    return control_stream_of_json(
        control_failure("node_not_in_cluster",
                        "this daemon is not in a cluster with others; there is nothing to leave"));
}

struct control_stream *control_cluster_force_leave(struct control_context *control,
                                                   struct control_conn *conn,
                                                   const json_t *request) {
    const char *target = target_of(request);
    if (control->cluster == NULL)
        return control_stream_of_json(control_no_cluster(control));
    if (target == NULL)
        return verdict_failure(CLUSTER_BAD_NAME);
    enum cluster_verdict verdict = cluster_service_force_leave(control->cluster, target);
    if (verdict == CLUSTER_OK)
        return once_saved(control, conn);
    return verdict == CLUSTER_IGNORED ? ignored(control) : verdict_failure(verdict);
}

/* --- the directory --- */

static bool runs(const struct directory_entry *entry) {
    enum cluster_state state = cluster_owner_state(entry->owner);
    return state == CLUSTER_ALIVE || state == CLUSTER_SUSPECT;
}

const struct directory_entry *control_cluster_find(const struct control_context *control,
                                                   struct bytes node) {
    if (control->cluster == NULL)
        return NULL;
    const struct directory *directory =
        cluster_directory(cluster_service_cluster(control->cluster));
    const struct directory_entry *entry = directory_find(directory, node);
    while (entry != NULL && !runs(entry))
        entry = directory_find_next(entry);
    return entry;
}
