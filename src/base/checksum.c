#include "base/checksum.h"

uint64_t checksum_of(struct bytes bytes) {
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes.len; i++)
        sum = (sum ^ bytes.data[i]) * UINT64_C(0x100000001b3);
    return sum;
}
