#include "control/stream.h"

#include "net/json_whole.h"

#include <stdlib.h>
#include <string.h>

void control_stream_end(struct control_stream *stream) {
    if (stream != NULL)
        stream->end(stream);
}

bool control_stream_write_text(struct writer *out, struct bytes text, size_t *at) {
    size_t left = text.len - *at, room = out->capacity - out->len;
    size_t len = left < room ? left : room;
    if (left == 0)
        return true;
    if (len == 0) {
        out->failed = true;
        return false;
    }
    write_bytes(out, bytes_of(text.data + *at, len));
    *at += len;
    return *at == text.len;
}

bool control_stream_write_json(struct writer *out, json_t *object) {
    size_t room = out->capacity - out->len;
    size_t len = json_dumpb(object, (char *)out->start + out->len, room, CONTROL_JSON_FLAGS);
    json_decref(object);
    if (len == 0)
        return false;
    if (len > room)
        out->failed = true;
    else
        out->len += len;
    return true;
}

/* --- a reply as a whole --- */

struct whole {
    struct control_stream stream; /* first: a stream is its whole */
    char *text;
    size_t len, at;
};

static enum control_step write_whole(struct control_stream *stream, struct writer *out) {
    struct whole *whole = (struct whole *)stream;
    bool done = control_stream_write_text(out, bytes_of(whole->text, whole->len), &whole->at);
    return done ? CONTROL_STEP_END : CONTROL_STEP_MORE;
}

static void end_whole(struct control_stream *stream) {
    struct whole *whole = (struct whole *)stream;
    free(whole->text);
    free(whole);
}

struct control_stream *control_stream_of_json(json_t *reply) {
    struct whole *whole = reply == NULL ? NULL : calloc(1, sizeof *whole);
    if (whole != NULL) {
        whole->stream = (struct control_stream){.write = write_whole, .end = end_whole};
        whole->text = json_whole_text(reply, CONTROL_JSON_FLAGS);
    }
    json_decref(reply);
    if (whole == NULL || whole->text == NULL) {
        free(whole);
        return NULL;
    }
    whole->len = strlen(whole->text);
    return &whole->stream;
}
