#include "control/list.h"

#include "net/json_whole.h"

#include <stdlib.h>
#include <string.h>

/* The text that goes out next: true once it is out. */
static bool write_out(struct control_list *list, struct writer *out, const char *text) {
    if (!control_stream_write_text(out, bytes_of_text(text), &list->at))
        return false;
    list->at = 0;
    return true;
}

static enum control_step write_list(struct control_stream *stream, struct writer *out) {
    struct control_list *list = (struct control_list *)stream;
    if (!list->head_is_out) {
        list->head_is_out = write_out(list, out, list->head);
        return CONTROL_STEP_MORE;
    }
    if (list->items_are_out)
        return write_out(list, out, list->tail) ? CONTROL_STEP_END : CONTROL_STEP_MORE;
    enum control_step step = list->item(list, out);
    list->items_are_out = step == CONTROL_STEP_END;
    return step == CONTROL_STEP_END ? CONTROL_STEP_MORE : step;
}

static void end_list(struct control_stream *stream) {
    struct control_list *list = (struct control_list *)stream;
    free(list->head);
    free(list->tail);
    list->free(list);
}

bool control_list_begin(struct control_list *list, json_t *object, size_t cut, const char *open,
                        const char *tail) {
    char *text = json_whole_text(object, CONTROL_JSON_FLAGS);
    json_decref(object);
    list->stream = (struct control_stream){.write = write_list, .end = end_list};
    list->tail = strdup(tail);
    if (text != NULL) {
        size_t len = strlen(text) - cut;
        list->head = realloc(text, len + strlen(open) + 1);
        if (list->head != NULL)
            strcpy(list->head + len, open);
        else
            free(text);
    }
    return list->head != NULL && list->tail != NULL;
}

struct control_stream *control_list_reply(struct control_list *list, bool began) {
    if (began)
        return &list->stream;
    list->stream.end(&list->stream);
    return NULL;
}

enum control_step control_list_write(struct control_list *list, struct writer *out, json_t *item) {
    if (list->has_items)
        write_u8(out, ',');
    if (!control_stream_write_json(out, item))
        return CONTROL_STEP_FAILED;
    if (!out->failed)
        list->has_items = true;
    return CONTROL_STEP_MORE;
}
