#include "line_server.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Answers each line that has come; false: the connection is to end. */
static bool answer(struct line_server *server, int fd, const char *data, size_t len,
                   unsigned *answered) {
    for (size_t i = 0; i < len; i++) {
        char line[512];
        if (data[i] != '\n')
            continue;
        unsigned number = atomic_fetch_add(&server->requests, 1) + 1;
        int size = snprintf(line, sizeof line, server->format, number);
        if (send(fd, line, (size_t)size, MSG_NOSIGNAL) < 0)
            return false;
        if (++*answered == server->per_connection)
            return false;
    }
    return true;
}

static void serve(struct line_server *server, int fd) {
    char data[4096];
    unsigned answered = 0;
    ssize_t got;
    while ((got = recv(fd, data, sizeof data, 0)) > 0) {
        if (!answer(server, fd, data, (size_t)got, &answered))
            break;
    }
    close(fd);
}

static void *run(void *argument) {
    struct line_server *server = argument;
    int fd;
    poll(NULL, 0, (int)server->deaf_ms);
    while ((fd = accept(server->listening_fd, NULL, NULL)) >= 0) {
        if (atomic_fetch_add(&server->connections, 1) < server->closes_first)
            close(fd);
        else
            serve(server, fd);
    }
    return NULL;
}

void line_server_start(struct line_server *server) {
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    strcpy(own.sun_path, server->path);
    unlink(server->path);
    server->listening_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server->listening_fd, (const struct sockaddr *)&own, sizeof own), 0);
    ck_assert_int_eq(listen(server->listening_fd, 0), 0);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, run, server), 0);
}

void line_server_stop(struct line_server *server) {
    shutdown(server->listening_fd, SHUT_RDWR); /* accept returns */
    pthread_join(server->thread, NULL);
    close(server->listening_fd);
    unlink(server->path);
}
