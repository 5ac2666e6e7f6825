/*
 * What people are told of certificates that were not accepted: by us, or, as its alert says, by the
 * peer. "It" is the peer. RFC 8446, 6.2; for OpenSSL's alerts see ssl_x509err2alert there.
 */
#ifndef PORTOLAN_NET_TLS_WORDS_H
#define PORTOLAN_NET_TLS_WORDS_H

/* Of X509_V_ERR_…; NULL: OpenSSL's own words must do. */
const char *tls_words_of_verification(long result);

/* Of SSL_R_…; NULL likewise. */
const char *tls_words_of_reason(int reason);

#endif
