/* The listening sockets of a .socket unit, as systemd passes them (sd_listen_fds(3)). */
#ifndef PORTOLAN_NET_SYSTEMD_LISTENERS_H
#define PORTOLAN_NET_SYSTEMD_LISTENERS_H

#include "net/listener.h"

/*
 * Takes them over: those on epmd_port serve epmd, others are front ports. False, with a text for
 * people, when none can be used.
 */
bool systemd_listeners(struct listeners *listeners, uint16_t epmd_port, const char **error);

#endif
