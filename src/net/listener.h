/*
 * Listening sockets for epmd's port: which addresses, and what to make of those that cannot be had.
 *
 * An address family that the machine lacks is skipped. An address that is there but taken, refused
 * or not this host's is a failure of the whole: a daemon never runs on half of what it was asked
 * for.
 */
#ifndef PORTOLAN_NET_LISTENER_H
#define PORTOLAN_NET_LISTENER_H

#include "net/address.h"

#include <stddef.h>

#define LISTENERS_MAX 64

struct listeners {
    int fds[LISTENERS_MAX]; /* non-blocking, close-on-exec; owned */
    size_t count;
};

struct listen_failure {
    struct address address; /* when item[0] == '\0' */
    char item[128];         /* what is no address in the list, cut if it is long */
    int error;              /* an errno */
};

/*
 * Opens all addresses of the comma-separated list, and the loopback addresses too, as epmd does;
 * NULL or empty: all addresses of the host. On failure nothing stays open.
 */
bool listeners_open(struct listeners *listeners, const char *list, uint16_t port,
                    struct listen_failure *failure);

/* Takes a socket that someone else opened (systemd): true when it is a listening TCP socket. */
bool listeners_adopt(struct listeners *listeners, int fd);

void listeners_close(struct listeners *listeners);

#endif
