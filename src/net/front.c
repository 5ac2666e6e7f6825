#include "net/front.h"

#define TLS_HANDSHAKE 0x16
#define TLS_MAJOR_VERSION 0x03

enum front_caller front_classify(struct bytes first) {
    bool is_tls =
        first.len >= 2 && first.data[0] == TLS_HANDSHAKE && first.data[1] == TLS_MAJOR_VERSION;
    return is_tls ? FRONT_TLS : FRONT_UNKNOWN;
}

/* By the port alone: one port of a host is not opened twice for different uses. */
bool front_is_called(const struct listeners *listeners, int fd) {
    struct address own;
    socklen_t len = sizeof own;
    if (getsockname(fd, &own.any, &len) < 0)
        return false;
    for (size_t i = 0; i < listeners->count; i++) {
        if (listeners->all[i].role == LISTENER_FRONT &&
            address_port(&listeners->all[i].address) == address_port(&own))
            return true;
    }
    return false;
}
