#include "epmd/client.h"

#include "base/text.h"
#include "erlang/epmd_wire.h"
#include "net/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* As long as a node waits for its epmd. */
#define ANSWER_TIMEOUT_S 10

static int connect_to(const struct address *address) {
    const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (connect(fd, &address->any, address_len(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_local(uint16_t port) {
    const struct address v4 = address_loopback_v4(port), v6 = address_loopback_v6(port);
    int fd = connect_to(&v4);
    return fd >= 0 ? fd : connect_to(&v6);
}

static bool ask(int fd, enum epmd_operation operation, const char *name) {
    uint8_t frame[EPMD_FRAME_MAX];
    struct writer writer = writer_of(frame, sizeof frame);
    epmd_write_request(&writer, operation, bytes_of_text(name == NULL ? "" : name));
    return !writer.failed && send(fd, frame, writer.len, MSG_NOSIGNAL) == (ssize_t)writer.len;
}

/* Reads up to `size` bytes, fewer when the daemon closes before. */
static size_t read_answer(int fd, uint8_t *answer, size_t size) {
    size_t have = 0;
    while (have < size) {
        ssize_t got = recv(fd, answer + have, size - have, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    return have;
}

/* NAMES and DUMP: the port, then text to be passed on; DUMP ends its lines with NULs, which are
 * not. */
static int print_listing(int fd) {
    uint8_t piece[4096];
    size_t len = read_answer(fd, piece, 4);
    if (len < 4) {
        fprintf(stderr, "epmd: no answer from local epmd\n");
        return 1;
    }
    struct reader reader = reader_of(bytes_of(piece, len));
    printf("epmd: up and running on port %u with data:\n", (unsigned)read_u32(&reader));
    while ((len = read_answer(fd, piece, sizeof piece)) > 0)
        fwrite(piece, 1, len, stdout);
    return 0;
}

static int print_kill(int fd) {
    uint8_t answer[2];
    size_t len = read_answer(fd, answer, sizeof answer);
    if (len == 2 && memcmp(answer, "OK", 2) == 0) {
        puts("Killed");
        return 0;
    }
    if (len == 2 && memcmp(answer, "NO", 2) == 0)
        puts("Killing not allowed - living nodes in database.");
    else
        printf("epmd: local epmd responded with <%.*s>\n", (int)len, (const char *)answer);
    return 1;
}

static int print_stop(int fd) {
    /* OTP's daemon says more behind a NOEXIST; both words have seven letters */
    uint8_t answer[7];
    int len = (int)read_answer(fd, answer, sizeof answer);
    if (len == 7 && (memcmp(answer, "STOPPED", 7) == 0 || memcmp(answer, "NOEXIST", 7) == 0)) {
        printf("%.*s\n", len, (const char *)answer);
        return 0;
    }
    printf("epmd: local epmd responded with <%.*s>\n", len, (const char *)answer);
    return 1;
}

static int call_on(int fd, enum epmd_call call, const char *name) {
    static const enum epmd_operation operations[] = {[EPMD_CALL_NAMES] = EPMD_NAMES,
                                                     [EPMD_CALL_DUMP] = EPMD_DUMP,
                                                     [EPMD_CALL_STARTED] = EPMD_NAMES,
                                                     [EPMD_CALL_KILL] = EPMD_KILL,
                                                     [EPMD_CALL_STOP] = EPMD_STOP};
    uint8_t port[4];
    if (!ask(fd, operations[call], name)) {
        fprintf(stderr, "epmd: cannot send the request to local epmd: %s\n", strerror(errno));
        return 1;
    }
    switch (call) {
    case EPMD_CALL_NAMES:
    case EPMD_CALL_DUMP:
        return print_listing(fd);
    case EPMD_CALL_STARTED:
        return read_answer(fd, port, sizeof port) == sizeof port ? 0 : 1;
    case EPMD_CALL_KILL:
        return print_kill(fd);
    case EPMD_CALL_STOP:
        return print_stop(fd);
    case EPMD_CALL_NONE:
        break;
    }
    return 1;
}

int epmd_client_call(uint16_t port, enum epmd_call call, const char *name) {
    int fd = connect_local(port);
    if (fd < 0) {
        if (call != EPMD_CALL_STARTED)
            fprintf(stderr, "epmd: Cannot connect to local epmd\n");
        return 1;
    }
    int code = call_on(fd, call, name);
    close(fd);
    return code;
}

int epmd_client_count_names(uint16_t port) {
    uint8_t piece[4096];
    int fd = connect_local(port), names = -1;
    if (fd < 0)
        return -1;
    if (ask(fd, EPMD_NAMES, NULL) && read_answer(fd, piece, 4) == 4) {
        names = 0;
        for (size_t len; (len = read_answer(fd, piece, sizeof piece)) > 0;) {
            for (size_t i = 0; i < len; i++)
                names += piece[i] == '\n';
        }
    }
    close(fd);
    return names;
}
