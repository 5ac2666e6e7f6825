/*
 * Any bytes as what netlink answers to a question whose a socket is.
 *
 * What holds: nothing is read beyond the datagram; a socket or an error comes only from a message
 * of the question's number, whole; an error is an errno or 0; a datagram that does not have that
 * number in it answers nothing.
 */
#include "fuzz.h"

#include "host/sock_diag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <string.h>

#define NUMBER 1

static bool has_number(struct bytes datagram, uint32_t number) {
    return memmem(datagram.data, datagram.len, &number, sizeof number) != NULL;
}

static void check(struct bytes datagram, uint32_t number) {
    struct sock_diag_socket socket;
    int error = -1;
    enum sock_diag_parsed parsed = sock_diag_parse(datagram, number, &socket, &error);
    if (parsed != SOCK_DIAG_IS_OTHER)
        must(has_number(datagram, number));
    if (parsed == SOCK_DIAG_IS_SOCKET)
        must(datagram.len >= sizeof(struct nlmsghdr) + sizeof(struct inet_diag_msg));
    if (parsed == SOCK_DIAG_IS_ERROR)
        must(error >= 0 && error < 4096);
    else
        must(error == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size, 0);
    check(bytes_of(copy, size), NUMBER);
    check(bytes_of(copy, size), UINT32_MAX);
    free(copy);
    return 0;
}
