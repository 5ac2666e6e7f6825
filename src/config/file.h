/*
 * The file: `key = value` lines and # comments, as EMQX 4 has them, read through inih.
 *
 *   node.name = emqx@s1.emqx.io     # the rest of a line is a comment
 *   log.to = "/var/log/a#b.log"     quotes keep a # and blanks at the ends
 *
 * A key of a family that is not ours (listener.tcp.external = 1883) and EMQX's own keys in a family
 * that is (node.process_limit) are counted and left alone. Any other key that is unknown is an
 * error. A key that is set twice has the value of its last line, as in EMQX, and is warned of. All
 * errors of a file are reported, not only the first.
 */
#ifndef PORTOLAN_CONFIG_FILE_H
#define PORTOLAN_CONFIG_FILE_H

#include "config/config.h"

/* Bytes a line may have. Lines that are not ours may be longer. Where inih was built with a smaller
 * limit that cannot be raised, that one counts. */
#define CONFIG_LINE_MAX 8190

/* False when the report has errors. */
bool config_file_load(struct config *config, const char *path, struct config_report *report);

/* The same of an open stream, which errors call `name`. */
bool config_file_parse(struct config *config, FILE *stream, const char *name,
                       struct config_report *report);

#endif
