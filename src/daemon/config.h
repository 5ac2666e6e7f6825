/*
 * The settings: one table of keys, from which parsing, defaults and help come.
 *
 * A key may be set on the command line (epmd's flags, or --set KEY=VALUE) and in the environment:
 * PORTOLAN_EPMD__PACKET_TIMEOUT=5s is epmd.packet_timeout. The environment that OTP's epmd knows
 * counts too. A flag beats the environment, which beats the default.
 */
#ifndef PORTOLAN_DAEMON_CONFIG_H
#define PORTOLAN_DAEMON_CONFIG_H

#include "base/log.h"

#include <stdio.h>

struct config {
    char *data_dir; /* NULL: nowhere */
    uint16_t epmd_port;
    char *epmd_address; /* comma list, "" for all */
    int64_t packet_timeout_ms;
    bool relaxed_commands;
    bool remote_names;
    uint64_t peer_connections;
    int log_level;
    char *log_to; /* "console", "syslog" or a path */
    int log_format;
};

/* Who the program was started as: their defaults differ. */
enum config_personality { CONFIG_AS_PORTOLAND, CONFIG_AS_EPMD };

/* A text for people that says what value is wrong with which key, and what would be right. */
#define CONFIG_ERROR_SIZE 512

/* Sets the defaults. False when out of memory. Free with config_free in any case. */
bool config_init(struct config *config, enum config_personality personality);
void config_free(struct config *config);

/* Sets one key from its text form. */
bool config_set(struct config *config, const char *key, const char *value, char *error);

/* Sets what "KEY=VALUE" says. */
bool config_set_pair(struct config *config, const char *pair, char *error);

/* Sets all that the environment says of keys. */
bool config_load_environment(struct config *config, char *error);

/* Lists the keys: name, default, meaning. */
void config_describe(FILE *out);

#endif
