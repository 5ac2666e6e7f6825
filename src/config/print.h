/* Prints the table of keys, in the forms that people and programs want it. */
#ifndef PORTOLAN_CONFIG_PRINT_H
#define PORTOLAN_CONFIG_PRINT_H

#include "config/config.h"

/* Every key with its value and where that came from, in three columns. */
void config_print(const struct config *config, FILE *out);

/*
 * The same as one JSON object:
 *   {"file":"/etc/portolan/portolan.conf","ignored":0,"keys":{"epmd.port":{"value":4369,
 *    "source":"default","where":null,"default":4369,"live":false},...}}
 * Ports and counts are numbers, switches booleans, times texts.
 */
void config_print_json(const struct config *config, FILE *out);

/* What --check-config says of a configuration without errors. */
void config_print_checked(const struct config *config, const struct config_report *report,
                          const char *program, FILE *out);

/* The keys for --help: name, default, meaning. */
void config_print_help(enum config_personality personality, FILE *out);

/* The example file: every key at its default, commented out. */
void config_print_example(FILE *out);

/* The list of keys of the manual page, in mdoc. */
void config_print_mdoc(FILE *out);

#endif
