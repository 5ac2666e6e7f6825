/* The files that cluster.tls.* names: checked, and given to OpenSSL. */
#ifndef PORTOLAN_NET_TLS_FILES_H
#define PORTOLAN_NET_TLS_FILES_H

#include "net/tls.h"

#include <openssl/types.h>

/*
 * Uses the authority, the certificate and its key. None is read where it is not a regular file, or
 * a link that others may have put there; the key not where others than its owner may read it (a
 * group may, of a key of root's). False: `error` says what failed, on what file, and why.
 */
bool tls_files_use(SSL_CTX *context, const struct tls_options *options, char error[TLS_ERROR_SIZE]);

#endif
