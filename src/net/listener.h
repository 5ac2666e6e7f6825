/*
 * Listening sockets: which addresses, and what to make of those that cannot be had.
 *
 * An address family that the machine lacks is skipped. An address that is there but taken, refused
 * or not this host's is a failure of the whole: a daemon never runs on half of what it was asked
 * for.
 */
#ifndef PORTOLAN_NET_LISTENER_H
#define PORTOLAN_NET_LISTENER_H

#include "net/address.h"

#include <stddef.h>

#define LISTENERS_MAX 128

enum listener_role { LISTENER_EPMD, LISTENER_FRONT };

extern const char *const listener_role_names[]; /* by enum listener_role */

struct listener {
    int fd; /* non-blocking, close-on-exec; owned */
    enum listener_role role;
    struct address address;
};

struct listeners {
    struct listener all[LISTENERS_MAX];
    size_t count;
};

struct listen_failure {
    struct address address; /* when item[0] == '\0' */
    char item[128];         /* the invalid address in the list, cut if it is long */
    int error;              /* an errno */
};

/*
 * Opens, besides what is open, all addresses of the comma-separated list on the port, and the
 * loopback addresses too, as epmd does; NULL or empty: all addresses of the host. On failure all
 * are closed.
 */
bool listeners_open(struct listeners *listeners, enum listener_role role, const char *list,
                    uint16_t port, struct listen_failure *failure);

/* Takes a socket that someone else opened (systemd): true when it is a listening TCP socket. */
bool listeners_adopt(struct listeners *listeners, enum listener_role role, int fd);

void listeners_close(struct listeners *listeners);

#endif
