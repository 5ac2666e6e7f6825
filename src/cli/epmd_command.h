/* The command line of epmd, flag by flag, which is portoland's too. */
#ifndef PORTOLAN_CLI_EPMD_COMMAND_H
#define PORTOLAN_CLI_EPMD_COMMAND_H

#include "daemon/config.h"

/* Returns the exit code: 0 done, 1 failed or wrongly called. */
int epmd_command_main(enum config_personality personality, int argc, char **argv);

#endif
