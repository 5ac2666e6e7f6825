/*
 * The callers of the control socket, as the kernel reports them, and what they may do
 * (docs/control.md, "Who may").
 */
#ifndef PORTOLAN_CONTROL_ACCESS_H
#define PORTOLAN_CONTROL_ACCESS_H

#include "host/subordinate_users.h"

#include <stdbool.h>
#include <sys/types.h>

#define CONTROL_GROUP "portolan"

struct control_access {
    bool has_group;
    gid_t group;
};

struct control_caller {
    uid_t user;     /* (uid_t)-1: not known */
    uint32_t owner; /* whose share it takes: the user, or whose subordinate the user is */
    bool may_change;
};

/*
 * Looks CONTROL_GROUP up. That may ask a server (LDAP, NIS) and take its time: it is for the start
 * and a reload, never for a caller.
 */
struct control_access control_access_read(void);

/* The caller at the other end of a Unix socket: root, the daemon's own user and members of the
 * group may change things. `owners` may be NULL: no user is another's. */
struct control_caller control_access_ask(const struct control_access *access,
                                         const struct subordinate_users *owners, int fd);

#endif
