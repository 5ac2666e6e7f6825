#include "client/poller.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

void poller_init(struct poller *poller) {
    *poller = (struct poller){.epoll_fd = -1, .timer_fd = -1, .watched_fd = -1};
}

int poller_open(struct poller *poller) {
    struct epoll_event event = {.events = EPOLLIN};
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0)
        return -errno;
    poller->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (poller->timer_fd < 0)
        return -errno;
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->timer_fd, &event) != 0)
        return -errno;
    return 0;
}

int poller_watch(struct poller *poller, int fd, uint32_t events) {
    struct epoll_event event = {.events = events};
    int operation = poller->watched_fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (poller->watched_fd == fd && poller->watched_for == events)
        return 0;
    if (poller->epoll_fd >= 0 && epoll_ctl(poller->epoll_fd, operation, fd, &event) != 0)
        return -errno;
    poller->watched_fd = fd;
    poller->watched_for = events;
    return 0;
}

void poller_forget(struct poller *poller) {
    /* not left to close(): a forked child may still have the socket open */
    if (poller->watched_fd >= 0 && poller->epoll_fd >= 0)
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, poller->watched_fd, NULL);
    poller->watched_fd = -1;
}

int poller_wake_at(struct poller *poller, int64_t at_ms) {
    const struct itimerspec when = {
        .it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};
    if (poller->wake_at_ms == at_ms && at_ms != 1)
        return 0;
    if (poller->epoll_fd >= 0 &&
        timerfd_settime(poller->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        return -errno;
    poller->wake_at_ms = at_ms;
    return 0;
}

static int timeout_ms(const struct poller *poller) {
    int64_t left_ms = poller->wake_at_ms - clock_monotonic_ms();
    return left_ms < 0 ? 0 : left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

int poller_wait(const struct poller *poller) {
    /* EPOLLIN and EPOLLOUT are POLLIN and POLLOUT; poll passes over a descriptor below 0 */
    struct pollfd ready = {.fd = poller->watched_fd, .events = (short)poller->watched_for};
    if (poll(&ready, 1, timeout_ms(poller)) < 0 && errno != EINTR && errno != EAGAIN)
        return -errno;
    return 0;
}

void poller_close(struct poller *poller) {
    if (poller->epoll_fd >= 0)
        close(poller->epoll_fd);
    if (poller->timer_fd >= 0)
        close(poller->timer_fd);
}
