#include "service/events.h"

#include "base/clock.h"
#include "base/control_protocol.h"
#include "base/text.h"
#include "net/json_whole.h"

#include <stdio.h>
#include <time.h>

json_t *events_json_text(struct bytes text) {
    char escaped[6 * 1024];
    json_t *plain = json_stringn((const char *)text.data, text.len);
    if (plain != NULL)
        return plain;
    struct writer writer = writer_of(escaped, sizeof escaped);
    text_write_escaped(&writer, text);
    return json_stringn(escaped, writer.len);
}

json_t *events_json_time(int64_t wall_ms) {
    char text[48];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, sizeof text - len, ".%03dZ", (int)(wall_ms % 1000));
    return json_string(text);
}

bool events_is_watched(const struct events *events) {
    return events->watched != NULL && events->watched(events->context);
}

void events_publish(struct events *events, const char *kind, json_t *event) {
    json_t *head = json_pack("{s:i, s:s, s:o}", "v", CONTROL_PROTOCOL_VERSION, "event", kind, "at",
                             events_json_time(clock_wall_ms()));
    events->publish(events->context, json_whole_update(head, event));
}

void events_registered(struct events *events, const struct registration *registration) {
    const struct epmd_node *node = &registration->node;
    log_event(LOG_LEVEL_INFO, "registered", log_bytes("name", node->name),
              log_number("port", node->port), log_number("creation", registration->creation),
              log_text("type", epmd_node_type_name(node->type)));
    if (events_is_watched(events))
        events_publish(events, "registered",
                       json_pack("{s:o, s:i, s:I, s:s}", "name", events_json_text(node->name),
                                 "port", node->port, "creation", (json_int_t)registration->creation,
                                 "type", epmd_node_type_name(node->type)));
}

void events_unregistered(struct events *events, const struct registration *registration,
                         const char *reason) {
    const struct epmd_node *node = &registration->node;
    log_event(LOG_LEVEL_INFO, "unregistered", log_bytes("name", node->name),
              log_number("port", node->port), log_number("creation", registration->creation),
              log_text("reason", reason));
    if (events_is_watched(events))
        events_publish(events, "unregistered",
                       json_pack("{s:o, s:i, s:I, s:s}", "name", events_json_text(node->name),
                                 "port", node->port, "creation", (json_int_t)registration->creation,
                                 "reason", reason));
}

static void log_refusal(const struct epmd_refusal *refusal, const char *peer) {
    if (refusal->node == NULL)
        log_event(LOG_LEVEL_WARN, "refused", log_text("what", refusal->what),
                  log_text("reason", refusal->reason), log_text("peer", peer));
    else
        log_event(LOG_LEVEL_WARN, "refused", log_text("what", refusal->what),
                  log_bytes("name", refusal->node->name), log_number("port", refusal->node->port),
                  log_text("reason", refusal->reason), log_text("peer", peer));
}

void events_refused(struct events *events, const struct epmd_refusal *refusal) {
    char peer[ADDRESS_TEXT_SIZE];
    address_format(refusal->peer, peer);
    log_refusal(refusal, peer);
    if (!events_is_watched(events))
        return;
    json_t *event = json_pack("{s:s, s:s, s:s}", "what", refusal->what, "reason", refusal->reason,
                              "peer", peer);
    if (refusal->node != NULL) {
        event = json_whole_set(event, "name", events_json_text(refusal->node->name));
        event = json_whole_set(event, "port", json_integer(refusal->node->port));
    }
    events_publish(events, "refused", event);
}

void events_limit_hit(const char *limit, const char *outcome) {
    log_event(LOG_LEVEL_WARN, "limit", log_text("limit", limit), log_text("outcome", outcome));
}

void events_leased(struct events *events, struct bytes name, uint16_t port) {
    log_event(LOG_LEVEL_INFO, "leased", log_bytes("name", name), log_number("port", port));
    if (events_is_watched(events))
        events_publish(events, "leased",
                       json_pack("{s:o, s:i}", "name", events_json_text(name), "port", port));
}

/* Where its node or another name was seen instead, the log says why the lease was not used. */
static void log_lease_ended(const struct port_lease_ending *ending) {
    const struct log_field seen_port = log_number("other_port", ending->other_port);
    const struct log_field seen_name = log_bytes("other_name", ending->other_name);
    struct log_field fields[5] = {
        log_bytes("name", ending->lease.name),
        log_number("port", ending->lease.port),
        log_text("reason", port_lease_end_names[ending->end]),
    };
    size_t count = 3;
    if (ending->other_port != 0)
        fields[count++] = seen_port;
    if (ending->other_name.len > 0)
        fields[count++] = seen_name;
    enum log_level level = count > 3 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;
    if (log_enabled(level))
        log_write(level, "lease_ended", fields, count);
}

void events_lease_ended(struct events *events, const struct port_lease_ending *ending) {
    log_lease_ended(ending);
    if (!events_is_watched(events))
        return;
    json_t *event =
        json_pack("{s:o, s:i, s:s}", "name", events_json_text(ending->lease.name), "port",
                  ending->lease.port, "reason", port_lease_end_names[ending->end]);
    if (ending->other_port != 0)
        event = json_whole_set(event, "other_port", json_integer(ending->other_port));
    if (ending->other_name.len > 0)
        event = json_whole_set(event, "other_name", events_json_text(ending->other_name));
    events_publish(events, "lease_ended", event);
}
