/*
 * What a host's epmd has registered.
 *
 *   $ cc -o names names.c $(pkg-config --cflags --libs portolan)
 *   $ ./names s1
 *   rabbit 25672
 */
#include <portolan.h>

#include <stdio.h>

/* Names come from other programs: nothing in them may reach the terminal as a command to it. */
static void print_name(const char *name) {
    for (; *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;
        if (byte <= ' ' || byte >= 0x7f || byte == '\\')
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
}

int main(int argc, char **argv) {
    struct portolan_options options;
    struct portolan_listing *listing;
    struct portolan_error error;

    portolan_options_init(&options, sizeof options);
    if (portolan_options_from_environment(&options, &error) != PORTOLAN_OK ||
        portolan_names(argc > 1 ? argv[1] : NULL, &options, &listing, &error) != PORTOLAN_OK) {
        fprintf(stderr, "names: %s\n", error.message);
        return 1;
    }
    for (size_t i = 0; i < portolan_listing_count(listing); i++) {
        const struct portolan_name *name = portolan_listing_name(listing, i);
        print_name(name->name);
        printf(" %u\n", name->port);
    }
    portolan_listing_free(listing);
    return 0;
}
