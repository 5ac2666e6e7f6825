/* Whether the values of a configuration go with one another: what no key can know alone. */
#ifndef PORTOLAN_CONFIG_CHECK_H
#define PORTOLAN_CONFIG_CHECK_H

#include "config/config.h"

/* For who runs a daemon; a mere call to a daemon needs less. False when the report has errors. */
bool config_check(const struct config *config, struct config_report *report);

#endif
