#include "net/host_lookup.h"

#include "portolan.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Enough for the resolver and the modules that nsswitch.conf brings in. */
#define THREAD_STACK_BYTES (512 * 1024)

struct host_lookup {
    atomic_int holders; /* who asked, and the thread */
    atomic_bool done;   /* when true, `addresses` does not change any more */
    int event_fd;
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
        if (found->ai_addrlen > sizeof(struct host_address))
            continue;
        memcpy(&addresses->list[addresses->count++], found->ai_addr, found->ai_addrlen);
    }
    addresses->error = addresses->count > 0 ? 0 : EAI_NONAME;
}

static void look_up(const char *host, int flags, struct host_addresses *addresses) {
    struct addrinfo hints = hints_of(flags), *found = NULL;
    int error = getaddrinfo(host, NULL, &hints, &found);
    if (error == 0) {
        collect(found, addresses);
        freeaddrinfo(found);
        return;
    }
    *addresses = (struct host_addresses){.error = error};
}

bool host_numeric(const char *host, struct host_addresses *addresses) {
    if (host[0] == '\0') {
        *addresses = (struct host_addresses){.count = 2};
        addresses->list[0].v4 =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        addresses->list[1].v6 =
            (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        return true;
    }
    look_up(host, AI_NUMERICHOST, addresses);
    return addresses->error == 0;
}

static void *run(void *argument) {
    struct host_lookup *lookup = argument;
    const uint64_t one = 1;
    look_up(lookup->host, 0, &lookup->addresses);
    atomic_store(&lookup->done, true);
    /* an eventfd takes its first 1 at once, always */
    if (write(lookup->event_fd, &one, sizeof one) < 0)
        abort();
    host_lookup_release(lookup);
    return NULL;
}

/* The thread inherits the mask: nothing that the program handles is to arrive there. */
static int start_thread(struct host_lookup *lookup) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, run, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

struct host_lookup *host_lookup_start(const char *host, int *error) {
    struct host_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    atomic_init(&lookup->holders, 2);
    strcpy(lookup->host, host);
    lookup->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *error = lookup->event_fd < 0 ? errno : start_thread(lookup);
    if (*error == 0)
        return lookup;
    if (lookup->event_fd >= 0)
        close(lookup->event_fd);
    free(lookup);
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

void host_lookup_release(struct host_lookup *lookup) {
    if (lookup == NULL || atomic_fetch_sub(&lookup->holders, 1) > 1)
        return;
    close(lookup->event_fd);
    free(lookup);
}

struct host_address host_address_with_port(const struct host_address *address, uint16_t port) {
    struct host_address with_port = *address;
    if (address->any.sa_family == AF_INET)
        with_port.v4.sin_port = htons(port);
    else
        with_port.v6.sin6_port = htons(port);
    return with_port;
}

socklen_t host_address_len(const struct host_address *address) {
    return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

void host_address_text(const struct host_address *address, char *out) {
    if (getnameinfo(&address->any, host_address_len(address), out, PORTOLAN_ADDRESS_SIZE, NULL, 0,
                    NI_NUMERICHOST) != 0)
        strcpy(out, "?");
}
