#include "base/comma_list.h"

#include <string.h>

#define SEPARATORS ", \t"

bool comma_list_next(const char **list, char *item, size_t size) {
    const char *start = *list + strspn(*list, SEPARATORS);
    size_t len = strcspn(start, SEPARATORS);
    size_t copied = len < size ? len : size - 1;
    memcpy(item, start, copied);
    item[copied] = '\0';
    *list = start + len;
    return len > 0;
}

bool comma_list_is_empty(const char *list) {
    return list[strspn(list, SEPARATORS)] == '\0';
}
