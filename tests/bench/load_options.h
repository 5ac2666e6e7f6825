/*
 * load_options: the command line of the load generator; load.c says what the modes do.
 */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum load_mode { LOAD_LOOKUP, LOAD_NAMES, LOAD_REGISTER, LOAD_HOLD };

struct load_options {
    enum load_mode mode;
    uint16_t port;
    uint32_t inflight; /* connections at once */
    uint32_t names;    /* how many bench names the server has */
    uint32_t sources;  /* addresses to connect from; 1 leaves the choice to the kernel */
    uint64_t requests; /* connections in all, 0 for no bound; with LOAD_HOLD how many to hold */
    double seconds;    /* how long to open new ones, 0 for no bound */
    bool round_robin;  /* look names up in their order, not at random */
};

/* Prints the usage and exits with status 2 when the arguments are not right. */
struct load_options load_options_parse(int argc, char **argv);

const char *load_mode_name(enum load_mode mode);

#endif
