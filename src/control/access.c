#include "control/access.h"

#include <grp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUPS_MAX 256

struct control_access control_access_read(void) {
    const struct group *wanted = getgrnam(CONTROL_GROUP);
    if (wanted == NULL)
        return (struct control_access){.has_group = false};
    return (struct control_access){.has_group = true, .group = wanted->gr_gid};
}

static bool is_in_group(const struct control_access *access, int fd, gid_t primary) {
    gid_t groups[GROUPS_MAX];
    socklen_t size = sizeof groups;
    if (!access->has_group)
        return false;
    if (primary == access->group)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof groups[0]; i++) {
        if (groups[i] == access->group)
            return true;
    }
    return false;
}

struct control_caller control_access_ask(const struct control_access *access,
                                         const struct subordinate_users *owners, int fd) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return (struct control_caller){.user = (uid_t)-1, .owner = USER_NOBODY};
    bool may_change = peer.uid == 0 || peer.uid == geteuid() || is_in_group(access, fd, peer.gid);
    return (struct control_caller){.user = peer.uid,
                                   .owner = subordinate_users_owner(owners, peer.uid),
                                   .may_change = may_change};
}
