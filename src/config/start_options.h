/* What the command line says about a start, besides configuration keys. */
#ifndef PORTOLAN_CONFIG_START_OPTIONS_H
#define PORTOLAN_CONFIG_START_OPTIONS_H

#include "config/config.h"

struct start_options {
    const char *program; /* as the user called it: "epmd" or "portoland" */
    bool detach;         /* go to the background once the port is bound */
    bool from_systemd;   /* take the sockets from systemd instead of opening them */
    bool debugging;      /* -d was given */
    bool quiet_if_taken; /* no failure when the port is taken: the epmd that was wanted has it */
    unsigned delay_accept_s;
    unsigned delay_write_s;

    /*
     * Reads the whole configuration again, flags, environment and file, into `config`, which the
     * caller frees whatever is returned. False with a text for people in `error`.
     */
    bool (*read_config)(void *context, struct config *config, char *error, size_t error_size);
    void *read_context;
};

/* Exit codes of the programs. */
enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1 };

#endif
