#include "net/tls.h"

#include "base/text.h"
#include "net/tls_files.h"
#include "net/tls_key.h"
#include "net/tls_words.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CIPHER "TLS_AES_256_GCM_SHA384"
#define GROUPS "X25519:P-256"
#define RECORD_HEAD 5 /* bytes; the last two are the record's length */

static const uint8_t cipher_number[] = {0x13, 0x02}; /* of CIPHER */
static const uint8_t alpn[] = {10, 'p', 'o', 'r', 't', 'o', 'l', 'a', 'n', '/', '1'}; /* TLS_ALPN */

struct tls {
    SSL_CTX *context;
    bool has_certificates;
    uint8_t key[TLS_KEY_LEN];
    char identity[TLS_IDENTITY_SIZE];
};

/*
 * What a peer may say in one flight of a handshake. A hello of ours has 308 bytes in one record;
 * what follows has 80 in two, and with certificates as many as their chain has. OpenSSL by itself
 * takes 128 KiB, each byte in a record of its own, and works through them one by one.
 */
struct flight_bounds {
    size_t bytes;
    unsigned records;
};
static const struct flight_bounds hello_bounds = {4096, 4};
static const struct flight_bounds key_bounds = {16384, 16}; /* with the first words behind it */
static const struct flight_bounds certificate_bounds = {65536, 32};

/* What has come of a flight. */
struct flight {
    size_t bytes;
    unsigned records;
    uint8_t head[RECORD_HEAD]; /* of the record that is coming in */
    size_t head_len, left;     /* of it */
};

struct tls_stream {
    struct tls *tls; /* borrowed */
    SSL *ssl;
    BIO *from_wire, *to_wire; /* the SSL's */
    bool is_caller;
    bool is_open;
    bool has_answered; /* we were called, and the hello was good */
    struct flight flight;
    bool other_identity; /* the peer's key is of a cluster with another name */
    struct tls_failure failure;
};

/* --- the pre-shared key --- */

static SSL_SESSION *key_session(const struct tls *tls, SSL *ssl) {
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, cipher_number);
    SSL_SESSION *session = SSL_SESSION_new();
    if (session != NULL && cipher != NULL &&
        SSL_SESSION_set1_master_key(session, tls->key, sizeof tls->key) == 1 &&
        SSL_SESSION_set_cipher(session, cipher) == 1 &&
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1 &&
        SSL_SESSION_set1_id_context(session, alpn, sizeof alpn) == 1)
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

/* The caller's side: the key it offers. */
static int use_key(SSL *ssl, const EVP_MD *digest, const unsigned char **identity, size_t *len,
                   SSL_SESSION **session) {
    const struct tls_stream *stream = SSL_get_app_data(ssl);
    *session = NULL;
    if (digest != NULL && !EVP_MD_is_a(digest, "SHA384"))
        return 1; /* no key of ours is for that */
    *session = key_session(stream->tls, ssl);
    *identity = (const unsigned char *)stream->tls->identity;
    *len = strlen(stream->tls->identity);
    return *session != NULL;
}

/* The other side: the key that was offered, if it is ours. */
static int find_key(SSL *ssl, const unsigned char *identity, size_t len, SSL_SESSION **session) {
    struct tls_stream *stream = SSL_get_app_data(ssl);
    *session = NULL;
    if (!bytes_equal(bytes_of(identity, len), bytes_of_text(stream->tls->identity))) {
        stream->other_identity = true;
        return 1;
    }
    *session = key_session(stream->tls, ssl);
    return *session != NULL;
}

static bool set_up_key(struct tls *tls, const struct tls_options *options) {
    SSL_CTX_set_psk_use_session_callback(tls->context, use_key);
    SSL_CTX_set_psk_find_session_callback(tls->context, find_key);
    /* a peer that shows a certificate instead is none of ours: there is nobody to vouch for it */
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    return tls_key_identity(options->cluster_name, tls->identity) &&
           tls_key_derive(options->cookie, options->cluster_name, tls->key);
}

/* --- certificates --- */

static bool set_up_certificates(struct tls *tls, const struct tls_options *options, char *error) {
    SSL_CTX *context = tls->context;
    tls->has_certificates = true;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return tls_files_use(context, options, error);
}

static bool expect_host(const struct tls_stream *stream, const char *host) {
    X509_VERIFY_PARAM *wanted = SSL_get0_param(stream->ssl);
    if (text_is_ip_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(wanted, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(wanted, host, 0) == 1;
}

bool tls_stream_peer_is(const struct tls_stream *stream, const char *host) {
    if (!stream->tls->has_certificates)
        return true;
    X509 *certificate = SSL_get0_peer_certificate(stream->ssl);
    if (certificate == NULL)
        return false;
    if (text_is_ip_address(host))
        return X509_check_ip_asc(certificate, host, 0) == 1;
    return X509_check_host(certificate, host, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

/* --- what streams share --- */

/* The caller must offer our protocol: others get an alert and nothing else. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned int offered_len, void *context) {
    (void)ssl;
    (void)context;
    for (unsigned int at = 0; at < offered_len; at += 1U + offered[at]) {
        if (offered_len - at >= sizeof alpn && memcmp(offered + at, alpn, sizeof alpn) == 0) {
            *out = offered + at + 1;
            *out_len = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool set_up_context(SSL_CTX *context) {
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context, CIPHER) != 1 ||
        SSL_CTX_set1_groups_list(context, GROUPS) != 1 ||
        SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn) != 0 ||
        SSL_CTX_set_session_id_context(context, alpn, sizeof alpn) != 1 ||
        SSL_CTX_set_num_tickets(context, 0) != 1 || SSL_CTX_set_max_early_data(context, 0) != 1)
        return false;
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(context, (long)certificate_bounds.bytes);
    return true;
}

static bool names_certificates(const struct tls_options *options) {
    return options->cacertfile[0] != '\0' && options->certfile[0] != '\0' &&
           options->keyfile[0] != '\0';
}

struct tls *tls_new(const struct tls_options *options, char error[TLS_ERROR_SIZE]) {
    struct tls *tls = calloc(1, sizeof *tls);
    snprintf(error, TLS_ERROR_SIZE, "cannot prepare encryption: out of memory");
    if (tls == NULL)
        return NULL;
    ERR_clear_error();
    tls->context = SSL_CTX_new(TLS_method());
    bool good = set_up_context(tls->context) &&
                (names_certificates(options) ? set_up_certificates(tls, options, error)
                                             : set_up_key(tls, options));
    if (good)
        return tls;
    tls_free(tls);
    return NULL;
}

void tls_free(struct tls *tls) {
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    OPENSSL_cleanse(tls->key, sizeof tls->key);
    free(tls);
}

/* --- streams --- */

static bool set_up_stream(struct tls_stream *stream, const char *host) {
    if (stream->ssl == NULL || stream->from_wire == NULL || stream->to_wire == NULL ||
        SSL_set_app_data(stream->ssl, stream) != 1 ||
        BIO_set_mem_eof_return(stream->from_wire, -1) != 1 ||
        BIO_set_mem_eof_return(stream->to_wire, -1) != 1)
        return false;
    if (host == NULL)
        SSL_set_accept_state(stream->ssl);
    else
        SSL_set_connect_state(stream->ssl);
    return host == NULL || !stream->tls->has_certificates || expect_host(stream, host);
}

struct tls_stream *tls_stream_new(struct tls *tls, const char *host) {
    struct tls_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->tls = tls;
    stream->is_caller = host != NULL;
    stream->ssl = SSL_new(tls->context);
    stream->from_wire = BIO_new(BIO_s_mem());
    stream->to_wire = BIO_new(BIO_s_mem());
    bool good = set_up_stream(stream, host);
    if (stream->ssl != NULL) {
        SSL_set_bio(stream->ssl, stream->from_wire, stream->to_wire);
    } else {
        BIO_free(stream->from_wire);
        BIO_free(stream->to_wire);
    }
    if (good)
        return stream;
    tls_stream_free(stream);
    return NULL;
}

void tls_stream_free(struct tls_stream *stream) {
    if (stream == NULL)
        return;
    SSL_free(stream->ssl);
    free(stream);
}

/* --- what the handshake may take --- */

static const struct flight_bounds *bounds_of(const struct tls_stream *stream) {
    if (!stream->is_caller && !stream->has_answered)
        return &hello_bounds;
    return stream->tls->has_certificates ? &certificate_bounds : &key_bounds;
}

static void count_records(struct flight *flight, struct bytes received) {
    struct reader reader = reader_of(received);
    flight->bytes += received.len;
    while (reader.left > 0) {
        if (flight->left > 0) {
            size_t len = reader.left < flight->left ? reader.left : flight->left;
            (void)read_bytes(&reader, len);
            flight->left -= len;
            continue;
        }
        flight->head[flight->head_len++] = read_u8(&reader);
        if (flight->head_len < RECORD_HEAD)
            continue;
        flight->records++;
        flight->left = (size_t)(flight->head[3] << 8 | flight->head[4]);
        flight->head_len = 0;
    }
}

/* False: the peer says more than a handshake needs, and that is how it fails. */
static bool is_within_bounds(struct tls_stream *stream, struct bytes received) {
    const struct flight_bounds *bounds = bounds_of(stream);
    count_records(&stream->flight, received);
    if (stream->flight.bytes <= bounds->bytes && stream->flight.records <= bounds->records)
        return true;
    stream->failure.cause = CLUSTER_CAUSE_NOT_PORTOLAN;
    snprintf(stream->failure.reason, TLS_REASON_SIZE,
             "its handshake is too long for a portoland: over %zu bytes or %u records",
             bounds->bytes, bounds->records);
    return false;
}

bool tls_stream_feed(struct tls_stream *stream, struct bytes received) {
    if (stream->failure.cause != CLUSTER_CAUSE_NONE ||
        (!stream->is_open && !is_within_bounds(stream, received)))
        return true;
    while (received.len > 0) {
        int len = received.len > INT_MAX ? INT_MAX : (int)received.len;
        int took = BIO_write(stream->from_wire, received.data, len);
        if (took <= 0)
            return false;
        received = bytes_of(received.data + took, received.len - (size_t)took);
    }
    return true;
}

/* --- failures --- */

/* What OpenSSL's reason tells; CLUSTER_CAUSES: nothing in particular. */
static enum cluster_cause cause_of_reason(const struct tls_stream *stream, int reason) {
    bool has_certificates = stream->tls->has_certificates;
    switch (reason) {
    case SSL_R_BINDER_DOES_NOT_VERIFY:
    case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
        return has_certificates ? CLUSTER_CAUSE_CERTIFICATE : CLUSTER_CAUSE_WRONG_COOKIE;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: /* the peer found no key of the name that we use */
        return has_certificates ? CLUSTER_CAUSE_CERTIFICATE : CLUSTER_CAUSE_WRONG_CLUSTER_NAME;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return CLUSTER_CAUSE_CERTIFICATE;
    case ERR_R_MALLOC_FAILURE:
        return CLUSTER_CAUSE_NO_MEMORY;
    case SSL_R_TLSV1_ALERT_INTERNAL_ERROR: /* tls_busy_alert; nobody else of ours sends it */
        return stream->is_open ? CLUSTER_CAUSES : CLUSTER_CAUSE_BUSY;
    default:
        return CLUSTER_CAUSES;
    }
}

static enum cluster_cause cause_of(const struct tls_stream *stream, int reason) {
    enum cluster_cause cause = cause_of_reason(stream, reason);
    if (!stream->is_open && stream->other_identity)
        return CLUSTER_CAUSE_WRONG_CLUSTER_NAME;
    if (cause != CLUSTER_CAUSES)
        return cause;
    return stream->is_open ? CLUSTER_CAUSE_LOST : CLUSTER_CAUSE_NOT_PORTOLAN;
}

/* In our words where we have some, else in OpenSSL's; NULL: neither has any. */
static const char *words_of(const struct tls_stream *stream, unsigned long error) {
    int reason = ERR_GET_REASON(error);
    const char *words = tls_words_of_reason(reason);
    long verified = SSL_get_verify_result(stream->ssl);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
        words = tls_words_of_verification(verified);
        return words != NULL ? words : X509_verify_cert_error_string(verified);
    }
    return words != NULL ? words : ERR_reason_error_string(error);
}

/* The first failure is the one that counts. */
static enum tls_state fail(struct tls_stream *stream) {
    if (stream->failure.cause != CLUSTER_CAUSE_NONE)
        return TLS_FAILED;
    unsigned long error = ERR_peek_error();
    const char *reason = words_of(stream, error);
    stream->failure.cause = cause_of(stream, ERR_GET_REASON(error));
    snprintf(stream->failure.reason, TLS_REASON_SIZE, "%s", reason == NULL ? "unknown" : reason);
    ERR_clear_error();
    return TLS_FAILED;
}

struct bytes tls_busy_alert(void) {
    static const uint8_t alert[] = {SSL3_RT_ALERT,        3, 3, 0, 2, SSL3_AL_FATAL,
                                    SSL_AD_INTERNAL_ERROR};
    return bytes_of(alert, sizeof alert);
}

const struct tls_failure *tls_stream_failure(const struct tls_stream *stream) {
    return &stream->failure;
}

static enum tls_state state_of(struct tls_stream *stream, int result) {
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WAITS;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        return fail(stream);
    }
}

/* --- the handshake, and then bytes --- */

/* What a completed handshake must have agreed on, whatever OpenSSL's defaults become. */
static bool is_agreed(const struct tls_stream *stream) {
    const unsigned char *protocol;
    unsigned int len;
    SSL_get0_alpn_selected(stream->ssl, &protocol, &len);
    bool is_ours = len == sizeof alpn - 1 && memcmp(protocol, alpn + 1, len) == 0;
    bool is_known = stream->tls->has_certificates || SSL_session_reused(stream->ssl) == 1;
    return is_ours && is_known;
}

enum tls_state tls_stream_handshake(struct tls_stream *stream) {
    if (stream->is_open)
        return TLS_OPEN;
    if (stream->failure.cause != CLUSTER_CAUSE_NONE)
        return TLS_FAILED;
    ERR_clear_error();
    int result = SSL_do_handshake(stream->ssl);
    if (!stream->has_answered && BIO_pending(stream->to_wire) > 0) {
        stream->has_answered = true;
        stream->flight = (struct flight){.bytes = 0};
    }
    if (result != 1)
        return state_of(stream, result);
    if (!is_agreed(stream))
        return fail(stream);
    stream->is_open = true;
    return TLS_OPEN;
}

enum tls_state tls_stream_read(struct tls_stream *stream, uint8_t *out, size_t size, size_t *len) {
    *len = 0;
    ERR_clear_error();
    int result = SSL_read_ex(stream->ssl, out, size, len);
    return result == 1 ? TLS_OPEN : state_of(stream, result);
}

bool tls_stream_write(struct tls_stream *stream, struct bytes plain) {
    size_t wrote;
    ERR_clear_error();
    return stream->is_open && SSL_write_ex(stream->ssl, plain.data, plain.len, &wrote) == 1 &&
           wrote == plain.len;
}

void tls_stream_close(struct tls_stream *stream) {
    ERR_clear_error();
    if (stream->is_open)
        SSL_shutdown(stream->ssl);
    ERR_clear_error();
}

struct bytes tls_stream_output(struct tls_stream *stream) {
    char *data;
    long len = BIO_get_mem_data(stream->to_wire, &data);
    return bytes_of(data, len > 0 ? (size_t)len : 0);
}

void tls_stream_sent(struct tls_stream *stream) {
    BIO_reset(stream->to_wire);
}
