#include "service/cluster_events.h"

#include "base/checksum.h"
#include "base/clock.h"
#include "net/json_whole.h"
#include "service/explain.h"

#include <stdio.h>
#include <string.h>

/* How each is reported, and to whom. */
static const struct kind {
    const char *name;
    enum log_level level;
    bool is_published; /* to watchers and to the program */
} event_kinds[] = {
    [CLUSTER_EVENT_UP] = {"member_up", LOG_LEVEL_INFO, true},
    [CLUSTER_EVENT_SUSPECT] = {"member_suspect", LOG_LEVEL_WARN, true},
    [CLUSTER_EVENT_DOWN] = {"member_down", LOG_LEVEL_WARN, true},
    [CLUSTER_EVENT_JOINED] = {"member_joined", LOG_LEVEL_INFO, true},
    [CLUSTER_EVENT_LEFT] = {"member_left", LOG_LEVEL_INFO, true},
    [CLUSTER_EVENT_FORCED_OUT] = {"member_forced_out", LOG_LEVEL_WARN, true},
    [CLUSTER_EVENT_CLEANED] = {"member_cleaned", LOG_LEVEL_INFO, true},
    [CLUSTER_EVENT_PATH_BROKEN] = {"path_broken", LOG_LEVEL_WARN, true},
    [CLUSTER_EVENT_PATH_HEALED] = {"path_healed", LOG_LEVEL_INFO, true},
    [CLUSTER_EVENT_SPLIT_SEEN] = {"split_seen", LOG_LEVEL_WARN, true},
    [CLUSTER_EVENT_SPLIT_HEALED] = {"split_healed", LOG_LEVEL_INFO, true},
    [CLUSTER_EVENT_NAME_REGISTERED] = {"name_registered", LOG_LEVEL_DEBUG, true},
    [CLUSTER_EVENT_NAME_UNREGISTERED] = {"name_unregistered", LOG_LEVEL_DEBUG, true},
    [CLUSTER_EVENT_JOIN_PROGRESS] = {"join_progress", LOG_LEVEL_DEBUG, false},
    [CLUSTER_EVENT_JOIN_DONE] = {"join_done", LOG_LEVEL_INFO, true},
    [CLUSTER_EVENT_JOIN_FAILED] = {"join_failed", LOG_LEVEL_ERROR, true},
    [CLUSTER_EVENT_LINK_UP] = {"link_up", LOG_LEVEL_DEBUG, false},
    [CLUSTER_EVENT_LINK_DOWN] = {"link_down", LOG_LEVEL_DEBUG, false},
    [CLUSTER_EVENT_LINK_REFUSED] = {"link_refused", LOG_LEVEL_WARN, false},
    [CLUSTER_EVENT_MERGED] = {"merged", LOG_LEVEL_INFO, true},
    [CLUSTER_EVENT_NAME_CLASH] = {"name_clash", LOG_LEVEL_ERROR, true},
    [CLUSTER_EVENT_DIRECTORY_FULL] = {"directory_full", LOG_LEVEL_ERROR, true},
};

static const char *cause_of(const struct cluster_event *event) {
    return event->cause == CLUSTER_CAUSE_NONE ? "" : cluster_cause_name(event->cause);
}

static bool is_of_name(const struct cluster_event *event) {
    return event->node != NULL;
}

/* Name@Host of a name that a member has, or the member's own. */
static void format_name(const struct cluster_event *event, char *out, size_t size) {
    const char *host = strchr(event->name, '@');
    if (is_of_name(event))
        snprintf(out, size, "%.*s%s", (int)event->node->name.len,
                 (const char *)event->node->name.data, host == NULL ? "" : host);
    else
        snprintf(out, size, "%s", event->name);
}

#define NAME_SIZE (ALIVE_NAME_MAX_BYTES + CLUSTER_NAME_MAX + 2)

static void log_it(const struct kind *kind, const struct cluster_event *event, const char *text) {
    char name[NAME_SIZE];
    format_name(event, name, sizeof name);
    if (is_of_name(event))
        log_event(kind->level, kind->name, log_text("name", name),
                  log_number("port", event->node->port), log_text("member", event->name));
    else if (event->type == CLUSTER_EVENT_JOIN_DONE)
        log_event(kind->level, kind->name, log_text("member", name),
                  log_number("members", (int64_t)event->count),
                  log_number("names", (int64_t)event->names));
    else if (text[0] != '\0' && event->cause == CLUSTER_CAUSE_NONE)
        log_event(kind->level, kind->name, log_text("member", name), log_text("reason", text));
    else if (text[0] != '\0')
        log_event(kind->level, kind->name, log_text("member", name),
                  log_text("cause", cause_of(event)), log_text("reason", text));
    else if (event->cause != CLUSTER_CAUSE_NONE)
        log_event(kind->level, kind->name, log_text("member", name),
                  log_text("cause", cause_of(event)));
    else
        log_event(kind->level, kind->name, log_text("member", name));
}

static void publish(struct cluster_events *events, const struct kind *kind,
                    const struct cluster_event *event, const char *text) {
    char name[NAME_SIZE];
    if (!events_is_watched(events->events))
        return;
    json_t *object = json_pack("{s:s}", "member", event->name);
    if (is_of_name(event)) {
        format_name(event, name, sizeof name);
        object = json_whole_set(object, "name", events_json_text(bytes_of_text(name)));
        object = json_whole_set(object, "port", json_integer(event->node->port));
    }
    if (event->cause != CLUSTER_CAUSE_NONE)
        object = json_whole_set(object, "cause", json_string(cause_of(event)));
    if (text[0] != '\0')
        object = json_whole_set(object, "reason", json_string(text));
    if (event->type == CLUSTER_EVENT_JOIN_DONE) {
        object = json_whole_set(object, "members", json_integer((json_int_t)event->count));
        object = json_whole_set(object, "names", json_integer((json_int_t)event->names));
    }
    events_publish(events->events, kind->name, object);
}

static void run_program(struct cluster_events *events, const struct kind *kind,
                        const struct cluster_event *event) {
    char name[NAME_SIZE], in_name[NAME_SIZE + 32], in_event[64], in_member[CLUSTER_NAME_MAX + 32];
    char in_self[CLUSTER_NAME_MAX + 32], in_cause[64], in_port[32];
    if (events->hook == NULL)
        return;
    format_name(event, name, sizeof name);
    snprintf(in_event, sizeof in_event, "PORTOLAN_EVENT=%s", kind->name);
    snprintf(in_name, sizeof in_name, "PORTOLAN_NAME=%s", name);
    snprintf(in_member, sizeof in_member, "PORTOLAN_MEMBER=%s", event->name);
    snprintf(in_self, sizeof in_self, "PORTOLAN_SELF=%s", events->self);
    snprintf(in_cause, sizeof in_cause, "PORTOLAN_CAUSE=%s", cause_of(event));
    snprintf(in_port, sizeof in_port, "PORTOLAN_PORT=%u",
             is_of_name(event) ? (unsigned)event->node->port : 0U);
    const struct event_hook_run run = {
        .event = kind->name,
        .name = name,
        .variables = {in_event, in_name, in_member, in_self, in_cause, in_port},
        .count = is_of_name(event) ? 6 : 5,
    };
    event_hook_start(events->hook, &run);
}

/* A member that is away is tried for long: the same is not said of it each time. */
static bool is_held_back(struct cluster_events *events, const struct cluster_event *event) {
    int64_t now_ms = clock_monotonic_ms();
    uint64_t hash = checksum_of(bytes_of_text(event->name));
    size_t slot = (size_t)(hash % CLUSTER_EVENTS_ATTEMPTS);
    if (event->type != CLUSTER_EVENT_LINK_REFUSED)
        return false;
    bool is_due = events->attempts[slot].cause != event->cause ||
                  now_ms - events->attempts[slot].at_ms >= CLUSTER_EVENTS_AGAIN_MS;
    events->attempts[slot].cause = event->cause;
    if (is_due)
        events->attempts[slot].at_ms = now_ms;
    return !is_due;
}

void cluster_events_report(struct cluster_events *events, const struct cluster_event *event,
                           const char *text) {
    const struct kind *kind = &event_kinds[event->type];
    bool comes_or_goes = event->type == CLUSTER_EVENT_NAME_REGISTERED ||
                         event->type == CLUSTER_EVENT_NAME_UNREGISTERED;
    bool is_own_name = comes_or_goes && strcmp(event->name, events->self) == 0;
    if (!is_own_name && !is_held_back(events, event)) /* the registry has told of an own name */
        log_it(kind, event, text);
    if (!kind->is_published)
        return;
    if (!is_own_name)
        publish(events, kind, event, text);
    run_program(events, kind, event);
}

void cluster_events_rejected(const struct peer_failure *failure) {
    char peer[ADDRESS_TEXT_SIZE];
    address_format(&failure->address, peer);
    log_event(LOG_LEVEL_WARN, "caller_refused", log_text("peer", peer),
              log_text("cause", cluster_cause_name(failure->cause)),
              log_text("reason", explain_rejected_caller(failure)),
              log_text("detail", failure->reason));
}
