#include "control/listen.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool fill_address(struct sockaddr_un *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path)
        return false;
    strcpy(address->sun_path, path);
    return true;
}

/* Makes the directory of the socket, one level: what is above it is the administrator's. */
static void make_directory(const char *path) {
    char directory[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return;
    memcpy(directory, path, (size_t)(slash - path));
    directory[slash - path] = '\0';
    mkdir(directory, 0755);
}

/* Only a refused connection shows that nobody is there: of whatever else is unclear, somebody may
 * make use. */
static enum control_path_state try_socket(const char *path) {
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !fill_address(&address, path)) {
        if (fd >= 0)
            close(fd);
        return CONTROL_PATH_CLOSED;
    }
    int error = connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 ? errno : 0;
    close(fd);
    switch (error) {
    case 0:
        return CONTROL_PATH_ANSWERS;
    case EAGAIN:
        return CONTROL_PATH_BUSY;
    case ECONNREFUSED:
    case ENOENT:
        return CONTROL_PATH_FREE;
    case EPROTOTYPE:
        return CONTROL_PATH_OTHER_SOCKET;
    default:
        return CONTROL_PATH_CLOSED;
    }
}

enum control_path_state control_path_inspect(const char *path) {
    struct stat status;
    if (lstat(path, &status) < 0)
        return CONTROL_PATH_FREE;
    switch (status.st_mode & S_IFMT) {
    case S_IFSOCK:
        return try_socket(path);
    case S_IFREG:
        return CONTROL_PATH_FILE;
    case S_IFDIR:
        return CONTROL_PATH_DIRECTORY;
    case S_IFIFO:
        return CONTROL_PATH_FIFO;
    case S_IFLNK:
        return CONTROL_PATH_LINK;
    default:
        return CONTROL_PATH_DEVICE;
    }
}

/*
 * Makes the socket with mode 0666: who may change things is asked of each caller, and reading is
 * for all (docs/control.md). The mode comes from the mask, for a path could lead elsewhere by the
 * time of a chmod. 0, or an errno.
 */
static int bind_for_all(int fd, const struct sockaddr_un *address) {
    mode_t mask = umask(0111);
    int error = bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? errno : 0;
    umask(mask);
    return error;
}

int control_listen(const char *path) {
    struct sockaddr_un address;
    if (!fill_address(&address, path))
        return -ENAMETOOLONG;
    make_directory(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int error = bind_for_all(fd, &address);
    if (error == EADDRINUSE && control_path_inspect(path) == CONTROL_PATH_FREE) {
        unlink(path);
        error = bind_for_all(fd, &address);
    }
    if (error == 0 && listen(fd, SOMAXCONN) < 0)
        error = errno;
    if (error == 0)
        return fd;
    close(fd);
    return -error;
}

void control_unlisten(int listener, const char *path) {
    close(listener);
    unlink(path);
}
