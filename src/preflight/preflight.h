/*
 * Opens and judges all that a start would need, and leaves everything as it was: for
 * --check-config. The configuration has passed config_check already.
 *
 *   error      what would keep the daemon from starting
 *   warning    what it would survive, but not as the configuration wants
 *
 * It may run beside the daemon that has the ports and the state: those count as free then. It sees
 * with the eyes of its own user; what the daemon's user may read can differ.
 */
#ifndef PORTOLAN_PREFLIGHT_PREFLIGHT_H
#define PORTOLAN_PREFLIGHT_PREFLIGHT_H

#include "config/config.h"

/* False when the report has an error of it. */
bool preflight(const struct config *config, struct config_report *report);

#endif
