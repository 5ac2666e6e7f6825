/*
 * Where is a node? Blocks for at most two seconds.
 *
 *   $ cc -o resolve resolve.c $(pkg-config --cflags --libs portolan)
 *   $ ./resolve rabbit@s1
 *   s1:25672 (epmd)
 */
#include <portolan.h>

#include <stdio.h>

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

    if (argc != 2) {
        fprintf(stderr, "usage: resolve NODE\n");
        return 2;
    }
    portolan_options_init(&options, sizeof options);
    options.deadline_ms = 2000;
    if (portolan_options_from_environment(&options, &error) != PORTOLAN_OK ||
        portolan_resolve(argv[1], &options, &endpoint, &error) != PORTOLAN_OK) {
        fprintf(stderr, "resolve: %s\n", error.message);
        return 1;
    }
    printf("%s:%u (%s)\n", endpoint.host, endpoint.port, source_name(endpoint.source));
    return 0;
}
