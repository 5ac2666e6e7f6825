/*
 * A reply on the control socket that is made as its caller reads it: piece by piece, so that a list
 * of any length costs the memory of a piece, and the time of one at a time.
 */
#ifndef PORTOLAN_CONTROL_STREAM_H
#define PORTOLAN_CONTROL_STREAM_H

#include "base/bytes.h"

#include <jansson.h>

/* A part is never longer, but for texts, which are cut where it suits. */
#define CONTROL_PART_MAX 16384

/* How jansson is to write: numbers with a fraction have six digits. */
#define CONTROL_JSON_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6))

enum control_step {
    CONTROL_STEP_MORE,
    CONTROL_STEP_END,
    CONTROL_STEP_FAILED, /* memory is out: the line cannot be finished */
};

struct control_stream {
    /*
     * Appends the next part, or nothing when there is much to look through: a part takes some
     * microseconds. What does not fit leaves the writer failed, is cut off again, and comes with
     * the next call. After END nothing comes.
     */
    enum control_step (*write)(struct control_stream *stream, struct writer *out);

    /* Frees it, wherever it stands. */
    void (*end)(struct control_stream *stream);
};

/* A reply as a whole, which is taken over. NULL when memory is out, or `reply` is NULL. */
struct control_stream *control_stream_of_json(json_t *reply);

/* Appends an object as a part of a line, and drops it. False: it is NULL, for memory is out. */
bool control_stream_write_json(struct writer *out, json_t *object);

/* NULL is fine. */
void control_stream_end(struct control_stream *stream);

/*
 * A text that goes out cut where it suits. `at` counts what is out; true once all is.
 */
bool control_stream_write_text(struct writer *out, struct bytes text, size_t *at);

#endif
