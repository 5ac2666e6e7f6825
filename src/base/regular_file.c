#include "base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int regular_file_open(int directory, const char *path, int flags, mode_t mode) {
    struct stat status;
    int fd = openat(directory, path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
    if (fd < 0) /* a FIFO without a reader, a socket */
        return errno == ENXIO ? -ENOTBLK : errno == EISDIR ? -ENOTBLK : -errno;
    int error = fstat(fd, &status) < 0 ? errno : S_ISREG(status.st_mode) ? 0 : ENOTBLK;
    if (error == 0)
        return fd;
    close(fd);
    return -error;
}

/* Whether others than root and this process's user may put files into the path's directory. */
static bool is_open_to_others(const char *path) {
    char directory[4096];
    struct stat status;
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (len >= sizeof directory)
        return true;
    memcpy(directory, path, len);
    strcpy(directory + len, slash == NULL ? "." : "/.");
    if (stat(directory, &status) < 0)
        return true;
    bool is_ours = status.st_uid == 0 || status.st_uid == geteuid();
    return !is_ours || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

int regular_file_open_trusted(const char *path) {
    int no_follow = is_open_to_others(path) ? O_NOFOLLOW : 0;
    return regular_file_open(AT_FDCWD, path, O_RDONLY | no_follow, 0);
}

const char *regular_file_error(int error) {
    if (error == ENOTBLK)
        return "not a regular file";
    if (error == ELOOP)
        return "a symbolic link that another user may have created";
    return strerror(error);
}
