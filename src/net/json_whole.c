#include "net/json_whole.h"

#include <stdbool.h>
#include <stdlib.h>

static json_t *drop(json_t *value) {
    json_decref(value);
    return NULL;
}

json_t *json_whole_set(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) == 0 ? object : drop(object);
}

json_t *json_whole_append(json_t *array, json_t *value) {
    return json_array_append_new(array, value) == 0 ? array : drop(array);
}

json_t *json_whole_update(json_t *object, json_t *others) {
    bool updated = object != NULL && others != NULL && json_object_update(object, others) == 0;
    json_decref(others);
    return updated ? object : drop(object);
}

char *json_whole_text(const json_t *value, size_t flags) {
    size_t len = value == NULL ? 0 : json_dumpb(value, NULL, 0, flags);
    char *text = len == 0 ? NULL : malloc(len + 1);
    if (text == NULL)
        return NULL;
    if (json_dumpb(value, text, len, flags) != len) {
        free(text);
        return NULL;
    }
    text[len] = '\0';
    return text;
}
