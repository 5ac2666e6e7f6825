/*
 * Encrypted links: TLS 1.3 between two daemons that have the same cookie, or certificates of one
 * authority.
 *
 * This module has no sockets. A stream is one end of a link: what came from the wire is fed into
 * it, and what it wants to send is taken out of it, so that it can be tested in memory.
 *
 *   tls_stream_feed -> tls_stream_handshake until TLS_OPEN -> tls_stream_read, tls_stream_write
 *   after each of them: send tls_stream_output, then tls_stream_sent
 *
 * Without certificates: an external pre-shared key (net/tls_key) with (EC)DHE (RFC 8446, 2.2 and
 * 4.2.9), so a recorded link cannot be read later and a recorded handshake is worth nothing. With
 * them: both sides show one of the configured authority. ALPN is TLS_ALPN. No tickets, no early
 * data, no older version.
 */
#ifndef PORTOLAN_NET_TLS_H
#define PORTOLAN_NET_TLS_H

#include "cluster/cluster.h"

#define TLS_ALPN "portolan/1"
#define TLS_REASON_SIZE 160
#define TLS_ERROR_SIZE (TLS_REASON_SIZE * 4)

struct tls;
struct tls_stream;

/* All borrowed for the call. Certificates are used when all three files are named. */
struct tls_options {
    struct bytes cookie;
    const char *cluster_name;
    const char *cacertfile, *certfile, *keyfile; /* "": none */
};

/* What all streams share. NULL: `error` says what failed, on what, and why. */
struct tls *tls_new(const struct tls_options *options, char error[TLS_ERROR_SIZE]);
void tls_free(struct tls *tls);

/* `host`: whom we call, which its certificate must name; NULL: the peer calls us. NULL when out of
 * memory. `tls` must live longer. */
struct tls_stream *tls_stream_new(struct tls *tls, const char *host);
void tls_stream_free(struct tls_stream *stream);

enum tls_state {
    TLS_WAITS,  /* for more from the wire */
    TLS_OPEN,   /* handshake: it is done; read: there was something */
    TLS_CLOSED, /* by the peer, in order */
    TLS_FAILED, /* see tls_stream_failure */
};

/* Takes bytes from the wire. False when out of memory. A handshake that says more than one needs,
 * in bytes or in records, has failed with that: a stranger must not keep us busy with it. */
bool tls_stream_feed(struct tls_stream *stream, struct bytes received);

enum tls_state tls_stream_handshake(struct tls_stream *stream);
enum tls_state tls_stream_read(struct tls_stream *stream, uint8_t *out, size_t size, size_t *len);
bool tls_stream_write(struct tls_stream *stream, struct bytes plain);

/* Says goodbye; nothing can be written afterwards. */
void tls_stream_close(struct tls_stream *stream);

/* What is to go to the wire; borrowed until the next call. tls_stream_sent: it has gone. */
struct bytes tls_stream_output(struct tls_stream *stream);
void tls_stream_sent(struct tls_stream *stream);

/* Whether the peer's certificate names this host: always true where there are no certificates. */
bool tls_stream_peer_is(const struct tls_stream *stream, const char *host);

/*
 * What a caller gets when there is no room for it: the alert internal_error (RFC 8446, 6.2:
 * "unrelated to the peer or the correctness of the protocol"), in the clear. Its handshake fails
 * with CLUSTER_CAUSE_BUSY then.
 */
struct bytes tls_busy_alert(void);

/* Why it is TLS_FAILED: a cause, and words for people, ours (net/tls_words) or OpenSSL's. */
struct tls_failure {
    enum cluster_cause cause;
    char reason[TLS_REASON_SIZE];
};
const struct tls_failure *tls_stream_failure(const struct tls_stream *stream);

#endif
