#include "host/sock_diag.h"

#include "base/would_block.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One answer has 16 + 72 bytes and a few attributes. */
#define DATAGRAM_SIZE 2048

/* Answers to earlier questions, which came too late, that one question reads away. */
#define STALE_MAX 16

/* What is sent to an address of this host arrives by loopback, whose number is the same anywhere */
#define LOOPBACK_INTERFACE 1

#define OVERFLOW_USER_FILE "/proc/sys/kernel/overflowuid"
#define OVERFLOW_USER_USUAL 65534

struct sock_diag {
    int fd; /* -1: not open */
    uint32_t number;
    uint32_t overflow_user;
    bool works; /* a socket was found, so what is not found is not there */
    int error;
};

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
};

/* --- what is asked --- */

static const uint8_t *mapped_v4(const struct sockaddr *address) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    bool mapped = address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
    return mapped ? v6->sin6_addr.s6_addr + 12 : NULL;
}

static uint8_t family_of(const struct sockaddr *address) {
    return address->sa_family == AF_INET || mapped_v4(address) != NULL ? AF_INET : AF_INET6;
}

/* The port, and the bytes of the host into place[4]. */
static uint16_t split(const struct sockaddr *address, uint32_t *place) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    const uint8_t *mapped = mapped_v4(address);
    if (address->sa_family == AF_INET) {
        memcpy(place, &v4->sin_addr, sizeof v4->sin_addr);
        return v4->sin_port;
    }
    if (mapped != NULL)
        memcpy(place, mapped, 4);
    else
        memcpy(place, &v6->sin6_addr, sizeof v6->sin6_addr);
    return v6->sin6_port;
}

/* A link-local address of this host is reached by the interface in its name. */
static uint32_t interface_of(const struct sockaddr *address) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    bool scoped = address->sa_family == AF_INET6 && v6->sin6_scope_id != 0;
    return scoped ? v6->sin6_scope_id : LOOPBACK_INTERFACE;
}

/* `other` may be NULL: whoever listens. */
static struct question question_for(const struct sockaddr *end, const struct sockaddr *other) {
    struct question question;
    memset(&question, 0, sizeof question);
    question.header.nlmsg_len = sizeof question;
    question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    question.header.nlmsg_flags = NLM_F_REQUEST;
    question.request.sdiag_family = family_of(end);
    question.request.sdiag_protocol = IPPROTO_TCP;
    question.request.idiag_states = UINT32_MAX;
    struct inet_diag_sockid *id = &question.request.id;
    id->idiag_sport = split(end, id->idiag_src);
    if (other != NULL)
        id->idiag_dport = split(other, id->idiag_dst);
    id->idiag_if = interface_of(end);
    id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    return question;
}

/* --- the answer --- */

static enum sock_diag_parsed parse_error(struct bytes payload, int *error) {
    struct nlmsgerr said;
    if (payload.len < sizeof said.error)
        return SOCK_DIAG_IS_OTHER;
    memcpy(&said.error, payload.data, sizeof said.error);
    *error = said.error < 0 && said.error > -4096 ? -said.error : 0;
    return SOCK_DIAG_IS_ERROR;
}

static enum sock_diag_parsed parse_socket(struct bytes payload, struct sock_diag_socket *socket) {
    struct inet_diag_msg said;
    if (payload.len < sizeof said)
        return SOCK_DIAG_IS_OTHER;
    memcpy(&said, payload.data, sizeof said);
    *socket = (struct sock_diag_socket){
        .state = said.idiag_state, .user = said.idiag_uid, .inode = said.idiag_inode};
    return SOCK_DIAG_IS_SOCKET;
}

enum sock_diag_parsed sock_diag_parse(struct bytes datagram, uint32_t number,
                                      struct sock_diag_socket *socket, int *error) {
    struct nlmsghdr header;
    for (size_t at = 0; datagram.len - at >= sizeof header;) {
        memcpy(&header, datagram.data + at, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.len - at)
            break;
        const struct bytes payload =
            bytes_of(datagram.data + at + sizeof header, header.nlmsg_len - sizeof header);
        if (header.nlmsg_seq == number && header.nlmsg_type == NLMSG_ERROR)
            return parse_error(payload, error);
        if (header.nlmsg_seq == number && header.nlmsg_type == SOCK_DIAG_BY_FAMILY)
            return parse_socket(payload, socket);
        size_t step = NLMSG_ALIGN(header.nlmsg_len);
        at = step < datagram.len - at ? at + step : datagram.len;
    }
    return SOCK_DIAG_IS_OTHER;
}

static enum sock_diag_verdict verdict_of(int error) {
    if (error == ENOENT)
        return SOCK_DIAG_NOT_FOUND;
    return error == EPERM || error == EACCES ? SOCK_DIAG_DENIED : SOCK_DIAG_NO_ANSWER;
}

static enum sock_diag_verdict fail(struct sock_diag *diag, int error) {
    diag->error = error;
    return verdict_of(error);
}

/* --- asking --- */

static int open_netlink(void) {
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&kernel, sizeof kernel) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool is_open(struct sock_diag *diag) {
    if (diag->fd < 0)
        diag->fd = open_netlink();
    return diag->fd >= 0;
}

/* As recv; the answer is there already, but for a kernel that is not as Linux. */
static ssize_t receive(int fd, void *data, size_t size) {
    ssize_t len = recv(fd, data, size, 0);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (len >= 0 || !would_block(errno))
        return len;
    int ready = poll(&wait, 1, SOCK_DIAG_WAIT_MS);
    if (ready > 0)
        return recv(fd, data, size, 0);
    errno = ETIMEDOUT;
    return -1;
}

static enum sock_diag_verdict ask(struct sock_diag *diag, struct question *question,
                                  struct sock_diag_socket *found) {
    uint8_t datagram[DATAGRAM_SIZE];
    diag->error = 0;
    if (!is_open(diag))
        return fail(diag, errno == ENOENT ? EPROTONOSUPPORT : errno);
    question->header.nlmsg_seq = ++diag->number;
    if (send(diag->fd, question, sizeof *question, MSG_NOSIGNAL) < 0)
        return fail(diag, errno == ENOENT ? EPROTONOSUPPORT : errno);
    for (int stale = 0; stale < STALE_MAX; stale++) {
        int error = 0;
        ssize_t len = receive(diag->fd, datagram, sizeof datagram);
        if (len < 0)
            return fail(diag, errno);
        switch (sock_diag_parse(bytes_of(datagram, (size_t)len), diag->number, found, &error)) {
        case SOCK_DIAG_IS_SOCKET:
            diag->works = true;
            return SOCK_DIAG_FOUND;
        case SOCK_DIAG_IS_ERROR:
            return fail(diag, error);
        case SOCK_DIAG_IS_OTHER:
            break;
        }
    }
    return SOCK_DIAG_NO_ANSWER;
}

enum sock_diag_verdict sock_diag_try(struct sock_diag *diag) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sock_diag_socket found;
    socklen_t len = sizeof own;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum sock_diag_verdict verdict = SOCK_DIAG_NO_ANSWER;
    if (fd < 0)
        return fail(diag, errno);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&own, &len) < 0) {
        fail(diag, errno);
    } else {
        struct question question = question_for((struct sockaddr *)&own, NULL);
        verdict = ask(diag, &question, &found);
    }
    close(fd);
    return verdict == SOCK_DIAG_NOT_FOUND ? fail(diag, EPROTONOSUPPORT) : verdict;
}

/* A kernel without the part that knows TCP says "not found" of anything: it is not believed before
 * it has found something. */
static enum sock_diag_verdict doubt(struct sock_diag *diag) {
    enum sock_diag_verdict verdict = sock_diag_try(diag);
    return verdict == SOCK_DIAG_FOUND ? SOCK_DIAG_NOT_FOUND : verdict;
}

static enum sock_diag_verdict find(struct sock_diag *diag, struct question question, uint8_t state,
                                   uint32_t *user) {
    struct sock_diag_socket found;
    enum sock_diag_verdict verdict = ask(diag, &question, &found);
    *user = USER_NOBODY;
    if (verdict == SOCK_DIAG_NOT_FOUND && !diag->works)
        return doubt(diag);
    if (verdict != SOCK_DIAG_FOUND)
        return verdict;
    if (found.state != state)
        return SOCK_DIAG_NOT_FOUND;
    if (found.inode == 0 || found.user == diag->overflow_user || found.user == USER_NOBODY)
        return SOCK_DIAG_NOBODYS;
    *user = found.user;
    return SOCK_DIAG_FOUND;
}

enum sock_diag_verdict sock_diag_connected(struct sock_diag *diag, const struct sockaddr *end,
                                           const struct sockaddr *other, uint32_t *user) {
    *user = USER_NOBODY;
    if (family_of(end) != family_of(other))
        return SOCK_DIAG_NOT_FOUND;
    return find(diag, question_for(end, other), TCP_ESTABLISHED, user);
}

enum sock_diag_verdict sock_diag_listening(struct sock_diag *diag, const struct sockaddr *address,
                                           uint32_t *user) {
    return find(diag, question_for(address, NULL), TCP_LISTEN, user);
}

int sock_diag_error(const struct sock_diag *diag) {
    return diag->error;
}

const char *sock_diag_reason(enum sock_diag_verdict verdict) {
    switch (verdict) {
    case SOCK_DIAG_FOUND:
        return "its user is known";
    case SOCK_DIAG_NOT_FOUND:
        return "no such socket";
    case SOCK_DIAG_NOBODYS:
        return "the owner of its socket is unknown to this host";
    case SOCK_DIAG_DENIED:
        return "this process may not query the owners of sockets";
    case SOCK_DIAG_NO_ANSWER:
        return "the kernel does not report the owners of sockets";
    }
    return "unknown reason";
}

/* --- beginning and end --- */

static uint32_t read_overflow_user(void) {
    unsigned user = OVERFLOW_USER_USUAL;
    FILE *file = fopen(OVERFLOW_USER_FILE, "re");
    if (file == NULL)
        return OVERFLOW_USER_USUAL;
    if (fscanf(file, "%u", &user) != 1)
        user = OVERFLOW_USER_USUAL;
    fclose(file);
    return user;
}

struct sock_diag *sock_diag_new(void) {
    struct sock_diag *diag = calloc(1, sizeof *diag);
    if (diag == NULL)
        return NULL;
    diag->fd = open_netlink();
    diag->overflow_user = read_overflow_user();
    return diag;
}

void sock_diag_free(struct sock_diag *diag) {
    if (diag == NULL)
        return;
    if (diag->fd >= 0)
        close(diag->fd);
    free(diag);
}
