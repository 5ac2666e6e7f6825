#include "net/host_lookup.h"

#include "base/thread.h"
#include "portolan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Enough for the resolver and the modules that nsswitch.conf brings in. */
#define THREAD_STACK_BYTES (512 * 1024)

struct host_lookup {
    atomic_bool done;      /* when true, `addresses` does not change any more */
    pid_t owner;           /* only there is the thread */
    pthread_mutex_t mutex; /* over the next two */
    int holders;           /* the asker, and the thread */
    int event_fd;          /* -1: the asker has let go */
    struct host_addresses addresses;
    char host[PORTOLAN_HOST_SIZE];
};

static struct addrinfo hints_of(int flags) {
    return (struct addrinfo){.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
}

static void collect(const struct addrinfo *found, struct host_addresses *addresses) {
    addresses->count = 0;
    for (; found != NULL && addresses->count < HOST_ADDRESSES_MAX; found = found->ai_next) {
        if (found->ai_family != AF_INET && found->ai_family != AF_INET6)
            continue;
        if (found->ai_addrlen > sizeof(struct address))
            continue;
        memcpy(&addresses->list[addresses->count++], found->ai_addr, found->ai_addrlen);
    }
    addresses->error = addresses->count > 0 ? 0 : EAI_NONAME;
}

/* What a look-up could not have for itself, if that is why it failed: getaddrinfo says "no such
 * name" or "try again" where it could open no file and no socket. */
static int system_error_of(int error, int cause) {
    if (error == EAI_MEMORY || cause == ENOMEM)
        return ENOMEM;
    if (error == EAI_SYSTEM || cause == EMFILE || cause == ENFILE)
        return cause;
    int fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static void look_up(const char *host, int flags, struct host_addresses *addresses) {
    struct addrinfo hints = hints_of(flags), *found = NULL;
    errno = 0;
    int error = getaddrinfo(host, NULL, &hints, &found);
    int cause = errno;
    *addresses = (struct host_addresses){.error = error};
    if (error == 0) {
        collect(found, addresses);
        freeaddrinfo(found);
    } else if (flags == 0) {
        addresses->system_error = system_error_of(error, cause);
    }
}

static void set_loopback(struct host_addresses *addresses) {
    *addresses = (struct host_addresses){.count = 2};
    addresses->list[0].v4 =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    addresses->list[1].v6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
}

/* The usual forms, without the resolver's machinery. */
static bool parse_plain(const char *host, struct host_addresses *addresses) {
    struct address *address = &addresses->list[0];
    *addresses = (struct host_addresses){.count = 1};
    address->v4.sin_family = AF_INET;
    if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1)
        return true;
    address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
    return inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1;
}

/* The unusual ones: 127.1, 0x7f000001, fe80::1%eth0. They begin with a digit or have a colon. */
static bool may_be_numeric(const char *host) {
    return (host[0] >= '0' && host[0] <= '9') || strchr(host, ':') != NULL;
}

bool host_numeric(const char *host, struct host_addresses *addresses) {
    if (host[0] == '\0') {
        set_loopback(addresses);
        return true;
    }
    if (parse_plain(host, addresses))
        return true;
    if (!may_be_numeric(host))
        return false;
    look_up(host, AI_NUMERICHOST, addresses);
    return addresses->error == 0;
}

static bool is_loopback_name(const char *host) {
    static const char name[] = "localhost";
    size_t len = strlen(host), name_len = sizeof name - 1;
    if (len > 0 && host[len - 1] == '.')
        len--;
    if (len < name_len || strncasecmp(host + len - name_len, name, name_len) != 0)
        return false;
    return len == name_len || host[len - name_len - 1] == '.';
}

bool host_known(const char *host, struct host_addresses *addresses) {
    if (!is_loopback_name(host))
        return host_numeric(host, addresses);
    set_loopback(addresses);
    return true;
}

static void free_lookup(struct host_lookup *lookup) {
    pthread_mutex_destroy(&lookup->mutex);
    free(lookup);
}

/* Tells the asker, if it still waits, and lets go. */
static void end_thread(struct host_lookup *lookup) {
    const uint64_t one = 1;
    pthread_mutex_lock(&lookup->mutex);
    atomic_store(&lookup->done, true);
    /* an eventfd takes its first 1 at once, always */
    if (lookup->event_fd >= 0 && write(lookup->event_fd, &one, sizeof one) < 0)
        abort();
    bool is_last = --lookup->holders == 0;
    pthread_mutex_unlock(&lookup->mutex);
    if (is_last)
        free_lookup(lookup);
}

static void *run(void *argument) {
    struct host_lookup *lookup = argument;
    look_up(lookup->host, 0, &lookup->addresses);
    end_thread(lookup);
    return NULL;
}

struct host_lookup *host_lookup_start(const char *host, int *error) {
    struct host_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    pthread_mutex_init(&lookup->mutex, NULL);
    lookup->holders = 2;
    lookup->owner = getpid();
    strcpy(lookup->host, host);
    lookup->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *error = lookup->event_fd < 0 ? errno : thread_start(NULL, THREAD_STACK_BYTES, run, lookup);
    if (*error == 0)
        return lookup;
    if (lookup->event_fd >= 0)
        close(lookup->event_fd);
    free_lookup(lookup);
    return NULL;
}

int host_lookup_descriptor(const struct host_lookup *lookup) {
    return lookup->event_fd;
}

bool host_lookup_done(const struct host_lookup *lookup, struct host_addresses *addresses) {
    if (!atomic_load(&lookup->done))
        return false;
    *addresses = lookup->addresses;
    return true;
}

/* In a child after fork there is no thread, which may have held the mutex at that moment. */
static void release_copy(struct host_lookup *lookup) {
    close(lookup->event_fd);
    free(lookup);
}

void host_lookup_release(struct host_lookup *lookup) {
    if (lookup == NULL)
        return;
    if (lookup->owner != getpid()) {
        release_copy(lookup);
        return;
    }
    pthread_mutex_lock(&lookup->mutex);
    close(lookup->event_fd);
    lookup->event_fd = -1;
    bool is_last = --lookup->holders == 0;
    pthread_mutex_unlock(&lookup->mutex);
    if (is_last)
        free_lookup(lookup);
}

void host_address_text(const struct address *address, char *out) {
    if (address->any.sa_family == AF_INET &&
        inet_ntop(AF_INET, &address->v4.sin_addr, out, PORTOLAN_ADDRESS_SIZE) != NULL)
        return;
    if (getnameinfo(&address->any, address_len(address), out, PORTOLAN_ADDRESS_SIZE, NULL, 0,
                    NI_NUMERICHOST) != 0)
        strcpy(out, "?");
}
