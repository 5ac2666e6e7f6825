/*
 * A reload: the file is read again, and what can be changed in a running daemon is. Flags and the
 * environment stay what they were.
 *
 *   struct config fresh;
 *   if (config_reload_read(running, &fresh, &report))
 *       config_reload(running, &fresh, changed, context);      then bring the daemon in line
 *   config_free(&fresh);
 */
#ifndef PORTOLAN_CONFIG_RELOAD_H
#define PORTOLAN_CONFIG_RELOAD_H

#include "config/config.h"

/*
 * What a restart would run with. False when the report has errors: then nothing may be taken over.
 * Free `fresh` with config_free in any case.
 */
bool config_reload_read(const struct config *running, struct config *fresh,
                        struct config_report *report);

/*
 * Takes the values of the live keys over into `running`, and leaves the old ones in `fresh`. Calls
 * `changed` for each key whose value differs, in the order of the table: with `applied` when it is
 * live; else it needs a restart, and `running` keeps what it has.
 */
void config_reload(struct config *running, struct config *fresh,
                   void (*changed)(void *context, const char *key, bool applied), void *context);

#endif
