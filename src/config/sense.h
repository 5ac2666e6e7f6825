/*
 * What makes no sense in a configuration although each value is valid: settings that take no
 * effect, contradict each other, or name what is not there. Each is a warning: the daemon would
 * run.
 */
#ifndef PORTOLAN_CONFIG_SENSE_H
#define PORTOLAN_CONFIG_SENSE_H

#include "config/config.h"

void config_sense(const struct config *config, struct config_report *report);

#endif
