/* The daemon as a process: detaching, descriptors, and what systemd is told. */
#ifndef PORTOLAN_PROCESS_PROCESS_H
#define PORTOLAN_PROCESS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* Allows itself as many descriptors as it may. */
void process_raise_descriptor_limit(void);

/* How many descriptors this process may have. */
size_t process_descriptor_limit(void);

/* Closes what whoever started this process has left open, such as a lock or a pipe: all descriptors
 * above 2 but those that systemd passed. To be called before any is opened here. */
void process_close_inherited(void);

/*
 * Goes to the background: a process of its own session, without a terminal, in "/", its standard
 * input and output at /dev/null. Returns in the new process; the one that was started waits in here
 * until process_detached is called there, and ends with the code that it is told. Its standard
 * error stays the caller's until then. -errno when it cannot.
 */
int process_detach(const char *program);

/* In the background: lets go of the process that was started, which exits with that code, and of
 * its standard error. Without process_detach, and when called again, it does nothing. */
void process_detached(int exit_code);

/* Tells systemd, where it waits for that. */
void process_notify_ready(void);
void process_notify_stopping(void);

#endif
