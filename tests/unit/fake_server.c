#include "fake_server.h"

#include <check.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static uint16_t port_of(int fd) {
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    return ntohs(own.sin_port);
}

static int bind_port(int backlog, uint16_t *port) {
    struct sockaddr_in own = loopback(0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&own, sizeof own), 0);
    if (backlog >= 0)
        ck_assert_int_eq(listen(fd, backlog), 0);
    *port = port_of(fd);
    return fd;
}

static int bind_path(const char *path) {
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_uint_lt(strlen(path), sizeof own.sun_path);
    strcpy(own.sun_path, path);
    unlink(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&own, sizeof own), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    return fd;
}

/* False when the client has gone. */
static bool say(int fd, const uint8_t *data, size_t len, unsigned byte_delay_us) {
    for (size_t sent = 0; sent < len;) {
        ssize_t now = send(fd, data + sent, byte_delay_us == 0 ? len - sent : 1, MSG_NOSIGNAL);
        if (now <= 0)
            return false;
        sent += (size_t)now;
        if (byte_delay_us > 0)
            usleep(byte_delay_us);
    }
    return true;
}

static void end(int fd, const struct fake_script *script) {
    const struct linger reset = {.l_onoff = 1};
    struct bytes answer = script->answer;
    uint8_t ignored[64];
    switch (script->end) {
    case FAKE_CLOSES:
        break;
    case FAKE_HOLDS:
        while (recv(fd, ignored, sizeof ignored, 0) > 0)
            continue;
        break;
    case FAKE_REPEATS:
        while (
            say(fd, answer.data + answer.len - script->tail, script->tail, script->byte_delay_us))
            continue;
        break;
    case FAKE_RESETS:
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        break;
    }
}

static void *serve(void *argument) {
    struct fake_server *server = argument;
    int fd;
    while ((fd = accept(server->listening_fd, NULL, NULL)) >= 0) {
        const struct fake_script *script = &server->script;
        atomic_fetch_add(&server->connections, 1);
        ssize_t got = recv(fd, server->request, sizeof server->request, 0);
        server->request_len = got > 0 ? (size_t)got : 0;
        if (say(fd, script->answer.data, script->answer.len, script->byte_delay_us))
            end(fd, script);
        close(fd);
    }
    return NULL;
}

void fake_server_start(struct fake_server *server, struct fake_script script) {
    *server = (struct fake_server){.script = script};
    server->listening_fd =
        script.path != NULL ? bind_path(script.path) : bind_port(64, &server->port);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, serve, server), 0);
}

void fake_server_stop(struct fake_server *server) {
    shutdown(server->listening_fd, SHUT_RDWR); /* accept returns */
    pthread_join(server->thread, NULL);
    close(server->listening_fd);
    if (server->script.path != NULL)
        unlink(server->script.path);
}

uint16_t fake_closed_port(void) {
    uint16_t port;
    close(bind_port(-1, &port));
    return port;
}

uint16_t fake_deaf_port(void) {
    uint16_t port;
    bind_port(0, &port); /* open until the process ends */
    struct sockaddr_in peer = loopback(port);
    /* fills the queue; what comes then gets no answer */
    for (int i = 0; i < 3; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(fd, 0);
        connect(fd, (const struct sockaddr *)&peer, sizeof peer);
    }
    return port;
}
