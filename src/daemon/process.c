#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

void process_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

size_t process_descriptor_limit(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : (size_t)limit.rlim_cur;
}

/* Forks and lets the parent go. */
static int leave_parent(void) {
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (child > 0)
        _exit(0);
    return 0;
}

int process_detach(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    int error = leave_parent();
    if (error == 0 && setsid() < 0)
        error = -errno;
    /* no longer a session leader, it can never get a terminal */
    if (error == 0)
        error = leave_parent();
    if (error == 0 && (chdir("/") < 0 || dup2(null, STDIN_FILENO) < 0 ||
                       dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0))
        error = -errno;
    umask(022);
    close(null);
    return error;
}

#ifdef HAVE_LIBSYSTEMD

static uint16_t port_of(int fd) {
    struct address address;
    socklen_t len = sizeof address;
    return getsockname(fd, &address.any, &len) == 0 ? address_port(&address) : 0;
}

bool process_systemd_listeners(struct listeners *listeners, uint16_t epmd_port,
                               const char **error) {
    int count = sd_listen_fds(1);
    *listeners = (struct listeners){.count = 0};
    if (count <= 0) {
        *error = "systemd passed no sockets; is this started by a .socket unit?";
        return false;
    }
    for (int i = 0; i < count; i++) {
        enum listener_role role =
            port_of(SD_LISTEN_FDS_START + i) == epmd_port ? LISTENER_EPMD : LISTENER_FRONT;
        if (listeners_adopt(listeners, role, SD_LISTEN_FDS_START + i))
            continue;
        *error =
            "a socket that systemd passed does not listen for TCP; ListenStream= in the .socket "
            "unit gives one that does";
        listeners_close(listeners);
        return false;
    }
    return true;
}

void process_notify_ready(void) {
    sd_notify(0, "READY=1");
}

void process_notify_stopping(void) {
    sd_notify(0, "STOPPING=1");
}

#else

bool process_systemd_listeners(struct listeners *listeners, uint16_t epmd_port,
                               const char **error) {
    (void)epmd_port;
    *listeners = (struct listeners){.count = 0};
    *error = "this build knows nothing of systemd; install libsystemd-dev and build again";
    return false;
}

void process_notify_ready(void) {
}

void process_notify_stopping(void) {
}

#endif
