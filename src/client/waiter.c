#include "client/waiter.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

int waiter_open(struct waiter *waiter) {
    *waiter = (struct waiter){.timer_fd = -1, .watched_fd = -1};
    waiter->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (waiter->epoll_fd < 0)
        return -errno;
    waiter->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (waiter->timer_fd < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(waiter->epoll_fd, EPOLL_CTL_ADD, waiter->timer_fd, &event) != 0)
        return -errno;
    return 0;
}

int waiter_watch(struct waiter *waiter, int fd, uint32_t events) {
    struct epoll_event event = {.events = events};
    int operation = waiter->watched_fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (waiter->watched_fd == fd && waiter->watched_for == events)
        return 0;
    if (epoll_ctl(waiter->epoll_fd, operation, fd, &event) != 0)
        return -errno;
    waiter->watched_fd = fd;
    waiter->watched_for = events;
    return 0;
}

void waiter_forget(struct waiter *waiter) {
    /* not left to close(): a forked child may still have the socket open */
    if (waiter->watched_fd >= 0)
        epoll_ctl(waiter->epoll_fd, EPOLL_CTL_DEL, waiter->watched_fd, NULL);
    waiter->watched_fd = -1;
}

void waiter_wake_at(struct waiter *waiter, int64_t at_ms) {
    const struct itimerspec when = {
        .it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};
    timerfd_settime(waiter->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void waiter_close(struct waiter *waiter) {
    if (waiter->epoll_fd >= 0)
        close(waiter->epoll_fd);
    if (waiter->timer_fd >= 0)
        close(waiter->timer_fd);
}
