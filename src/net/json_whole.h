/*
 * JSON values that are whole or not there at all: out of memory, what was begun is dropped and NULL
 * comes instead, so that nobody is sent an object without one of its members. Jansson's own
 * json_pack does the same; json_object_set_new and json_array_append_new leave the check to their
 * callers, and json_dumps may leave out a part of a text when memory ends (2.14).
 */
#ifndef PORTOLAN_NET_JSON_WHOLE_H
#define PORTOLAN_NET_JSON_WHOLE_H

#include <jansson.h>

/* The object with one member more. Both are taken over; NULL where one of them is NULL. */
json_t *json_whole_set(json_t *object, const char *key, json_t *value);

/* The array with one item more, in the same way. */
json_t *json_whole_append(json_t *array, json_t *value);

/* The object with the members of another, which is taken over too. */
json_t *json_whole_update(json_t *object, json_t *others);

/* The value as a text that the caller frees. NULL when out of memory, or `value` is NULL. */
char *json_whole_text(const json_t *value, size_t flags);

#endif
