/*
 * Node names, as Erlang and epmd know them: Name@Host, where Name is the alive name that epmd maps
 * to a port. Limits are epmd's (OTP 25): 1 to 255 characters of well-formed UTF-8, so 1,020 bytes
 * at most, and no NUL.
 */
#ifndef PORTOLAN_ERLANG_NODE_NAME_H
#define PORTOLAN_ERLANG_NODE_NAME_H

#include "base/bytes.h"

#define ALIVE_NAME_MAX_CHARACTERS 255
#define ALIVE_NAME_MAX_BYTES 1020

enum alive_name_verdict {
    ALIVE_NAME_OK,
    ALIVE_NAME_EMPTY,
    ALIVE_NAME_HAS_NUL,
    ALIVE_NAME_NOT_UTF8,
    ALIVE_NAME_TOO_LONG,
};

enum alive_name_verdict alive_name_check(struct bytes name);

/*
 * Whether the name can stand in a line that others read: without control characters. epmd registers
 * any, Erlang none of them; with an end of line in it, a name is several, with whatever ports.
 */
bool alive_name_fits_line(struct bytes name);

#endif
