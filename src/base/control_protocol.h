/* The version of the protocol on the control socket: the member "v" (docs/control.md). */
#ifndef PORTOLAN_BASE_CONTROL_PROTOCOL_H
#define PORTOLAN_BASE_CONTROL_PROTOCOL_H

#define CONTROL_PROTOCOL_VERSION 1
#define CONTROL_PROTOCOL_VERSION_TEXT "1" /* the same, for a line that is a literal */

#endif
