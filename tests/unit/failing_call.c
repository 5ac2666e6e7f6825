#include "failing_call.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

static _Thread_local struct plan {
    unsigned until; /* 0: none fails */
    int error;
    bool made, failed;
} plans[FAILING_CALLS];

static address_finder *finder;

void fail_nth_call(enum failing_call call, unsigned n, int error) {
    plans[call] = (struct plan){.until = n, .error = error, .made = true};
}

bool call_failed(void) {
    bool all = true;
    for (size_t i = 0; i < FAILING_CALLS; i++) {
        all = all && (!plans[i].made || plans[i].failed);
        plans[i] = (struct plan){0};
    }
    return all;
}

void find_addresses_by(address_finder *with) {
    finder = with;
}

static bool fails_now(enum failing_call call) {
    struct plan *plan = &plans[call];
    if (plan->until == 0 || --plan->until > 0)
        return false;
    plan->failed = true;
    errno = plan->error;
    return true;
}

/* the names are the linker's */
#define WRAP(call, name, parameters, arguments)                                                    \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters {                                                                 \
        return fails_now(call) ? -1 : __real_##name arguments;                                     \
    }

WRAP(CALL_SOCKET, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(CALL_CONNECT, connect, (int fd, const struct sockaddr *peer, socklen_t len), (fd, peer, len))
WRAP(CALL_POLL, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(CALL_EPOLL_CREATE, epoll_create1, (int flags), (flags))
WRAP(CALL_EPOLL_CTL, epoll_ctl, (int set, int what, int fd, struct epoll_event *event),
     (set, what, fd, event))
WRAP(CALL_TIMERFD_CREATE, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(CALL_TIMERFD_SETTIME, timerfd_settime,
     (int fd, int flags, const struct itimerspec *to, struct itimerspec *from),
     (fd, flags, to, from))
WRAP(CALL_EVENTFD, eventfd, (unsigned value, int flags), (value, flags))

ssize_t __real_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags) {
    return fails_now(CALL_SEND) ? -1 : __real_send(fd, data, len, flags);
}

ssize_t __real_recv(int fd, void *data, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t len, int flags) {
    return fails_now(CALL_RECV) ? -1 : __real_recv(fd, data, len, flags);
}

typedef void *thread_function(void *argument);

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          thread_function *function, void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          thread_function *function, void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          thread_function *function, void *argument) {
    if (fails_now(CALL_PTHREAD_CREATE))
        return plans[CALL_PTHREAD_CREATE].error;
    return __real_pthread_create(thread, attributes, function, argument);
}

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found) {
    if (finder != NULL && hints->ai_flags == 0)
        return finder(host, found);
    return __real_getaddrinfo(host, service, hints, found);
}

static int64_t wall_ms = -1;

void set_wall_clock(int64_t ms) {
    wall_ms = ms;
}

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock != CLOCK_REALTIME || wall_ms < 0)
        return __real_clock_gettime(clock, now);
    now->tv_sec = (time_t)(wall_ms / 1000);
    now->tv_nsec = wall_ms % 1000 * 1000000;
    return 0;
}
