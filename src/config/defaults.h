/* The defaults that depend on who starts the program, and from where. */
#ifndef PORTOLAN_CONFIG_DEFAULTS_H
#define PORTOLAN_CONFIG_DEFAULTS_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_PATH_SIZE 4096

/*
 * Where state is kept: what systemd's StateDirectory= says, the system's place, or the user's.
 * False when there is none: a user without a home.
 */
bool config_default_data_dir(char *path);

#endif
