/*
 * How much of each kind of line the log takes: what a peer or a local user can cause again and
 * again fills no disk. A kind is an event's name. Each has a burst, and what it may write a second
 * after that; the table in log_limits.c has them all. The first line of a kind always passes.
 *
 * What was held back is counted, and told in one line for each kind, LOG_REPORT_MS later.
 */
#ifndef PORTOLAN_BASE_LOG_LIMITS_H
#define PORTOLAN_BASE_LOG_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_REPORT_MS 10000

/* Whether a line of the event may be written now; if not, it is counted. `detail`: it is of a level
 * that is asked for to see much. The name is borrowed for good. */
bool log_limits_allow(const char *event, bool detail, int64_t now_ms);

/* The kinds of which lines were held back since the last call, one a call; false: there is none. */
bool log_limits_next_suppressed(const char **event, uint64_t *lines);

#endif
