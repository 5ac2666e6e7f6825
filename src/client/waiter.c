#include "client/waiter.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

void waiter_init(struct waiter *waiter) {
    *waiter = (struct waiter){.epoll_fd = -1, .timer_fd = -1, .watched_fd = -1};
}

int waiter_open(struct waiter *waiter) {
    struct epoll_event event = {.events = EPOLLIN};
    waiter->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (waiter->epoll_fd < 0)
        return -errno;
    waiter->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (waiter->timer_fd < 0)
        return -errno;
    if (epoll_ctl(waiter->epoll_fd, EPOLL_CTL_ADD, waiter->timer_fd, &event) != 0)
        return -errno;
    return 0;
}

int waiter_watch(struct waiter *waiter, int fd, uint32_t events) {
    struct epoll_event event = {.events = events};
    int operation = waiter->watched_fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (waiter->watched_fd == fd && waiter->watched_for == events)
        return 0;
    if (waiter->epoll_fd >= 0 && epoll_ctl(waiter->epoll_fd, operation, fd, &event) != 0)
        return -errno;
    waiter->watched_fd = fd;
    waiter->watched_for = events;
    return 0;
}

void waiter_forget(struct waiter *waiter) {
    /* not left to close(): a forked child may still have the socket open */
    if (waiter->watched_fd >= 0 && waiter->epoll_fd >= 0)
        epoll_ctl(waiter->epoll_fd, EPOLL_CTL_DEL, waiter->watched_fd, NULL);
    waiter->watched_fd = -1;
}

int waiter_wake_at(struct waiter *waiter, int64_t at_ms) {
    const struct itimerspec when = {
        .it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};
    if (waiter->wake_at_ms == at_ms && at_ms != 1)
        return 0;
    if (waiter->epoll_fd >= 0 &&
        timerfd_settime(waiter->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        return -errno;
    waiter->wake_at_ms = at_ms;
    return 0;
}

static int timeout_ms(const struct waiter *waiter) {
    int64_t left_ms = waiter->wake_at_ms - clock_monotonic_ms();
    return left_ms < 0 ? 0 : left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

int waiter_wait(const struct waiter *waiter) {
    /* EPOLLIN and EPOLLOUT are POLLIN and POLLOUT; poll passes over a descriptor below 0 */
    struct pollfd ready = {.fd = waiter->watched_fd, .events = (short)waiter->watched_for};
    if (poll(&ready, 1, timeout_ms(waiter)) < 0 && errno != EINTR && errno != EAGAIN)
        return -errno;
    return 0;
}

void waiter_close(struct waiter *waiter) {
    if (waiter->epoll_fd >= 0)
        close(waiter->epoll_fd);
    if (waiter->timer_fd >= 0)
        close(waiter->timer_fd);
}
