/* Both ends of links, in memory. */
#include "net/tls.h"

#include "assertions.h"
#include "base/text.h"
#include "net/tls_key.h"
#include "scratch.h"
#include "suites.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

static struct tls *tls_of(const char *cookie, const char *cluster_name) {
    char error[TLS_ERROR_SIZE];
    const struct tls_options options = {.cookie = bytes_of_text(cookie),
                                        .cluster_name = cluster_name,
                                        .cacertfile = "",
                                        .certfile = "",
                                        .keyfile = ""};
    struct tls *tls = tls_new(&options, error);
    ck_assert_ptr_nonnull(tls);
    return tls;
}

/* Carries what one end has to say to the other. */
static void carry(struct tls_stream *from, struct tls_stream *to) {
    ck_assert(tls_stream_feed(to, tls_stream_output(from)));
    tls_stream_sent(from);
}

struct pair {
    struct tls *tls[2];
    struct tls_stream *caller, *called;
    enum tls_state caller_state, called_state;
};

/* A handshake between the two, as far as it goes. */
static struct pair meet(const char *cookie, const char *other_cookie, const char *name,
                        const char *other_name) {
    struct pair pair = {.tls = {tls_of(cookie, name), tls_of(other_cookie, other_name)}};
    pair.caller = tls_stream_new(pair.tls[0], "127.0.0.1");
    pair.called = tls_stream_new(pair.tls[1], NULL);
    for (int round = 0; round < 3; round++) {
        pair.caller_state = tls_stream_handshake(pair.caller);
        carry(pair.caller, pair.called);
        pair.called_state = tls_stream_handshake(pair.called);
        carry(pair.called, pair.caller);
        if (pair.caller_state == TLS_FAILED)
            break;
    }
    return pair;
}

static void part(struct pair *pair) {
    tls_stream_free(pair->caller);
    tls_stream_free(pair->called);
    tls_free(pair->tls[0]);
    tls_free(pair->tls[1]);
}

START_TEST(one_cookie_opens_a_link_both_ways) {
    struct pair pair = meet("COOKIE", "COOKIE", "emqxcl", "emqxcl");
    uint8_t got[64];
    size_t len;

    ck_assert_int_eq(pair.caller_state, TLS_OPEN);
    ck_assert_int_eq(pair.called_state, TLS_OPEN);
    ck_assert(tls_stream_write(pair.caller, LITERAL("hello")));
    carry(pair.caller, pair.called);
    ck_assert_int_eq(tls_stream_read(pair.called, got, sizeof got, &len), TLS_OPEN);
    ck_assert(bytes_equal(bytes_of(got, len), LITERAL("hello")));
    ck_assert(tls_stream_write(pair.called, LITERAL("well")));
    tls_stream_close(pair.called);
    carry(pair.called, pair.caller);
    ck_assert_int_eq(tls_stream_read(pair.caller, got, sizeof got, &len), TLS_OPEN);
    ck_assert_int_eq(tls_stream_read(pair.caller, got, sizeof got, &len), TLS_CLOSED);
    part(&pair);
}
END_TEST

START_TEST(another_cookie_is_told_to_both) {
    struct pair pair = meet("COOKIE", "OTHER", "emqxcl", "emqxcl");

    ck_assert_int_eq(pair.called_state, TLS_FAILED);
    ck_assert_int_eq(tls_stream_failure(pair.called)->cause, CLUSTER_CAUSE_WRONG_COOKIE);
    ck_assert_int_eq(pair.caller_state, TLS_FAILED);
    ck_assert_int_eq(tls_stream_failure(pair.caller)->cause, CLUSTER_CAUSE_WRONG_COOKIE);
    part(&pair);
}
END_TEST

START_TEST(another_cluster_is_told_from_another_cookie) {
    struct pair pair = meet("COOKIE", "COOKIE", "emqxcl", "other");

    ck_assert_int_eq(tls_stream_failure(pair.called)->cause, CLUSTER_CAUSE_WRONG_CLUSTER_NAME);
    ck_assert_int_eq(tls_stream_failure(pair.caller)->cause, CLUSTER_CAUSE_WRONG_CLUSTER_NAME);
    part(&pair);
}
END_TEST

START_TEST(what_is_no_tls_is_no_portolan) {
    struct tls *tls = tls_of("COOKIE", "emqxcl");
    struct tls_stream *stream = tls_stream_new(tls, "127.0.0.1");

    ck_assert_int_eq(tls_stream_handshake(stream), TLS_WAITS);
    ck_assert(tls_stream_feed(stream, LITERAL("HTTP/1.1 400 Bad Request\r\n\r\n")));
    ck_assert_int_eq(tls_stream_handshake(stream), TLS_FAILED);
    ck_assert_int_eq(tls_stream_failure(stream)->cause, CLUSTER_CAUSE_NOT_PORTOLAN);
    tls_stream_free(stream);
    tls_free(tls);
}
END_TEST

/* The same handshake messages in records of `size` bytes. */
static size_t cut_up(struct bytes record, size_t size, uint8_t *out) {
    size_t at = 5, len = 0;
    while (at < record.len) {
        size_t piece = record.len - at < size ? record.len - at : size;
        memcpy(out + len, record.data, 3);
        out[len + 3] = 0;
        out[len + 4] = (uint8_t)piece;
        memcpy(out + len + 5, record.data + at, piece);
        len += 5 + piece;
        at += piece;
    }
    return len;
}

static enum tls_state called_by_a_hello_in_records_of(size_t size) {
    struct tls *tls = tls_of("COOKIE", "emqxcl");
    struct tls_stream *caller = tls_stream_new(tls, "127.0.0.1");
    struct tls_stream *called = tls_stream_new(tls, NULL);
    uint8_t cut[4096];
    tls_stream_handshake(caller);
    size_t len = cut_up(tls_stream_output(caller), size, cut);
    ck_assert(tls_stream_feed(called, bytes_of(cut, len)));
    tls_stream_sent(caller);
    enum tls_state state = tls_stream_handshake(called);
    if (state == TLS_WAITS) {
        carry(called, caller);
        ck_assert_int_eq(tls_stream_handshake(caller), TLS_OPEN);
        carry(caller, called);
        state = tls_stream_handshake(called);
    } else {
        ck_assert_int_eq(tls_stream_failure(called)->cause, CLUSTER_CAUSE_NOT_PORTOLAN);
        ck_assert_uint_eq(tls_stream_output(called).len, 0);
    }
    tls_stream_free(caller);
    tls_stream_free(called);
    tls_free(tls);
    return state;
}

START_TEST(a_hello_comes_in_a_few_records_at_most) {
    ck_assert_int_eq(called_by_a_hello_in_records_of(200), TLS_OPEN);
    ck_assert_int_eq(called_by_a_hello_in_records_of(100), TLS_OPEN);
    ck_assert_int_eq(called_by_a_hello_in_records_of(50), TLS_FAILED);
    ck_assert_int_eq(called_by_a_hello_in_records_of(1), TLS_FAILED);
}
END_TEST

/* Nor does an answer of single bytes keep a caller busy, however it is cut on the wire. */
START_TEST(an_answer_comes_in_a_few_records_at_most) {
    struct tls *tls = tls_of("COOKIE", "emqxcl");
    struct tls_stream *caller = tls_stream_new(tls, "127.0.0.1");
    const uint8_t record[] = {22, 3, 3, 0, 1, 2};
    tls_stream_handshake(caller);
    tls_stream_sent(caller);
    for (int i = 0; i < 16; i++) {
        for (size_t at = 0; at < sizeof record; at++)
            ck_assert(tls_stream_feed(caller, bytes_of(record + at, 1)));
    }
    ck_assert_int_eq(tls_stream_failure(caller)->cause, CLUSTER_CAUSE_NONE);
    ck_assert(tls_stream_feed(caller, bytes_of(record, sizeof record)));
    ck_assert_int_eq(tls_stream_failure(caller)->cause, CLUSTER_CAUSE_NOT_PORTOLAN);
    ck_assert_int_eq(tls_stream_handshake(caller), TLS_FAILED);
    tls_stream_free(caller);
    tls_free(tls);
}
END_TEST

START_TEST(a_hello_has_a_few_kib_at_most) {
    struct tls *tls = tls_of("COOKIE", "emqxcl");
    struct tls_stream *called = tls_stream_new(tls, NULL);
    /* a record that would go on */
    static uint8_t hello[5 + 4092] = {22, 3, 1, 0x20, 0x00, 1, 0, 0x1f, 0xfc};
    ck_assert(tls_stream_feed(called, bytes_of(hello, 4096)));
    ck_assert_int_eq(tls_stream_handshake(called), TLS_WAITS);
    ck_assert(tls_stream_feed(called, bytes_of(hello + 4096, 1)));
    ck_assert_int_eq(tls_stream_handshake(called), TLS_FAILED);
    ck_assert_int_eq(tls_stream_failure(called)->cause, CLUSTER_CAUSE_NOT_PORTOLAN);
    tls_stream_free(called);
    tls_free(tls);
}
END_TEST

/* The whole of a recorded link, sent again, opens nothing. */
START_TEST(a_recorded_link_cannot_be_replayed) {
    struct tls *tls = tls_of("COOKIE", "emqxcl");
    struct tls_stream *caller = tls_stream_new(tls, "127.0.0.1");
    struct tls_stream *called = tls_stream_new(tls, NULL), *again = tls_stream_new(tls, NULL);
    uint8_t recorded[8192];
    struct writer record = writer_of(recorded, sizeof recorded);
    for (int round = 0; round < 3; round++) {
        tls_stream_handshake(caller);
        write_bytes(&record, tls_stream_output(caller));
        carry(caller, called);
        tls_stream_handshake(called);
        carry(called, caller);
    }
    ck_assert(tls_stream_write(caller, LITERAL("leave")));
    write_bytes(&record, tls_stream_output(caller));

    ck_assert(tls_stream_feed(again, writer_bytes(&record)));
    ck_assert_int_eq(tls_stream_handshake(again), TLS_FAILED);
    tls_stream_free(caller);
    tls_stream_free(called);
    tls_stream_free(again);
    tls_free(tls);
}
END_TEST

/*
 * A caller that has the cookie and uses OpenSSL as it likes: its key allows early data, which who
 * recorded them could send again, and it keeps the tickets that it is given.
 */
struct eager {
    SSL_CTX *context;
    SSL *ssl;
    BIO *from_wire, *to_wire; /* the SSL's */
    int tickets;
};

static int use_eager_key(SSL *ssl, const EVP_MD *digest, const unsigned char **identity,
                         size_t *len, SSL_SESSION **session) {
    static const uint8_t cipher[] = {0x13, 0x02}; /* TLS_AES_256_GCM_SHA384 */
    static char name[TLS_IDENTITY_SIZE];
    uint8_t key[TLS_KEY_LEN];
    (void)digest;
    ck_assert(tls_key_identity("emqxcl", name));
    ck_assert(tls_key_derive(LITERAL("COOKIE"), "emqxcl", key));
    *identity = (const unsigned char *)name;
    *len = strlen(name);
    *session = SSL_SESSION_new();
    SSL_SESSION_set1_master_key(*session, key, sizeof key);
    SSL_SESSION_set_cipher(*session, SSL_CIPHER_find(ssl, cipher));
    SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION);
    SSL_SESSION_set1_alpn_selected(*session, (const uint8_t *)TLS_ALPN, strlen(TLS_ALPN));
    SSL_SESSION_set_max_early_data(*session, 16384);
    return 1;
}

static int count_ticket(SSL *ssl, SSL_SESSION *session) {
    struct eager *eager = SSL_get_app_data(ssl);
    (void)session;
    eager->tickets++;
    return 0;
}

/* `protocol`: whether it offers portolan's. */
static void eager_begin(struct eager *eager, bool protocol) {
    static const uint8_t alpn[] = {10, 'p', 'o', 'r', 't', 'o', 'l', 'a', 'n', '/', '1'};
    *eager = (struct eager){.context = SSL_CTX_new(TLS_client_method()),
                            .from_wire = BIO_new(BIO_s_mem()),
                            .to_wire = BIO_new(BIO_s_mem())};
    SSL_CTX_set_psk_use_session_callback(eager->context, use_eager_key);
    if (protocol)
        SSL_CTX_set_alpn_protos(eager->context, alpn, sizeof alpn);
    SSL_CTX_set_session_cache_mode(eager->context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(eager->context, count_ticket);
    eager->ssl = SSL_new(eager->context);
    SSL_set_app_data(eager->ssl, eager);
    SSL_set_bio(eager->ssl, eager->from_wire, eager->to_wire);
}

static void eager_end(struct eager *eager) {
    SSL_free(eager->ssl);
    SSL_CTX_free(eager->context);
}

static void carry_to_called(struct eager *eager, struct tls_stream *called) {
    char *data;
    long len = BIO_get_mem_data(eager->to_wire, &data);
    ck_assert(tls_stream_feed(called, bytes_of(data, (size_t)len)));
    BIO_reset(eager->to_wire);
}

static void carry_to_eager(struct tls_stream *called, struct eager *eager) {
    struct bytes output = tls_stream_output(called);
    if (output.len > 0)
        BIO_write(eager->from_wire, output.data, (int)output.len);
    tls_stream_sent(called);
}

START_TEST(early_data_is_not_heard_and_no_ticket_is_given) {
    struct tls *tls = tls_of("COOKIE", "emqxcl");
    struct tls_stream *called = tls_stream_new(tls, NULL);
    struct eager eager;
    uint8_t got[64];
    size_t len;
    eager_begin(&eager, true);

    ck_assert_int_eq(SSL_write_early_data(eager.ssl, "early", 5, &len), 1);
    carry_to_called(&eager, called);
    ck_assert_int_eq(tls_stream_handshake(called), TLS_WAITS);
    carry_to_eager(called, &eager);
    ck_assert_int_eq(SSL_connect(eager.ssl), 1);
    ck_assert_int_eq(SSL_get_early_data_status(eager.ssl), SSL_EARLY_DATA_REJECTED);
    carry_to_called(&eager, called);
    ck_assert_int_eq(tls_stream_handshake(called), TLS_OPEN);
    ck_assert_int_eq(tls_stream_read(called, got, sizeof got, &len), TLS_WAITS);

    ck_assert(tls_stream_write(called, LITERAL("well")));
    carry_to_eager(called, &eager);
    ck_assert_int_eq(SSL_read_ex(eager.ssl, got, sizeof got, &len), 1); /* tickets come before it */
    ck_assert_int_eq(eager.tickets, 0);
    eager_end(&eager);
    tls_stream_free(called);
    tls_free(tls);
}
END_TEST

START_TEST(a_caller_that_does_not_name_the_protocol_is_no_portolan) {
    struct tls *tls = tls_of("COOKIE", "emqxcl");
    struct tls_stream *called = tls_stream_new(tls, NULL);
    struct eager eager;
    eager_begin(&eager, false);

    ck_assert_int_ne(SSL_connect(eager.ssl), 1);
    carry_to_called(&eager, called);
    ck_assert_int_eq(tls_stream_handshake(called), TLS_WAITS);
    carry_to_eager(called, &eager);
    ck_assert_int_eq(SSL_connect(eager.ssl), 1); /* the key is right */
    carry_to_called(&eager, called);
    ck_assert_int_eq(tls_stream_handshake(called), TLS_FAILED);
    ck_assert(!tls_stream_write(called, LITERAL("well")));
    eager_end(&eager);
    tls_stream_free(called);
    tls_free(tls);
}
END_TEST

static void assert_key(const char *cookie, const char *name, const char *wanted) {
    uint8_t key[TLS_KEY_LEN];
    char hex[2 * TLS_KEY_LEN + 1];
    struct writer writer = writer_of(hex, sizeof hex);
    ck_assert(tls_key_derive(bytes_of_text(cookie), name, key));
    text_write_hex(&writer, bytes_of(key, sizeof key));
    write_u8(&writer, 0);
    ck_assert_str_eq(hex, wanted);
}

/* Computed with Python's hashlib.scrypt and hmac: daemons of all releases must agree on these. */
START_TEST(the_key_is_what_the_header_says) {
    char identity[TLS_IDENTITY_SIZE];
    assert_key("COOKIE", "emqxcl",
               "3dc4ff7e0e616573948b630483620cb2e0dde3c4b207c9bcdf17956773d96023");
    assert_key("COOKIE", "other",
               "4804995d315f49856e184e7a3308a5f7e31379bed2839b46d1a484f3856d529b");
    ck_assert(tls_key_identity("emqxcl", identity));
    ck_assert_str_eq(identity, "portolan/1 e45a85b8781d10be");
}
END_TEST

START_TEST(a_file_that_is_no_certificate_is_named_with_the_reason) {
    struct scratch scratch;
    char path[256], expected[512];
    struct tls_options with = {.cluster_name = "emqxcl"};
    scratch_make(&scratch);
    scratch_write(&scratch, "ca.pem", LITERAL("not PEM"));
    snprintf(path, sizeof path, "%s", scratch_path(&scratch, "ca.pem"));
    with.cacertfile = with.certfile = with.keyfile = path;
    char error[TLS_ERROR_SIZE] = "";
    ck_assert_ptr_null(tls_new(&with, error));
    snprintf(expected, sizeof expected, " %s: ", path);
    ck_assert_ptr_nonnull(strstr(error, expected));
    ck_assert_ptr_nonnull(strstr(error, "; is it a PEM file that the daemon's user may read?"));
    with.cacertfile = "/nonexistent/ca.pem";
    ck_assert_ptr_null(tls_new(&with, error));
    ck_assert_ptr_nonnull(strstr(error, " /nonexistent/ca.pem: No such file or directory"));
    scratch_remove(&scratch);
}
END_TEST

Suite *tls_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("tls", &tests);
    tcase_add_test(tests, one_cookie_opens_a_link_both_ways);
    tcase_add_test(tests, another_cookie_is_told_to_both);
    tcase_add_test(tests, another_cluster_is_told_from_another_cookie);
    tcase_add_test(tests, what_is_no_tls_is_no_portolan);
    tcase_add_test(tests, a_hello_comes_in_a_few_records_at_most);
    tcase_add_test(tests, an_answer_comes_in_a_few_records_at_most);
    tcase_add_test(tests, a_hello_has_a_few_kib_at_most);
    tcase_add_test(tests, a_recorded_link_cannot_be_replayed);
    tcase_add_test(tests, early_data_is_not_heard_and_no_ticket_is_given);
    tcase_add_test(tests, a_caller_that_does_not_name_the_protocol_is_no_portolan);
    tcase_add_test(tests, a_file_that_is_no_certificate_is_named_with_the_reason);
    tcase_add_test(tests, the_key_is_what_the_header_says);
    return suite;
}
