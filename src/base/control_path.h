/*
 * Where the control socket of a daemon is when no setting names it. The daemon makes it at
 * control_path_default; the command line and libportolan look for it with control_path_find. One
 * rule for all three, so that they meet also where XDG_RUNTIME_DIR is set for one of them only, as
 * under cron and su, and where there is none at all, as in containers.
 *
 *   who                    where, the first that applies
 *   ---------------------  -----------------------------------------------------------
 *   started by systemd     $RUNTIME_DIRECTORY/portolan.sock (the daemon alone)
 *   root                   /run/portolan/portolan.sock
 *   another user           $XDG_RUNTIME_DIR/portolan.sock
 *                          /run/user/UID/portolan.sock, where that directory is the user's own
 *                          /tmp/portolan-UID/portolan.sock
 */
#ifndef PORTOLAN_BASE_CONTROL_PATH_H
#define PORTOLAN_BASE_CONTROL_PATH_H

#include <stdbool.h>

#define CONTROL_PATH_SIZE 108 /* of sockaddr_un.sun_path */

/* The path for a daemon of this user. False when a variable holds a path that is too long. */
bool control_path_default(char path[CONTROL_PATH_SIZE]);

/*
 * Whether the path is the one in /tmp, where anybody may have made its directory: it is used only
 * once control_path_make_private has said so.
 */
bool control_path_is_in_tmp(const char *path);

/* Makes the directory of that path where it is missing. False when it belongs to another user, is a
 * link, or others may write there; errno says which: EPERM, or the reason of the system call. */
bool control_path_make_private(const char *path);

/*
 * The path where a tool of this user finds a daemon: the first of the user's own places that has a
 * socket, else the place of root's daemon, which everybody may read.
 */
void control_path_find(char path[CONTROL_PATH_SIZE]);

#endif
