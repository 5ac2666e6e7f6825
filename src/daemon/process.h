/* The daemon as a process: detaching, descriptors, and what systemd hands over. */
#ifndef PORTOLAN_DAEMON_PROCESS_H
#define PORTOLAN_DAEMON_PROCESS_H

#include "net/listener.h"

/* Allows itself as many descriptors as it may. */
void process_raise_descriptor_limit(void);

/* How many descriptors this process may have. */
size_t process_descriptor_limit(void);

/*
 * Goes to the background: a process of its own session, without a terminal, in "/", its standard
 * streams at /dev/null. Returns in the new process; the caller's parent sees exit code 0 at once.
 * -errno when it cannot.
 */
int process_detach(void);

/* The listening sockets that systemd passed; those of epmd_port serve epmd, others are front ports.
 * False, with a text for people, when there are none to use. */
bool process_systemd_listeners(struct listeners *listeners, uint16_t epmd_port, const char **error);

/* Tells systemd, where it waits for that. */
void process_notify_ready(void);
void process_notify_stopping(void);

#endif
