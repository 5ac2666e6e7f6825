/*
 * The program of cluster.on_event: run for every event, one after the other.
 *
 *   PROGRAM EVENT NAME     with PORTOLAN_EVENT, PORTOLAN_NAME and more in its environment
 *                          (portoland(8)), /dev/null as its standard streams
 *
 * One run has EVENT_HOOK_MS, then it is killed, with all of its process group. At most
 * EVENT_HOOK_QUEUE events wait; more are dropped, and that is logged.
 */
#ifndef PORTOLAN_SERVICE_EVENT_HOOK_H
#define PORTOLAN_SERVICE_EVENT_HOOK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EVENT_HOOK_MS 10000
#define EVENT_HOOK_QUEUE 256
#define EVENT_HOOK_VARIABLES 8

struct event_base;
struct event_hook;

/* `path` is copied; a run has `limit_ms`, EVENT_HOOK_MS in the daemon. NULL when out of memory. */
struct event_hook *event_hook_new(struct event_base *base, const char *path, int64_t limit_ms);

/* Kills a run that is under way. NULL is fine. */
void event_hook_free(struct event_hook *hook);

/* Somebody else has waited for this process, which may be the one that runs: as orphans do. NULL is
 * fine. */
void event_hook_ended(struct event_hook *hook, pid_t pid, int status);

/* What is in the environment besides the daemon's own, "NAME=value". All is copied. */
struct event_hook_run {
    const char *event, *name;
    const char *variables[EVENT_HOOK_VARIABLES];
    size_t count;
};
void event_hook_start(struct event_hook *hook, const struct event_hook_run *run);

#endif
