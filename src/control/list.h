/*
 * A reply that is a list, made item by item as its caller reads it (control/stream): what
 * stands before the list, its items with commas between them, what stands behind it.
 */
#ifndef PORTOLAN_CONTROL_LIST_H
#define PORTOLAN_CONTROL_LIST_H

#include "control/stream.h"

/* The base of a list: its first member. */
struct control_list {
    struct control_stream stream;
    char *head, *tail; /* owned */
    size_t at;         /* in the one that is being written */
    bool head_is_out, items_are_out;
    bool has_items; /* an item was written, so that the next one has a comma before it */

    /* Writes the next item, or a part of one, as control_stream's `write`. */
    enum control_step (*item)(struct control_list *list, struct writer *out);
    void (*free)(struct control_list *list);
};

/*
 * Of the reply `object` (taken over) as text the last `cut` bytes, closing braces, are left out,
 * and `open`, the items, and `tail` follow; `tail` closes what the cut left open. False when out of
 * memory: then control_list_end ends it, as any other.
 */
bool control_list_begin(struct control_list *list, json_t *object, size_t cut, const char *open,
                        const char *tail);

/* The list as a reply, or NULL, and ended, where `began` is false. */
struct control_stream *control_list_reply(struct control_list *list, bool began);

/* Writes an object as an item (taken over; NULL: memory is out). */
enum control_step control_list_write(struct control_list *list, struct writer *out, json_t *item);

#endif
