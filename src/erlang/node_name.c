#include "erlang/node_name.h"

#include "base/text.h"

enum alive_name_verdict alive_name_check(struct bytes name) {
    size_t characters;
    if (name.len == 0)
        return ALIVE_NAME_EMPTY;
    if (bytes_contain(name, 0))
        return ALIVE_NAME_HAS_NUL;
    if (!text_is_utf8(name, &characters))
        return ALIVE_NAME_NOT_UTF8;
    if (characters > ALIVE_NAME_MAX_CHARACTERS)
        return ALIVE_NAME_TOO_LONG;
    return ALIVE_NAME_OK;
}

bool alive_name_fits_line(struct bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < 0x20 || name.data[i] == 0x7f)
            return false;
    }
    return true;
}
