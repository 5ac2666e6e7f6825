/*
 * Reading JSON (RFC 8259) where it lies, without allocating.
 *
 * A value is the run of bytes that it stands in. json_view_check looks at a whole text once; all
 * other functions expect a part of a text that passed it, or an empty run, which is "no value" and
 * of no type. So a chain of look-ups needs one check, at its end.
 *
 * The library has its own reader because it must be right when memory is out, bring nothing into
 * the programs that link it, and read lists of hundreds of thousands of names.
 */
#ifndef PORTOLAN_CLIENT_JSON_VIEW_H
#define PORTOLAN_CLIENT_JSON_VIEW_H

#include "base/bytes.h"

#define JSON_VIEW_DEPTH_MAX 32

/* Whether this is one JSON value, with white space around it at most, in UTF-8, and no deeper than
 * JSON_VIEW_DEPTH_MAX. */
bool json_view_check(struct bytes text);

/* The value of a member; empty when there is none, or `object` is not an object. Of members of one
 * name it is the first. */
struct bytes json_view_member(struct bytes object, const char *key);

/* Takes the next member, its key with the quotes. Begins with json_view_members(object), which is
 * empty for anything but an object. */
struct bytes json_view_members(struct bytes object);
bool json_view_next_member(struct bytes *members, struct bytes *key, struct bytes *value);
bool json_view_key_is(struct bytes key, const char *wanted);

/* Takes the next element. Begins with json_view_elements(array), which is empty for anything
 * but an array. */
struct bytes json_view_elements(struct bytes array);
bool json_view_next(struct bytes *elements, struct bytes *element);

bool json_view_is_true(struct bytes value);
bool json_view_is_false(struct bytes value);

/* An integer without fraction or exponent, min <= value <= max; else false, and *out unchanged. */
bool json_view_integer(struct bytes value, int64_t min, int64_t max, int64_t *out);

/* A string as UTF-8 with a NUL at its end. False for anything else, for one that holds a NUL, and
 * for one that does not fit into `size` bytes; then `out` is empty. json_view_text_size(value)
 * bytes are always enough. */
bool json_view_text(struct bytes value, char *out, size_t size);
size_t json_view_text_size(struct bytes value);

#endif
