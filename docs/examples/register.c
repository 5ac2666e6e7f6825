/*
 * Registers a name, as a C program does that is a node, and holds it until its standard input ends
 * or epmd does.
 *
 *   $ cc -o register register.c $(pkg-config --cflags --libs portolan)
 *   $ ./register gateway 9000
 *   registered gateway, creation 1772360430
 */
#include <portolan.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Returns whether the registration was held to the end. */
static bool hold(const struct portolan_registration *registration) {
    struct pollfd watched[2] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = portolan_registration_descriptor(registration), .events = POLLIN},
    };
    char ignored[512];

    for (;;) {
        if (poll(watched, 2, -1) < 0)
            continue;
        if (watched[1].revents != 0)
            return portolan_registration_is_held(registration);
        if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
            return true;
    }
}

int main(int argc, char **argv) {
    struct portolan_options options;
    struct portolan_registration *registration;
    struct portolan_error error;

    if (argc != 3) {
        fprintf(stderr, "usage: register NAME PORT\n");
        return 2;
    }
    portolan_options_init(&options, sizeof options);
    if (portolan_options_from_environment(&options, &error) != PORTOLAN_OK ||
        portolan_register(argv[1], (uint16_t)strtoul(argv[2], NULL, 10), PORTOLAN_NODE_NORMAL,
                          &options, &registration, &error) != PORTOLAN_OK) {
        fprintf(stderr, "register: %s\n", error.message);
        return 1;
    }
    printf("registered %s, creation %u\n", argv[1], portolan_registration_creation(registration));
    fflush(stdout);
    bool held = hold(registration);
    portolan_unregister(registration);
    if (!held)
        fprintf(stderr, "register: epmd has gone, and the name with it\n");
    return held ? 0 : 1;
}
