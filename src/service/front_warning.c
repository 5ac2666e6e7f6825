#include "service/front_warning.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define HOLDER_SIZE 64

static void tell(const struct front_warning *warning, const struct front_port_warning *pending,
                 struct bytes holder) {
    const struct bytes name = bytes_of(pending->name, pending->name_len);
    log_event(LOG_LEVEL_WARN, "no_front_port", log_bytes("name", name),
              log_number("front_port", pending->front_port), log_text("reason", pending->reason),
              log_bytes("holder", holder.len > 0 ? holder : bytes_of_text("unknown")),
              log_text("outcome",
                       "other hosts get the node's own port; opening the front port is retried"));
    if (events_is_watched(warning->events))
        events_publish(warning->events, "no_front_port",
                       json_pack("{s:o, s:i, s:i, s:s, s:o}", "name", events_json_text(name),
                                 "port", pending->port, "front_port", pending->front_port, "reason",
                                 pending->reason, "holder",
                                 holder.len > 0 ? events_json_text(holder) : json_null()));
}

static void on_found(void *context, const struct port_owner *found) {
    struct front_warning *warning = context;
    char holder[HOLDER_SIZE] = "";
    if (found != NULL)
        snprintf(holder, sizeof holder, "%s (process %d)", found->program, (int)found->pid);
    front_warning_stop(warning);
    tell(warning, &warning->pending, bytes_of_text(holder));
}

/* Whether the warning is given when a search has come to its end. */
static bool search(struct front_warning *warning, const struct front_port_warning *pending) {
    int64_t now_ms = clock_monotonic_ms();
    if (warning->search != NULL ||
        (warning->searched_ms != 0 && now_ms - warning->searched_ms < FRONT_SEARCH_PAUSE_MS))
        return false;
    warning->searched_ms = now_ms;
    warning->pending = *pending;
    warning->search = port_search_start(warning->base, pending->front_port, on_found, warning);
    return warning->search != NULL;
}

void front_warning_report(struct front_warning *warning, const struct front_port_error *error) {
    const struct epmd_node *node = &error->registration->node;
    struct front_port_warning pending = {
        .name_len = node->name.len, .port = node->port, .front_port = error->port};
    memcpy(pending.name, node->name.data, node->name.len);
    snprintf(pending.reason, sizeof pending.reason, "%s", error->reason);
    if (!error->in_use || !search(warning, &pending))
        tell(warning, &pending, error->name);
}

void front_warning_stop(struct front_warning *warning) {
    port_search_free(warning->search);
    warning->search = NULL;
}
