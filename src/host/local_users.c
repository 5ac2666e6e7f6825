#include "host/local_users.h"

#include "net/host_limit.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

struct user_share {
    struct host_limit *limit;
    const struct subordinate_users *owners;
    uint32_t own_user;
    uint64_t refused;
};

static unsigned clamp(size_t most) {
    return most < UINT_MAX ? (unsigned)most : UINT_MAX;
}

struct user_share *user_share_new(size_t most, const struct subordinate_users *owners) {
    struct user_share *share = calloc(1, sizeof *share);
    if (share == NULL)
        return NULL;
    share->own_user = geteuid();
    share->owners = owners;
    share->limit = host_limit_new(clamp(most));
    if (share->limit != NULL)
        return share;
    free(share);
    return NULL;
}

void user_share_free(struct user_share *share) {
    if (share == NULL)
        return;
    host_limit_free(share->limit);
    free(share);
}

void user_share_configure(struct user_share *share, size_t most) {
    host_limit_configure(share->limit, clamp(most));
}

/* A user who may end the daemon anyway needs no limit. */
bool user_share_is_free(const struct user_share *share, uint32_t user) {
    return share == NULL || user == USER_ROOT || user_same(user, share->own_user);
}

static struct limit_key key_of(const struct user_share *share, uint32_t user) {
    return limit_key_of_user(subordinate_users_owner(share->owners, user));
}

bool user_share_take(struct user_share *share, uint32_t user, unsigned count) {
    if (user_share_is_free(share, user) ||
        host_limit_take(share->limit, key_of(share, user), count))
        return true;
    share->refused++;
    return false;
}

void user_share_give_back(struct user_share *share, uint32_t user, unsigned count) {
    if (!user_share_is_free(share, user))
        host_limit_give_back(share->limit, key_of(share, user), count);
}

uint64_t user_share_refused(const struct user_share *share) {
    return share == NULL ? 0 : share->refused;
}

size_t user_share_of(size_t total, uint64_t percent) {
    if (percent >= 100)
        return 0;
    size_t most = total / 100 * (size_t)percent + total % 100 * (size_t)percent / 100;
    return most == 0 ? 1 : most;
}

uint32_t local_users_caller(const struct local_users *users, int fd, const struct address *peer) {
    struct address own;
    socklen_t len = sizeof own;
    uint32_t user;
    if (users == NULL || users->diag == NULL || getsockname(fd, &own.any, &len) < 0)
        return USER_NOBODY;
    sock_diag_connected(users->diag, &peer->any, &own.any, &user);
    return user;
}
