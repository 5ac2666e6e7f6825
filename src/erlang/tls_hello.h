/*
 * The beginning of a TLS connection, read for one thing: which application protocols the caller
 * offers (ALPN, RFC 7301). TLS itself is OpenSSL's; this only finds whose connection it is, before
 * anything is answered.
 *
 *   record (RFC 8446, 5.1)      type:8 = 22, version:16 = 0x03xx, length:16, then
 *   handshake (RFC 8446, 4)     type:8 = 1, length:24, then
 *   ClientHello (4.1.2)         version:16 random:256, then session id (8-bit length), cipher
 *                               suites (16), compression methods (8), extensions (16), each of
 *                               these being type:16 and data (16)
 *   ALPN, extension 16          a list (16) of names (8)
 */
#ifndef PORTOLAN_ERLANG_TLS_HELLO_H
#define PORTOLAN_ERLANG_TLS_HELLO_H

#include "base/bytes.h"

#define TLS_HELLO_MAX (5 + 16384) /* one record, which is all that is read */

enum tls_hello {
    TLS_HELLO_INCOMPLETE, /* a record's beginning: more must come */
    TLS_HELLO_OFFERS,     /* a hello that has the protocol in its list */
    TLS_HELLO_OTHER,      /* a hello that has not */
    TLS_HELLO_BAD,        /* no hello: lengths that lie, another kind of record or message */
};

/* Whether bytes begin as TLS does. Two are enough to know; fewer are not. */
bool tls_hello_begins(struct bytes received);

/*
 * Judges the first record. A hello that goes on in a second record, which only one over 16 KiB
 * does, is judged by its first.
 */
enum tls_hello tls_hello_offers(struct bytes received, struct bytes protocol);

/* How many bytes an INCOMPLETE hello must have to be judged anew: more than `received.len`. */
size_t tls_hello_wants(struct bytes received);

#endif
