#include "base/checksum.h"

uint64_t checksum_add(uint64_t sum, struct bytes more) {
    for (size_t i = 0; i < more.len; i++)
        sum = (sum ^ more.data[i]) * UINT64_C(0x100000001b3);
    return sum;
}

uint64_t checksum_of(struct bytes bytes) {
    return checksum_add(CHECKSUM_OF_NOTHING, bytes);
}
