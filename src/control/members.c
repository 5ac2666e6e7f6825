#include "control/members.h"

#include "base/clock.h"
#include "control/list.h"
#include "net/json_whole.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The members as they were when they were asked for, sorted as EMQX sorts them: names, for a view
 * is not good for long. What is told of each is what is so when it is its turn.
 */
struct members_list {
    struct control_list list;
    const struct control_context *control;
    char **names; /* into `texts` */
    char *texts;
    size_t count, next;
};

static json_t *describe(const struct control_context *control,
                        const struct cluster_member_view *member) {
    char text[ADDRESS_TEXT_SIZE];
    const struct address *address = cluster_service_address(control->cluster, member->name);
    json_t *object = json_pack(
        "{s:s, s:s, s:b, s:b, s:b, s:I, s:i, s:I, s:I}", "name", member->name, "state",
        cluster_state_name(member->state), "self", member->is_self, "linked", member->linked,
        "path_broken", member->path_broken, "incarnation", (json_int_t)member->incarnation, "port",
        (int)member->port, "names", (json_int_t)member->names, "since_s",
        (json_int_t)((clock_monotonic_ms() - member->since_ms) / 1000));
    object =
        json_whole_set(object, "address",
                       address == NULL ? json_null() : json_string(address_format(address, text)));
    return member->cause == CLUSTER_CAUSE_NONE
               ? object
               : json_whole_set(object, "cause", json_string(cluster_cause_name(member->cause)));
}

static bool is_listed(enum cluster_state state) {
    return state == CLUSTER_ALIVE || state == CLUSTER_SUSPECT || state == CLUSTER_DOWN;
}

/* One that left the list meanwhile is passed over. */
static enum control_step write_member(struct control_list *base, struct writer *out) {
    struct members_list *list = (struct members_list *)base;
    const struct cluster *cluster = cluster_service_cluster(list->control->cluster);
    struct cluster_member_view member;
    enum control_step step = CONTROL_STEP_MORE;
    if (list->next == list->count)
        return CONTROL_STEP_END;
    if (cluster_member_find(cluster, list->names[list->next], &member) && is_listed(member.state))
        step = control_list_write(base, out, describe(list->control, &member));
    if (!out->failed)
        list->next++;
    return step;
}

static void free_members(struct control_list *base) {
    struct members_list *list = (struct members_list *)base;
    free(list->names);
    free(list->texts);
    free(list);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t measure(const struct cluster *cluster) {
    struct cluster_member_view view;
    size_t cursor = 0, len = 0;
    while (cluster_member_next(cluster, &cursor, false, &view))
        len += strlen(view.name) + 1;
    return len;
}

static bool copy_names(struct members_list *list, const struct cluster *cluster) {
    struct cluster_member_view view;
    size_t cursor = 0;
    list->names = calloc(cluster_member_count(cluster) + 1, sizeof *list->names);
    list->texts = malloc(measure(cluster) + 1);
    if (list->names == NULL || list->texts == NULL)
        return false;
    for (char *at = list->texts; cluster_member_next(cluster, &cursor, false, &view);) {
        list->names[list->count++] = at;
        at = stpcpy(at, view.name) + 1;
    }
    qsort(list->names, list->count, sizeof *list->names, compare_names);
    return true;
}

struct control_stream *control_members(const struct control_context *control, json_t *head,
                                       json_t *rest) {
    struct members_list *list = calloc(1, sizeof *list);
    char *rest_text = json_whole_text(rest, CONTROL_JSON_FLAGS);
    char tail[1024];
    bool made = list != NULL && rest_text != NULL &&
                (size_t)snprintf(tail, sizeof tail, "],%s", rest_text + 1) < sizeof tail;
    json_decref(rest);
    free(rest_text);
    if (!made) {
        json_decref(head);
        free(list);
        return NULL;
    }
    list->list.item = write_member;
    list->list.free = free_members;
    list->control = control;
    bool began = control_list_begin(&list->list, head, 1, ",\"members\":[", tail);
    return control_list_reply(&list->list,
                              began && copy_names(list, cluster_service_cluster(control->cluster)));
}
