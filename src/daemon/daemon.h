/* Puts the parts together and runs them until a signal, a KILL request or a command ends them. */
#ifndef PORTOLAN_DAEMON_DAEMON_H
#define PORTOLAN_DAEMON_DAEMON_H

#include "config/start_options.h"

/*
 * Runs the daemon. The configuration is borrowed; a reload changes it. What went wrong has been
 * said on standard error when it returns EXIT_FAILED.
 */
enum exit_code daemon_run(struct config *config, const struct start_options *options);

#endif
