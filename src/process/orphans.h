/*
 * As process 1, of a container say, the daemon is handed every process whose parent has ended, and
 * must wait for its end: else it stays as a zombie. Children that somebody here waits for are
 * theirs: who is found to have ended is shown to `ended` first.
 */
#ifndef PORTOLAN_PROCESS_ORPHANS_H
#define PORTOLAN_PROCESS_ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

struct event_base;
struct orphans;

struct orphans_hooks {
    /* A process has ended, with the status of waitpid. */
    void (*ended)(void *context, pid_t pid, int status);
    void *context;
};

/* NULL with true: this is not process 1, there is nothing to do. False when out of memory. */
bool orphans_new(struct event_base *base, const struct orphans_hooks *hooks, struct orphans **made);
void orphans_free(struct orphans *orphans);

#endif
