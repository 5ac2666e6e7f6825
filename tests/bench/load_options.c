#include "load_options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCES_TO_REGISTER = 200 };

static const char *const mode_names[] = {"lookup", "names", "register", "hold"};

const char *load_mode_name(enum load_mode mode) {
    return mode_names[mode];
}

static void usage(void) {
    fputs("usage: load --port P [OPTION...] lookup | names | register | hold N\n"
          "  --inflight N     connections at once (64)\n"
          "  --names N        how many bench names are registered (1)\n"
          "  --pick ORDER     of lookup's names: random (the default) or round-robin\n"
          "  --seconds S      open connections for so long (2, unless --requests is given)\n"
          "  --requests N     open so many connections\n"
          "  --sources N      connect from so many addresses of 127/8 (1; 200 to register)\n",
          stderr);
    exit(2);
}

static double number_of(const char *text, double low, double high) {
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= low && value <= high))
        usage();
    return value;
}

static void parse_mode(struct load_options *options, char **words, int count) {
    size_t mode = 0;

    while (count > 0 && mode <= LOAD_HOLD && strcmp(words[0], mode_names[mode]) != 0)
        mode++;
    if (count != (mode == LOAD_HOLD ? 2 : 1) || mode > LOAD_HOLD)
        usage();
    options->mode = (enum load_mode)mode;
    if (options->mode == LOAD_HOLD) {
        options->requests = (uint64_t)number_of(words[1], 1, 1e6);
        options->seconds = 0;
    } else if (options->requests == 0 && options->seconds <= 0) {
        options->seconds = 2;
    }
    if (options->sources == 0) {
        bool registers = options->mode == LOAD_REGISTER || options->mode == LOAD_HOLD;

        options->sources = registers ? SOURCES_TO_REGISTER : 1;
    }
}

struct load_options load_options_parse(int argc, char **argv) {
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},    {"inflight", required_argument, NULL, 'i'},
        {"names", required_argument, NULL, 'n'},   {"pick", required_argument, NULL, 'k'},
        {"seconds", required_argument, NULL, 's'}, {"requests", required_argument, NULL, 'r'},
        {"sources", required_argument, NULL, 'a'}, {NULL, 0, NULL, 0},
    };
    struct load_options options = {.inflight = 64, .names = 1};
    int option;

    while ((option = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
        if (option == 'p')
            options.port = (uint16_t)number_of(optarg, 1, UINT16_MAX);
        else if (option == 'i')
            options.inflight = (uint32_t)number_of(optarg, 1, 1e6);
        else if (option == 'n')
            options.names = (uint32_t)number_of(optarg, 0, 1e6);
        else if (option == 's')
            options.seconds = number_of(optarg, 0.001, 1e6);
        else if (option == 'r')
            options.requests = (uint64_t)number_of(optarg, 1, 1e12);
        else if (option == 'a')
            options.sources = (uint32_t)number_of(optarg, 1, 60000);
        else if (option == 'k' && strcmp(optarg, "round-robin") == 0)
            options.round_robin = true;
        else if (option != 'k' || strcmp(optarg, "random") != 0)
            usage();
    }
    parse_mode(&options, argv + optind, argc - optind);
    if (options.port == 0 || (options.mode == LOAD_LOOKUP && options.names == 0))
        usage();
    return options;
}
