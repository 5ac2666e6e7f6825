#include "net/systemd_listeners.h"

#include <sys/socket.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>

static uint16_t port_of(int fd) {
    struct address address;
    socklen_t len = sizeof address;
    return getsockname(fd, &address.any, &len) == 0 ? address_port(&address) : 0;
}

bool systemd_listeners(struct listeners *listeners, uint16_t epmd_port, const char **error) {
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
            "a socket passed by systemd does not listen for TCP; set ListenStream= in the .socket "
            "unit";
        listeners_close(listeners);
        return false;
    }
    return true;
}

#else

bool systemd_listeners(struct listeners *listeners, uint16_t epmd_port, const char **error) {
    (void)epmd_port;
    *listeners = (struct listeners){.count = 0};
    *error = "this build does not support systemd; install libsystemd-dev and rebuild";
    return false;
}

#endif
