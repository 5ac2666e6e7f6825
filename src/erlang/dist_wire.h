/*
 * The first packet of Erlang's distribution handshake (OTP's "Distribution Protocol" page,
 * send_name): all that the front port reads of a distribution connection.
 *
 *    0        2     3
 *   +--------+-----+----------------------------------------------------------------
 *   | length | tag | the rest, length - 1 bytes
 *   +--------+-----+----------------------------------------------------------------
 *
 *   N | flags:64 creation:32 nlen:16 name      OTP 23 and later; what follows the name is ignored
 *   n | version:16 flags:32 name               OTP 24 and older; the version is 5
 *
 * The name is the caller's, Name@Host; or Host alone where the caller asks its peer for a name.
 * A NAMES request of the epmd protocol has the tag n too, but a length of 1.
 */
#ifndef PORTOLAN_ERLANG_DIST_WIRE_H
#define PORTOLAN_ERLANG_DIST_WIRE_H

#include "base/bytes.h"

#define DIST_SEND_NAME 'N'
#define DIST_SEND_NAME_OLD 'n'
#define DIST_OLD_VERSION 5

/*
 * Decodes what follows the length. False when it is malformed, or names what no node can be
 * called. *caller borrows the payload.
 */
bool dist_send_name_decode(struct bytes payload, struct bytes *caller);

#endif
