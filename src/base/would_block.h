/* What a call on a non-blocking descriptor says where it has to be made again later. */
#ifndef PORTOLAN_BASE_WOULD_BLOCK_H
#define PORTOLAN_BASE_WOULD_BLOCK_H

#include <errno.h>
#include <stdbool.h>

static inline bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

#endif
