#include "net/hop_mark.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/socket.h>

/* The headers of the first packet: at most 60 bytes of IPv4, or 40 of IPv6 and extensions, and 60
 * of TCP. */
#define SAVED_SIZE 512

/* Where the two versions of IP have it. */
#define V4_HOPS_AT 8
#define V6_HOPS_AT 7

void hop_mark_set(int fd) {
    const int hops = HOP_MARK_LIMIT;
    /* one of them is of the other family, and fails */
    setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof hops);
    setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops);
}

void hop_mark_save(int listening_fd) {
    const int on = 1;
    setsockopt(listening_fd, IPPROTO_TCP, TCP_SAVE_SYN, &on, sizeof on);
}

bool hop_mark_found(int fd) {
    uint8_t saved[SAVED_SIZE];
    socklen_t len = sizeof saved;
    if (getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, saved, &len) < 0)
        return false;
    if (len <= V4_HOPS_AT)
        return true;
    return saved[saved[0] >> 4 == 4 ? V4_HOPS_AT : V6_HOPS_AT] == HOP_MARK_LIMIT;
}
