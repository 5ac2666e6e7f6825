/*
 * The key of a cluster's links, made from its cookie.
 *
 *   stretched = scrypt(cookie, salt "portolan/1 cookie", N = 32768, r = 8, p = 1), 32 bytes
 *   key       = HKDF-SHA-256(stretched, no salt, info "portolan/1 link " + cluster name), 32 bytes
 *   identity  = "portolan/1 " + the first 16 hexadecimal digits of SHA-256(cluster name)
 *
 * The identity travels in the clear: it lets the other side tell another cluster's name from
 * another cookie. Who listens to a handshake can try cookies against it, one scrypt (RFC 7914: 32
 * MiB, about 0.1 s) a guess: the cookies that Erlang makes withstand that, a word of a dictionary
 * does not.
 */
#ifndef PORTOLAN_NET_TLS_KEY_H
#define PORTOLAN_NET_TLS_KEY_H

#include "base/bytes.h"

#define TLS_KEY_LEN 32
#define TLS_IDENTITY_SIZE 32 /* with its NUL */

/* Takes a tenth of a second, on purpose. False when OpenSSL or memory fails: then `key` is wiped.
 * The caller wipes the key after use. */
bool tls_key_derive(struct bytes cookie, const char *cluster_name, uint8_t key[TLS_KEY_LEN]);

bool tls_key_identity(const char *cluster_name, char identity[TLS_IDENTITY_SIZE]);

#endif
