/*
 * The environment: node.name is PORTOLAN_NODE__NAME, EMQX_NODE__NAME and EMQX_NODE_NAME, the first
 * of them that is set; some keys have a variable of their own besides (WITH_EPMD, ERL_EPMD_PORT),
 * which is weaker than these. Under the name epmd EMQX's variables and WITH_EPMD do not count.
 */
#ifndef PORTOLAN_CONFIG_ENVIRONMENT_H
#define PORTOLAN_CONFIG_ENVIRONMENT_H

#include "config/config.h"

/* False when the report has errors. A variable that looks like a key of ours and is none is warned
 * of. */
bool config_environment_load(struct config *config, struct config_report *report);

/* prefix + the key in capitals, with `separator` for each dot. */
#define CONFIG_VARIABLE_SIZE 96
const char *config_environment_variable(const char *prefix, const char *key, const char *separator,
                                        char *out);

#endif
