/*
 * Leases a port for a node that is about to be started on this host, and gives it back with
 * --release. `portolan exec` does the first and then starts the node.
 *
 *   $ cc -o lease lease.c $(pkg-config --cflags --libs portolan)
 *   $ ./lease rabbit@s1
 *   export ERL_EPMD_PORT=4370
 *   export ERL_AFLAGS="-kernel inet_dist_listen_min 6369 inet_dist_listen_max 6369"
 *   $ ./lease --release rabbit@s1
 */
#include <portolan.h>

#include <stdio.h>
#include <string.h>

static enum portolan_code lease(const char *node, const struct portolan_options *options,
                                struct portolan_error *error) {
    struct portolan_leased_port leased;
    enum portolan_code code = portolan_lease(node, options, &leased, error);
    if (code != PORTOLAN_OK)
        return code;
    printf("export ERL_EPMD_PORT=%u\n", leased.epmd_port);
    printf("export ERL_AFLAGS=\"-kernel inet_dist_listen_min %u inet_dist_listen_max %u\"\n",
           leased.port, leased.port);
    return code;
}

int main(int argc, char **argv) {
    struct portolan_options options;
    struct portolan_error error;
    bool releases = argc == 3 && strcmp(argv[1], "--release") == 0;

    if (argc != 2 && !releases) {
        fprintf(stderr, "usage: lease [--release] NODE\n");
        return 2;
    }
    portolan_options_init(&options, sizeof options);
    enum portolan_code code = portolan_options_from_environment(&options, &error);
    if (code == PORTOLAN_OK)
        code = releases ? portolan_release(argv[2], &options, &error)
                        : lease(argv[1], &options, &error);
    if (code != PORTOLAN_OK)
        fprintf(stderr, "lease: %s\n", error.message);
    return code == PORTOLAN_OK ? 0 : 1;
}
