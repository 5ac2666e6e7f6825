#include "control/names.h"

#include "base/clock.h"
#include "control/cluster.h"
#include "control/list.h"
#include "control/reply.h"

#include <stdlib.h>

/* --- of this daemon --- */

struct names_list {
    struct control_list list;
    struct registry_cursor cursor;
    int64_t now_ms;
};

static json_t *describe(const struct registration *registration, int64_t now_ms) {
    return json_pack("{s:o, s:i, s:o, s:s, s:I, s:I}", "name",
                     events_json_text(registration->node.name), "port", registration->node.port,
                     "front_port", control_port_or_null(registration->front_port), "type",
                     epmd_node_type_name(registration->node.type), "creation",
                     (json_int_t)registration->creation, "since_s",
                     (json_int_t)((now_ms - registration->since_ms) / 1000));
}

static enum control_step write_name(struct control_list *base, struct writer *out) {
    struct names_list *list = (struct names_list *)base;
    const struct registration *registration = registry_cursor_peek(&list->cursor);
    if (registration == NULL)
        return CONTROL_STEP_END;
    enum control_step step = control_list_write(base, out, describe(registration, list->now_ms));
    if (!out->failed)
        registry_cursor_advance(&list->cursor);
    return step;
}

static void free_names(struct control_list *base) {
    struct names_list *list = (struct names_list *)base;
    registry_cursor_end(&list->cursor);
    free(list);
}

static struct control_stream *own_names(const struct control_context *control) {
    struct names_list *list = calloc(1, sizeof *list);
    if (list == NULL)
        return NULL;
    list->list.item = write_name;
    list->list.free = free_names;
    list->now_ms = clock_monotonic_ms();
    registry_cursor_begin(&list->cursor, control->service->registry, REGISTRY_LIVE);
    return control_list_reply(
        &list->list, control_list_begin(&list->list, control_ok(), 1, ",\"names\":[", "]}"));
}

/* --- of the cluster --- */

struct directory_list {
    struct control_list list;
    struct directory_cursor cursor;
};

static json_t *describe_entry(const struct directory_entry *entry) {
    return json_pack(
        "{s:o, s:o, s:i, s:o, s:s, s:I, s:o, s:s}", "name", events_json_text(entry->node.name),
        "host", events_json_text(directory_owner_host(entry->owner)), "port", (int)entry->node.port,
        "front_port", control_port_or_null(entry->node.front_port), "type",
        epmd_node_type_name(entry->node.type), "creation", (json_int_t)entry->node.creation,
        "member", events_json_text(directory_owner_name(entry->owner)), "member_state",
        cluster_state_name(cluster_owner_state(entry->owner)));
}

static enum control_step write_entry(struct control_list *base, struct writer *out) {
    struct directory_list *list = (struct directory_list *)base;
    const struct directory_entry *entry = directory_cursor_peek(&list->cursor);
    if (entry == NULL)
        return CONTROL_STEP_END;
    enum control_step step = control_list_write(base, out, describe_entry(entry));
    if (!out->failed)
        directory_cursor_advance(&list->cursor);
    return step;
}

static void free_directory(struct control_list *base) {
    struct directory_list *list = (struct directory_list *)base;
    directory_cursor_end(&list->cursor);
    free(list);
}

struct control_stream *control_names_of_members(const struct directory *directory) {
    struct directory_list *list = calloc(1, sizeof *list);
    if (list == NULL)
        return NULL;
    list->list.item = write_entry;
    list->list.free = free_directory;
    directory_cursor_begin(&list->cursor, directory);
    return control_list_reply(
        &list->list, control_list_begin(&list->list, control_ok(), 1, ",\"names\":[", "]}"));
}

struct control_stream *control_names(struct control_context *control, struct control_conn *conn,
                                     const json_t *request) {
    (void)conn;
    if (!json_is_true(json_object_get(request, "cluster")))
        return own_names(control);
    if (control->cluster == NULL)
        return control_stream_of_json(control_no_cluster(control));
    return control_names_of_members(cluster_directory(cluster_service_cluster(control->cluster)));
}
