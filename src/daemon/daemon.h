/* Puts the parts together and runs them until a signal, a KILL request or a command ends them. */
#ifndef PORTOLAN_DAEMON_DAEMON_H
#define PORTOLAN_DAEMON_DAEMON_H

#include "daemon/config.h"

struct daemon_options {
    const char *program; /* as the user called it: "epmd" or "portoland" */
    bool detach;         /* go to the background once the port is bound */
    bool from_systemd;   /* take the sockets from systemd instead of opening them */
    bool debugging;      /* -d was given */
    bool
        quiet_if_taken; /* a taken port is no failure: whoever has it is the epmd that was wanted */
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

/*
 * Runs the daemon. The configuration is borrowed; a reload changes it. What went wrong has been
 * said on standard error when it returns EXIT_FAILED.
 */
enum exit_code daemon_run(struct config *config, const struct daemon_options *options);

#endif
