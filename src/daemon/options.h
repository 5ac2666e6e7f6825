/* The command line of epmd, flag by flag, which is portoland's too. */
#ifndef PORTOLAN_DAEMON_OPTIONS_H
#define PORTOLAN_DAEMON_OPTIONS_H

#include "config/config.h"

/* Returns the exit code: 0 done, 1 failed or wrongly called. */
int epmd_command_main(enum config_personality personality, int argc, char **argv);

#endif
