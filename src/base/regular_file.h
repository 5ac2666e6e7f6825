/*
 * Opening a file that another user may have put there: no such file makes the program wait or leads
 * it elsewhere.
 */
#ifndef PORTOLAN_BASE_REGULAR_FILE_H
#define PORTOLAN_BASE_REGULAR_FILE_H

#include <sys/types.h>

/* A descriptor, or -errno: -ENOTBLK when it is a FIFO, a device, a socket or a directory. A
 * symbolic link is followed, but not with O_NOFOLLOW in the flags (-ELOOP). `directory` may be
 * AT_FDCWD. */
int regular_file_open(int directory, const char *path, int flags, mode_t mode);

/* As regular_file_open with O_RDONLY. A link is followed where nobody but root and this process's
 * user can have put it: in a directory that others may write, it is -ELOOP. */
int regular_file_open_trusted(const char *path);

/* As strerror, for the errors of the above. */
const char *regular_file_error(int error);

#endif
