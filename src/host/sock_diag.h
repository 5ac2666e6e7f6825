/*
 * Whose a TCP socket of this host is: exact questions to the kernel, by netlink (sock_diag(7)).
 *
 * Never a dump: a question names one socket, and costs some microseconds whatever the number of
 * sockets. The kernel answers within the call that asks, so nothing waits; where it does not,
 * SOCK_DIAG_WAIT_MS end it. One netlink socket is kept open.
 *
 * A socket that is closed, or that its owner has not accepted yet, reads as user 0 with inode 0:
 * that is nobody, and not root. A user that this user namespace has no number for reads as the
 * overflow user, which stands for many: nobody as well.
 *
 * An IPv4 address mapped into IPv6 is asked for as IPv4, as its packets travel: asked for as IPv6,
 * ::ffff:127.0.0.1 can find another socket than the one that a connection to it reaches.
 */
#ifndef PORTOLAN_HOST_SOCK_DIAG_H
#define PORTOLAN_HOST_SOCK_DIAG_H

#include "base/bytes.h"
#include "base/user.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define SOCK_DIAG_WAIT_MS 10

struct sock_diag;

/* The netlink socket is opened now, or, should that fail, at a question. NULL: out of memory. */
struct sock_diag *sock_diag_new(void);
void sock_diag_free(struct sock_diag *diag);

enum sock_diag_verdict {
    SOCK_DIAG_FOUND,     /* and whose it is */
    SOCK_DIAG_NOT_FOUND, /* no such socket */
    SOCK_DIAG_NOBODYS,   /* there is, and it has no owner that could be told */
    SOCK_DIAG_DENIED,    /* this process may not ask */
    SOCK_DIAG_NO_ANSWER, /* netlink cannot be had here, or nothing came in time */
};

/* For people: why the user is unknown. */
const char *sock_diag_reason(enum sock_diag_verdict verdict);

/*
 * The user whose end of an established connection this is: `end` is that socket's own address,
 * `other` the one it is connected to, as getsockname and getpeername give them. *user is
 * USER_NOBODY unless it was found.
 */
enum sock_diag_verdict sock_diag_connected(struct sock_diag *diag, const struct sockaddr *end,
                                           const struct sockaddr *other, uint32_t *user);

/* The user who listens where a connection to this address arrives; likewise. */
enum sock_diag_verdict sock_diag_listening(struct sock_diag *diag, const struct sockaddr *address,
                                           uint32_t *user);

/* Whether there are answers at all: asks for a socket that is there for certain. */
enum sock_diag_verdict sock_diag_try(struct sock_diag *diag);

/* An errno: why the last question got no answer. 0: it was not asked, or the answer made no sense.
 */
int sock_diag_error(const struct sock_diag *diag);

/* What the kernel says of one socket. */
struct sock_diag_socket {
    uint8_t state; /* TCP_ESTABLISHED, TCP_LISTEN, … */
    uint32_t user;
    uint32_t inode; /* 0: nothing holds it */
};

/* Of the answers in a datagram, the one to the question of this number. */
enum sock_diag_parsed {
    SOCK_DIAG_IS_SOCKET, /* *socket is filled */
    SOCK_DIAG_IS_ERROR,  /* *error is: an errno, or 0 where there is none */
    SOCK_DIAG_IS_OTHER,  /* none is, or it is damaged */
};

enum sock_diag_parsed sock_diag_parse(struct bytes datagram, uint32_t number,
                                      struct sock_diag_socket *socket, int *error);

#endif
