#include "client/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FIRST_CAPACITY 512
#define PIECE_MAX 262144

void exchange_init(struct exchange *exchange) {
    *exchange = (struct exchange){.state = EXCHANGE_IDLE, .fd = -1};
}

int exchange_open(struct exchange *exchange, const struct sockaddr *peer, socklen_t peer_len,
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
    *exchange = (struct exchange){
        .state = EXCHANGE_CONNECTING, .fd = fd, .request = request, .reply_max = reply_max};
    return 0;
}

static enum exchange_event fail(struct exchange *exchange, int error) {
    exchange->error = error;
    return EXCHANGE_FAILED;
}

static bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* Where the connection does not stand yet this would block, and where it failed it says why. */
static enum exchange_event send_request(struct exchange *exchange) {
    while (exchange->sent < exchange->request.len) {
        ssize_t sent = send(exchange->fd, exchange->request.data + exchange->sent,
                            exchange->request.len - exchange->sent,
                            MSG_NOSIGNAL | (exchange->half_closes ? MSG_MORE : 0));
        if (sent < 0)
            return would_block(errno) ? EXCHANGE_WAIT : fail(exchange, errno);
        exchange->sent += (size_t)sent;
        exchange->state = EXCHANGE_SENDING;
    }
    if (exchange->half_closes)
        shutdown(exchange->fd, SHUT_WR);
    exchange->state = EXCHANGE_RECEIVING;
    return EXCHANGE_WAIT; /* an answer needs its time: not looked for at once */
}

/* Makes room for at least one byte more than there is. */
static bool grow(struct exchange *exchange) {
    size_t capacity = exchange->reply_capacity == 0 ? FIRST_CAPACITY : 2 * exchange->reply_capacity;
    if (capacity > exchange->reply_max + 1)
        capacity = exchange->reply_max + 1;
    uint8_t *larger = malloc(capacity);
    if (larger == NULL)
        return false;
    if (exchange->reply_len > 0)
        memcpy(larger, exchange->reply, exchange->reply_len);
    free(exchange->reply);
    exchange->reply = larger;
    exchange->reply_capacity = capacity;
    return true;
}

static enum exchange_event receive(struct exchange *exchange) {
    if (exchange->reply_len == exchange->reply_capacity && !grow(exchange))
        return EXCHANGE_NO_MEMORY;
    size_t room = exchange->reply_capacity - exchange->reply_len;
    ssize_t got = recv(exchange->fd, exchange->reply + exchange->reply_len,
                       room < PIECE_MAX ? room : PIECE_MAX, 0);
    if (got < 0)
        return would_block(errno) ? EXCHANGE_WAIT : fail(exchange, errno);
    if (got == 0)
        return EXCHANGE_ENDED;
    exchange->reply_len += (size_t)got;
    return exchange->reply_len > exchange->reply_max ? EXCHANGE_TOO_LARGE : EXCHANGE_RECEIVED;
}

enum exchange_event exchange_step(struct exchange *exchange) {
    return exchange->state == EXCHANGE_RECEIVING ? receive(exchange) : send_request(exchange);
}

uint32_t exchange_interest(const struct exchange *exchange) {
    return exchange->state == EXCHANGE_RECEIVING ? EPOLLIN : EPOLLOUT;
}

struct bytes exchange_reply(const struct exchange *exchange) {
    return bytes_of(exchange->reply, exchange->reply_len);
}

void exchange_consume(struct exchange *exchange, size_t len) {
    exchange->reply_len -= len;
    memmove(exchange->reply, exchange->reply + len, exchange->reply_len);
}

int exchange_take_socket(struct exchange *exchange) {
    int fd = exchange->fd;
    exchange->fd = -1;
    return fd;
}

void exchange_close(struct exchange *exchange) {
    if (exchange->fd >= 0)
        close(exchange->fd);
    free(exchange->reply);
    exchange_init(exchange);
}
