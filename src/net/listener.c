#include "net/listener.h"

#include "base/comma_list.h"

#include "net/hop_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The kernel holds a connection back until it has sent something, or this many seconds have passed.
 */
#define DEFER_ACCEPT_S 1

const char *const listener_role_names[] = {"epmd", "front"};

static void prepare(int fd, enum listener_role role) {
    const int on = 1, defer_s = DEFER_ACCEPT_S;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
#ifdef TCP_DEFER_ACCEPT
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof defer_s);
#endif
    if (role == LISTENER_FRONT)
        hop_mark_save(fd);
}

/* A listening socket, or -errno. */
static int open_one(const struct address *address, enum listener_role role) {
    const int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    prepare(fd, role);
    if (address->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, &address->any, address_len(address)) < 0 || listen(fd, SOMAXCONN) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

struct plan {
    struct listeners *listeners;
    size_t before; /* how many were open already */
    enum listener_role role;
    uint16_t port;
    struct listen_failure *failure;
};

static bool add(const struct plan *plan, const struct address *address, bool implied) {
    struct listeners *listeners = plan->listeners;
    struct listen_failure *failure = plan->failure;
    if (listeners->count == LISTENERS_MAX) {
        failure->address = *address;
        failure->error = E2BIG;
        return false;
    }
    int fd = open_one(address, plan->role);
    if (fd >= 0) {
        listeners->all[listeners->count++] =
            (struct listener){.fd = fd, .role = plan->role, .address = *address};
        return true;
    }
    /* nobody asked for this one by name, and a host without IPv6 (or without IPv4) is a whole host
     */
    if (implied && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL))
        return true;
    failure->address = *address;
    failure->error = -fd;
    return false;
}

#define ITEM_SIZE 128

/* All is read before anything is opened: a list that is wrong is wrong whoever has the port. */
static bool is_readable(const char *list, struct listen_failure *failure) {
    char item[ITEM_SIZE];
    struct address address;
    while (comma_list_next(&list, item, sizeof item)) {
        if (address_parse(item, 0, &address))
            continue;
        snprintf(failure->item, sizeof failure->item, "%s", item);
        failure->error = EINVAL;
        return false;
    }
    return true;
}

static bool is_any(const struct address *address) {
    const struct address v4 = address_any_v4(0), v6 = address_any_v6(0);
    return address_same_host(address, &v4) || address_same_host(address, &v6);
}

/* Whether the list asks for all addresses of a family, which has loopback in it. */
static bool lists_any(const char *list, sa_family_t family) {
    char item[ITEM_SIZE];
    struct address address;
    while (comma_list_next(&list, item, sizeof item)) {
        if (address_parse(item, 0, &address) && address.any.sa_family == family && is_any(&address))
            return true;
    }
    return false;
}

/* Whether what is open takes connections to this address: itself, or all of its family. */
static bool is_covered(const struct plan *plan, const struct address *address) {
    for (size_t i = plan->before; i < plan->listeners->count; i++) {
        const struct address *open = &plan->listeners->all[i].address;
        if (address_same_host(open, address) ||
            (open->any.sa_family == address->any.sa_family && is_any(open)))
            return true;
    }
    return false;
}

static bool add_list(const struct plan *plan, const char *list) {
    char item[ITEM_SIZE];
    struct address address;
    while (comma_list_next(&list, item, sizeof item)) {
        if (address_parse(item, plan->port, &address) && !is_covered(plan, &address) &&
            !add(plan, &address, false))
            return false;
    }
    return true;
}

static bool open_all(const struct plan *plan, const char *list) {
    bool all = list == NULL || comma_list_is_empty(list);
    if (!all && !is_readable(list, plan->failure))
        return false;
    struct address v4 = all || lists_any(list, AF_INET) ? address_any_v4(plan->port)
                                                        : address_loopback_v4(plan->port);
    struct address v6 = all || lists_any(list, AF_INET6) ? address_any_v6(plan->port)
                                                         : address_loopback_v6(plan->port);
    if (!add(plan, &v4, true) || !add(plan, &v6, true))
        return false;
    if (plan->listeners->count == plan->before) {
        plan->failure->address = v4;
        plan->failure->error = EADDRNOTAVAIL;
        return false;
    }
    return all || add_list(plan, list);
}

bool listeners_open(struct listeners *listeners, enum listener_role role, const char *list,
                    uint16_t port, struct listen_failure *failure) {
    const struct plan plan = {.listeners = listeners,
                              .before = listeners->count,
                              .role = role,
                              .port = port,
                              .failure = failure};
    *failure = (struct listen_failure){.error = 0};
    if (open_all(&plan, list))
        return true;
    listeners_close(listeners);
    return false;
}

bool listeners_adopt(struct listeners *listeners, enum listener_role role, int fd) {
    int type = 0, listening = 0;
    socklen_t type_len = sizeof type, listening_len = sizeof listening;
    struct address address;
    socklen_t address_size = sizeof address;
    if (listeners->count == LISTENERS_MAX ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_len) < 0 || !listening ||
        getsockname(fd, &address.any, &address_size) < 0 ||
        (address.any.sa_family != AF_INET && address.any.sa_family != AF_INET6))
        return false;
    prepare(fd, role);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return false;
    listeners->all[listeners->count++] =
        (struct listener){.fd = fd, .role = role, .address = address};
    return true;
}

void listeners_close(struct listeners *listeners) {
    while (listeners->count > 0)
        close(listeners->all[--listeners->count].fd);
}
