/*
 * The users of this host that call, and what each may take here.
 *
 * A user may have a share of something that all share, such as limits.user_share of the descriptors
 * of this process; root and the daemon's own user are free. A caller whose user is unknown is
 * nobody's, and all of those together are one user. Subordinate users count as their owner.
 */
#ifndef PORTOLAN_HOST_LOCAL_USERS_H
#define PORTOLAN_HOST_LOCAL_USERS_H

#include "base/user.h"
#include "host/sock_diag.h"
#include "host/subordinate_users.h"
#include "net/address.h"

#include <stddef.h>

struct user_share;

/* `most`: what a user may have, 0 for any number. `owners`: whose the subordinate users are;
 * borrowed, or NULL. NULL when out of memory. */
struct user_share *user_share_new(size_t most, const struct subordinate_users *owners);
void user_share_free(struct user_share *share);

/* Another number from now on; what is over it stays. */
void user_share_configure(struct user_share *share, size_t most);

/* Counts so many more of a user: false, and not counted, over its share or when out of memory.
 * NULL as a share: any number. */
bool user_share_take(struct user_share *share, uint32_t user, unsigned count);
void user_share_give_back(struct user_share *share, uint32_t user, unsigned count);

/* Whether the user has no limit. */
bool user_share_is_free(const struct user_share *share, uint32_t user);

/* How often a user was refused more, since the start. */
uint64_t user_share_refused(const struct user_share *share);

/* So many percent, at least 1: 25 of 1000 is 250. 100 percent and more are 0, any number. */
size_t user_share_of(size_t total, uint64_t percent);

/* How the parts of the daemon come to know of users. All borrowed; NULL: not at all. */
struct local_users {
    struct sock_diag *diag;
    const struct subordinate_users *owners;
    struct user_share *descriptors; /* registered nodes, connections that wait, streams, … */
};

/* The user at the other end of an accepted connection; USER_NOBODY where it is not of this host, or
 * cannot be told. */
uint32_t local_users_caller(const struct local_users *users, int fd, const struct address *peer);

#endif
