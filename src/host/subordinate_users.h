/*
 * Whose the subordinate users of this host are: subuid(5) gives a user thousands of them, and every
 * one is another user to the kernel. Where users have shares, they count as their owner.
 */
#ifndef PORTOLAN_HOST_SUBORDINATE_USERS_H
#define PORTOLAN_HOST_SUBORDINATE_USERS_H

#include "base/user.h"

#include <stddef.h>

#define SUBORDINATE_USERS_FILE "/etc/subuid"
#define SUBORDINATE_RANGES_MAX 65536 /* of the file; what follows is left out */

struct subordinate_users;

/*
 * Reads the file: lines of OWNER:FIRST:COUNT, where OWNER is a name or a number. Looks names up, so
 * it may wait for a directory service; owners that are not known and lines that make no sense are
 * left out. A file that is not there, or cannot be read, has nobody in it. NULL: out of memory.
 */
struct subordinate_users *subordinate_users_read(const char *path);
void subordinate_users_free(struct subordinate_users *users);

/* The owner of a user, and the user itself where it is subordinate to nobody. NULL as `users`:
 * nobody has any. */
uint32_t subordinate_users_owner(const struct subordinate_users *users, uint32_t user);

size_t subordinate_users_count(const struct subordinate_users *users); /* ranges */

#endif
