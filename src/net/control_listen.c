#include "net/control_listen.h"

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

static bool somebody_answers(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool answered = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                    errno == EAGAIN || errno == EACCES;
    close(fd);
    return answered;
}

static bool is_socket(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

/*
 * Makes the socket with mode 0666: who may change things is asked of each caller, and reading is
 * for all (docs/control.md). The mode comes from the mask, for a path could lead elsewhere by the
 * time of a chmod.
 */
static int bind_for_all(int fd, const struct sockaddr_un *address) {
    mode_t mask = umask(0111);
    int bound = bind(fd, (const struct sockaddr *)address, sizeof *address);
    int error = errno;
    umask(mask);
    errno = error;
    return bound;
}

int control_listen(const char *path) {
    struct sockaddr_un address;
    if (!fill_address(&address, path))
        return -ENAMETOOLONG;
    make_directory(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int bound = bind_for_all(fd, &address);
    if (bound < 0 && errno == EADDRINUSE && is_socket(path) && !somebody_answers(&address)) {
        unlink(path);
        bound = bind_for_all(fd, &address);
    }
    if (bound == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

void control_unlisten(int listener, const char *path) {
    close(listener);
    unlink(path);
}
