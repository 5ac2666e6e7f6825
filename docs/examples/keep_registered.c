/*
 * Keeps a name registered for as long as it runs: where epmd is not there, or goes, it tries again
 * until it is back. Ends with its standard input.
 *
 *   $ cc -o keep_registered keep_registered.c $(pkg-config --cflags --libs portolan)
 *   $ ./keep_registered gateway 9000
 *   registered gateway, creation 1772360430
 *   lost gateway
 *   registered gateway, creation 1772360431
 */
#include <portolan.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 5000

/* Of the first two at most one is there; while neither is, it waits to try again. */
struct keeper {
    const char *name;
    uint16_t port;
    struct portolan_options options;
    struct portolan_operation *registering;
    struct portolan_registration *registration;
    int retry_ms; /* after the next failure */
    int wait_ms;  /* for poll; -1: no time is waited for */
};

static void fail(struct keeper *keeper, const char *message) {
    fprintf(stderr, "keep_registered: %s\n", message);
    keeper->wait_ms = keeper->retry_ms;
    keeper->retry_ms = 2 * keeper->retry_ms > RETRY_MAX_MS ? RETRY_MAX_MS : 2 * keeper->retry_ms;
}

static void start(struct keeper *keeper) {
    struct portolan_error error;
    keeper->wait_ms = -1;
    if (portolan_register_start(keeper->name, keeper->port, PORTOLAN_NODE_NORMAL, &keeper->options,
                                &keeper->registering, &error) != PORTOLAN_OK)
        fail(keeper, error.message);
}

static void step(struct keeper *keeper) {
    enum portolan_code code = portolan_operation_step(keeper->registering);
    if (code == PORTOLAN_PENDING)
        return;
    if (code == PORTOLAN_OK) {
        portolan_operation_take_registration(keeper->registering, &keeper->registration);
        printf("registered %s, creation %u\n", keeper->name,
               portolan_registration_creation(keeper->registration));
        fflush(stdout);
        keeper->retry_ms = RETRY_FIRST_MS;
    } else {
        fail(keeper, portolan_operation_message(keeper->registering));
    }
    portolan_operation_free(keeper->registering);
    keeper->registering = NULL;
}

static void look(struct keeper *keeper) {
    if (portolan_registration_is_held(keeper->registration))
        return;
    printf("lost %s\n", keeper->name);
    fflush(stdout);
    portolan_unregister(keeper->registration);
    keeper->registration = NULL;
    start(keeper);
}

static int descriptor(const struct keeper *keeper) {
    if (keeper->registering != NULL)
        return portolan_operation_descriptor(keeper->registering);
    if (keeper->registration != NULL)
        return portolan_registration_descriptor(keeper->registration);
    return -1; /* poll passes over it */
}

static void run(struct keeper *keeper) {
    char ignored[512];
    start(keeper);
    for (;;) {
        struct pollfd ready[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                  {.fd = descriptor(keeper), .events = POLLIN}};
        int count = poll(ready, 2, keeper->wait_ms);
        if (count > 0 && ready[0].revents != 0 && read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
            return;
        if (count > 0 && ready[1].revents != 0 && keeper->registering != NULL)
            step(keeper);
        else if (count > 0 && ready[1].revents != 0)
            look(keeper);
        else if (count == 0)
            start(keeper);
    }
}

int main(int argc, char **argv) {
    struct keeper keeper = {.retry_ms = RETRY_FIRST_MS};
    struct portolan_error error;
    unsigned long port = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

    if (port == 0 || port > 65535) {
        fprintf(stderr, "usage: keep_registered NAME PORT\n");
        return 2;
    }
    keeper.name = argv[1];
    keeper.port = (uint16_t)port;
    portolan_options_init(&keeper.options, sizeof keeper.options);
    if (portolan_options_from_environment(&keeper.options, &error) != PORTOLAN_OK) {
        fprintf(stderr, "keep_registered: %s\n", error.message);
        return 2;
    }
    run(&keeper);
    portolan_operation_free(keeper.registering);
    portolan_unregister(keeper.registration);
    return 0;
}
