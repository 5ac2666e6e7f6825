/*
 * ekka's fixed-port rule: which port the distribution of a node listens on, from its name alone.
 *
 * The rule (ekka 0.8, EMQX 4): cut the name at the first '@'. If what is left begins with "remsh"
 * the port is 0: such a node is a command-line tool without a listener. Else take its trailing
 * ASCII digits as a number of any length, modulo 60,000, and add the base. No digits count as 0.
 *
 *   emqx@s1.emqx.io         base + 0
 *   emqx-1@192.168.0.12     base + 1
 *   n60001@h                base + 1
 */
#ifndef PORTOLAN_ERLANG_EKKA_PORT_H
#define PORTOLAN_ERLANG_EKKA_PORT_H

#include "base/bytes.h"

#define EKKA_DIST_BASE_PORT 4370
#define EKKA_OFFSET_MODULO 60000

/* Whether the rule gives this node no port at all. */
bool ekka_is_remote_shell(struct bytes node);

/* 0 to 59,999; 0 for a remote shell too. `node` is Name@Host or Name. */
uint16_t ekka_offset(struct bytes node);

/*
 * Sets *port to what the rule gives: 0 for a remote shell, else base + offset. False when that is
 * over 65,535 and so no port; *port holds the sum for the error text.
 */
bool ekka_port(struct bytes node, uint16_t base, uint32_t *port);

#endif
