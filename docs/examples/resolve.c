/*
 * Where is a node? Blocks for at most two seconds. With --derive a node that nobody knows is where
 * ekka's rule puts it, whether it runs or not.
 *
 *   $ cc -o resolve resolve.c $(pkg-config --cflags --libs portolan)
 *   $ ./resolve rabbit@s1
 *   s1:25672 (epmd)
 *   $ ./resolve --derive emqx-1@s1
 *   s1:4371 (derived)
 */
#include <portolan.h>

#include <stdio.h>
#include <string.h>

static const char *source_name(enum portolan_source source) {
    switch (source) {
    case PORTOLAN_SOURCE_REGISTERED:
        return "registered";
    case PORTOLAN_SOURCE_EPMD:
        return "epmd";
    case PORTOLAN_SOURCE_DERIVED:
        return "derived";
    }
    return "?";
}

int main(int argc, char **argv) {
    struct portolan_options options;
    struct portolan_endpoint endpoint;
    struct portolan_error error;
    bool derives = argc == 3 && strcmp(argv[1], "--derive") == 0;

    if (argc != 2 && !derives) {
        fprintf(stderr, "usage: resolve [--derive] NODE\n");
        return 2;
    }
    portolan_options_init(&options, sizeof options);
    options.deadline_ms = 2000;
    if (derives)
        options.sources =
            PORTOLAN_SOURCE_REGISTERED | PORTOLAN_SOURCE_EPMD | PORTOLAN_SOURCE_DERIVED;
    if (portolan_options_from_environment(&options, &error) != PORTOLAN_OK ||
        portolan_resolve(argv[argc - 1], &options, &endpoint, &error) != PORTOLAN_OK) {
        fprintf(stderr, "resolve: %s\n", error.message);
        return 1;
    }
    printf("%s:%u (%s)\n", endpoint.host, endpoint.port, source_name(endpoint.source));
    return 0;
}
