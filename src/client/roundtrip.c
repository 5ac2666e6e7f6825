#include "client/roundtrip.h"

#include "base/would_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FIRST_CAPACITY 512
#define PIECE_MAX 262144

void roundtrip_init(struct roundtrip *roundtrip) {
    *roundtrip = (struct roundtrip){.state = ROUNDTRIP_IDLE, .fd = -1};
}

int roundtrip_open(struct roundtrip *roundtrip, const struct sockaddr *peer, socklen_t peer_len,
                   struct bytes request, size_t reply_max) {
    int fd = socket(peer->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* EINTR leaves a connection on its way, as EINPROGRESS does */
    if (connect(fd, peer, peer_len) != 0 && errno != EINPROGRESS && errno != EINTR) {
        int error = errno;
        close(fd);
        return -error;
    }
    *roundtrip = (struct roundtrip){
        .state = ROUNDTRIP_CONNECTING, .fd = fd, .request = request, .reply_max = reply_max};
    return 0;
}

static enum roundtrip_event fail(struct roundtrip *roundtrip, int error) {
    roundtrip->error = error;
    return ROUNDTRIP_FAILED;
}

/* Where the connection does not stand yet this would block, and where it failed it says why. */
static enum roundtrip_event send_request(struct roundtrip *roundtrip) {
    while (roundtrip->sent < roundtrip->request.len) {
        ssize_t sent = send(roundtrip->fd, roundtrip->request.data + roundtrip->sent,
                            roundtrip->request.len - roundtrip->sent,
                            MSG_NOSIGNAL | (roundtrip->half_closes ? MSG_MORE : 0));
        if (sent < 0)
            return would_block(errno) ? ROUNDTRIP_WAIT : fail(roundtrip, errno);
        roundtrip->sent += (size_t)sent;
        roundtrip->state = ROUNDTRIP_SENDING;
    }
    if (roundtrip->half_closes)
        shutdown(roundtrip->fd, SHUT_WR);
    roundtrip->state = ROUNDTRIP_RECEIVING;
    return ROUNDTRIP_WAIT; /* an answer needs its time: not looked for at once */
}

/* Makes room for at least one byte more than there is. */
static bool grow(struct roundtrip *roundtrip) {
    size_t capacity =
        roundtrip->reply_capacity == 0 ? FIRST_CAPACITY : 2 * roundtrip->reply_capacity;
    if (capacity > roundtrip->reply_max + 1)
        capacity = roundtrip->reply_max + 1;
    uint8_t *larger = malloc(capacity);
    if (larger == NULL)
        return false;
    if (roundtrip->reply_len > 0)
        memcpy(larger, roundtrip->reply, roundtrip->reply_len);
    free(roundtrip->reply);
    roundtrip->reply = larger;
    roundtrip->reply_capacity = capacity;
    return true;
}

static enum roundtrip_event receive(struct roundtrip *roundtrip) {
    if (roundtrip->reply_len == roundtrip->reply_capacity && !grow(roundtrip))
        return ROUNDTRIP_NO_MEMORY;
    size_t room = roundtrip->reply_capacity - roundtrip->reply_len;
    ssize_t got = recv(roundtrip->fd, roundtrip->reply + roundtrip->reply_len,
                       room < PIECE_MAX ? room : PIECE_MAX, 0);
    if (got < 0)
        return would_block(errno) ? ROUNDTRIP_WAIT : fail(roundtrip, errno);
    if (got == 0)
        return ROUNDTRIP_ENDED;
    roundtrip->reply_len += (size_t)got;
    return roundtrip->reply_len > roundtrip->reply_max ? ROUNDTRIP_TOO_LARGE : ROUNDTRIP_RECEIVED;
}

enum roundtrip_event roundtrip_step(struct roundtrip *roundtrip) {
    return roundtrip->state == ROUNDTRIP_RECEIVING ? receive(roundtrip) : send_request(roundtrip);
}

uint32_t roundtrip_interest(const struct roundtrip *roundtrip) {
    return roundtrip->state == ROUNDTRIP_RECEIVING ? EPOLLIN : EPOLLOUT;
}

struct bytes roundtrip_reply(const struct roundtrip *roundtrip) {
    return bytes_of(roundtrip->reply, roundtrip->reply_len);
}

void roundtrip_consume(struct roundtrip *roundtrip, size_t len) {
    roundtrip->reply_len -= len;
    memmove(roundtrip->reply, roundtrip->reply + len, roundtrip->reply_len);
}

int roundtrip_take_socket(struct roundtrip *roundtrip) {
    int fd = roundtrip->fd;
    roundtrip->fd = -1;
    return fd;
}

void roundtrip_close(struct roundtrip *roundtrip) {
    if (roundtrip->fd >= 0)
        close(roundtrip->fd);
    free(roundtrip->reply);
    roundtrip_init(roundtrip);
}
