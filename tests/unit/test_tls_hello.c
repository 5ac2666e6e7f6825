#include "erlang/tls_hello.h"

#include "assertions.h"
#include "net/tls.h"
#include "some_hello.h"
#include "suites.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

static struct some_hello hello;

/* Judges bytes in memory of their own length, so that a sanitizer sees who reads past it. */
static enum tls_hello judge(struct bytes received) {
    uint8_t *copy = malloc(received.len + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy + 1, received.data, received.len);
    enum tls_hello verdict =
        tls_hello_offers(bytes_of(copy + 1, received.len), bytes_of_text(TLS_ALPN));
    free(copy);
    return verdict;
}

static enum tls_hello judge_hello(void) {
    return judge(some_hello_bytes(&hello));
}

static void make(const char *first, const char *second) {
    const char *const names[] = {first, second, NULL};
    some_hello_make(&hello, first == NULL ? NULL : names, 7);
}

static void assert_whole(struct bytes whole, enum tls_hello verdict) {
    ck_assert_int_eq(judge(whole), verdict);
    for (size_t len = 0; len < whole.len; len++) {
        ck_assert_int_eq(judge(bytes_of(whole.data, len)), TLS_HELLO_INCOMPLETE);
        ck_assert_int_eq(tls_hello_begins(bytes_of(whole.data, len)), len >= 2);
    }
}

START_TEST(a_hello_of_ours_is_told_from_others_when_it_is_whole) {
    make(TLS_ALPN, NULL);
    assert_whole(some_hello_bytes(&hello), TLS_HELLO_OFFERS);
    make("h2", NULL);
    assert_whole(some_hello_bytes(&hello), TLS_HELLO_OTHER);
    make(NULL, NULL);
    assert_whole(some_hello_bytes(&hello), TLS_HELLO_OTHER);
}
END_TEST

START_TEST(ours_may_stand_anywhere_in_the_list) {
    make("h2", TLS_ALPN);
    ck_assert_int_eq(judge_hello(), TLS_HELLO_OFFERS);
    make(TLS_ALPN, "h2");
    ck_assert_int_eq(judge_hello(), TLS_HELLO_OFFERS);
    make("", TLS_ALPN);
    ck_assert_int_eq(judge_hello(), TLS_HELLO_OFFERS);
}
END_TEST

START_TEST(a_name_that_only_resembles_ours_is_another) {
    static const char *const names[] = {"portolan/", "portolan/11", "Portolan/1", "", "portolan/2"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        make(names[i], "h2");
        ck_assert_int_eq(judge_hello(), TLS_HELLO_OTHER);
    }
}
END_TEST

START_TEST(what_our_own_links_say_first_is_ours) {
    char error[TLS_ERROR_SIZE];
    const struct tls_options options = {.cookie = LITERAL("COOKIE"),
                                        .cluster_name = "emqxcl",
                                        .cacertfile = "",
                                        .certfile = "",
                                        .keyfile = ""};
    struct tls *tls = tls_new(&options, error);
    ck_assert_msg(tls != NULL, "%s", error);
    struct tls_stream *stream = tls_stream_new(tls, "127.0.0.1");

    ck_assert_int_eq(tls_stream_handshake(stream), TLS_WAITS);
    assert_whole(tls_stream_output(stream), TLS_HELLO_OFFERS);
    tls_stream_free(stream);
    tls_free(tls);
}
END_TEST

/* As Erlang's distribution over TLS begins: a stock client, without ALPN or with another. */
static void assert_stock(const char *alpn, enum tls_hello verdict) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (alpn != NULL)
        SSL_CTX_set_alpn_protos(context, (const uint8_t *)alpn, (unsigned)strlen(alpn));
    SSL *ssl = SSL_new(context);
    BIO *to_wire = BIO_new(BIO_s_mem());
    char *data;
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), to_wire);
    SSL_set_tlsext_host_name(ssl, "node.example");

    ck_assert_int_le(SSL_connect(ssl), 0);
    long len = BIO_get_mem_data(to_wire, &data);
    ck_assert_int_gt(len, 0);
    assert_whole(bytes_of(data, (size_t)len), verdict);
    SSL_free(ssl);
    SSL_CTX_free(context);
}

START_TEST(what_a_stock_client_says_first_is_another) {
    assert_stock(NULL, TLS_HELLO_OTHER);
    assert_stock("\x02h2\x08http/1.1", TLS_HELLO_OTHER);
    assert_stock("\x02h2\x0aportolan/1", TLS_HELLO_OFFERS);
}
END_TEST

START_TEST(a_length_that_lies_never_makes_a_hello_ours) {
    for (int which = 0; which < HELLO_LENGTHS; which++) {
        size_t widest;
        make(TLS_ALPN, NULL);
        size_t right = some_hello_length(&hello, (enum hello_length)which);
        widest = hello.width[which] == 1 ? 0xff : 0xffff;
        const size_t lies[] = {0, right - 1, right + 1, widest};
        for (size_t i = 0; i < 4; i++) {
            if (lies[i] == right)
                continue;
            make(TLS_ALPN, NULL);
            some_hello_lie(&hello, (enum hello_length)which, lies[i]);
            enum tls_hello verdict = judge_hello();
            /* of a hello that is longer than its record, what is here counts */
            bool goes_on = lies[i] > right && (which == HELLO_MESSAGE || which == HELLO_EXTENSIONS);
            ck_assert_msg((verdict == TLS_HELLO_OFFERS) == goes_on, "length %d, says %zu: %d",
                          which, lies[i], verdict);
        }
    }
}
END_TEST

START_TEST(lengths_that_lie_in_the_fixed_part_make_it_no_hello) {
    static const enum hello_length lengths[] = {HELLO_SESSION, HELLO_SUITES, HELLO_COMPRESSIONS};
    for (size_t i = 0; i < 3; i++) {
        make(TLS_ALPN, NULL);
        some_hello_lie(&hello, lengths[i], hello.width[lengths[i]] == 1 ? 0xff : 0xffff);
        ck_assert_int_eq(judge_hello(), TLS_HELLO_BAD);
    }
}
END_TEST

START_TEST(a_record_is_of_a_length_that_tls_allows) {
    make(TLS_ALPN, NULL);
    some_hello_lie(&hello, HELLO_RECORD, 0);
    ck_assert_int_eq(judge(bytes_of(hello.data, 5)), TLS_HELLO_BAD);
    some_hello_lie(&hello, HELLO_RECORD, 16385);
    ck_assert_int_eq(judge(bytes_of(hello.data, 5)), TLS_HELLO_BAD);
    some_hello_lie(&hello, HELLO_RECORD, 16384);
    ck_assert_int_eq(judge_hello(), TLS_HELLO_INCOMPLETE);
}
END_TEST

START_TEST(a_hello_may_fill_its_record) {
    const char *const names[] = {TLS_ALPN, NULL};
    some_hello_make(&hello, names, 0);
    some_hello_make(&hello, names, TLS_HELLO_MAX - hello.len);

    ck_assert_uint_eq(hello.len, TLS_HELLO_MAX);
    ck_assert_int_eq(judge_hello(), TLS_HELLO_OFFERS);
    ck_assert_int_eq(judge(bytes_of(hello.data, hello.len - 1)), TLS_HELLO_INCOMPLETE);
}
END_TEST

/* The rest of it, in another record, is not looked at. */
START_TEST(a_hello_that_goes_on_is_judged_by_its_first_record) {
    make(TLS_ALPN, NULL);
    size_t all = some_hello_length(&hello, HELLO_MESSAGE);
    size_t extensions = some_hello_length(&hello, HELLO_EXTENSIONS);
    some_hello_lie(&hello, HELLO_MESSAGE, all + 500);
    some_hello_lie(&hello, HELLO_EXTENSIONS, extensions + 500);
    ck_assert_int_eq(judge_hello(), TLS_HELLO_OFFERS);

    size_t before_alpn = hello.at[HELLO_ALPN_EXTENSION] - 2;
    some_hello_lie(&hello, HELLO_RECORD, before_alpn - 5);
    ck_assert_int_eq(judge(bytes_of(hello.data, before_alpn)), TLS_HELLO_OTHER);
    /* so it is when a name begins in the first record, and ends in the second */
    some_hello_lie(&hello, HELLO_RECORD, hello.len - 5 - 1);
    ck_assert_int_eq(judge(bytes_of(hello.data, hello.len - 1)), TLS_HELLO_OTHER);
}
END_TEST

START_TEST(what_follows_the_hello_is_not_looked_at) {
    make(TLS_ALPN, NULL);
    some_hello_put(&hello, "\x14\x03\x03\x00\x01\x01", 6);
    ck_assert_int_eq(judge_hello(), TLS_HELLO_OFFERS);
}
END_TEST

START_TEST(two_messages_in_a_record_are_no_hello) {
    make(TLS_ALPN, NULL);
    some_hello_put(&hello, "\x01\x00\x00\x00", 4);
    some_hello_lie(&hello, HELLO_RECORD, hello.len - 5);
    ck_assert_int_eq(judge_hello(), TLS_HELLO_BAD);
}
END_TEST

START_TEST(another_record_or_message_is_known_at_its_first_byte) {
    make(TLS_ALPN, NULL);
    hello.data[5] = 2;
    ck_assert_int_eq(judge(bytes_of(hello.data, 5)), TLS_HELLO_INCOMPLETE);
    ck_assert_int_eq(judge(bytes_of(hello.data, 6)), TLS_HELLO_BAD);
    hello.data[1] = 2;
    ck_assert_int_eq(judge(bytes_of(hello.data, 2)), TLS_HELLO_BAD);
    hello.data[0] = 23;
    hello.data[1] = 3;
    ck_assert_int_eq(judge(bytes_of(hello.data, 2)), TLS_HELLO_BAD);
    ck_assert(!tls_hello_begins(bytes_of(hello.data, 2)));
}
END_TEST

START_TEST(it_is_known_how_much_of_a_record_to_wait_for) {
    const uint8_t begun[7] = {22, 3, 1, 0x12, 0x34, 1, 0};
    for (size_t len = 0; len < 5; len++)
        ck_assert_uint_eq(tls_hello_wants(bytes_of(begun, len)), 5);
    ck_assert_uint_eq(tls_hello_wants(bytes_of(begun, 5)), 6);
    ck_assert_uint_eq(tls_hello_wants(bytes_of(begun, 6)), 5 + 0x1234);
    ck_assert_uint_eq(tls_hello_wants(bytes_of(begun, 7)), 5 + 0x1234);
}
END_TEST

Suite *tls_hello_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("tls_hello", &tests);
    tcase_add_test(tests, a_hello_of_ours_is_told_from_others_when_it_is_whole);
    tcase_add_test(tests, ours_may_stand_anywhere_in_the_list);
    tcase_add_test(tests, a_name_that_only_resembles_ours_is_another);
    tcase_add_test(tests, what_our_own_links_say_first_is_ours);
    tcase_add_test(tests, what_a_stock_client_says_first_is_another);
    tcase_add_test(tests, a_length_that_lies_never_makes_a_hello_ours);
    tcase_add_test(tests, lengths_that_lie_in_the_fixed_part_make_it_no_hello);
    tcase_add_test(tests, a_record_is_of_a_length_that_tls_allows);
    tcase_add_test(tests, a_hello_may_fill_its_record);
    tcase_add_test(tests, a_hello_that_goes_on_is_judged_by_its_first_record);
    tcase_add_test(tests, what_follows_the_hello_is_not_looked_at);
    tcase_add_test(tests, two_messages_in_a_record_are_no_hello);
    tcase_add_test(tests, it_is_known_how_much_of_a_record_to_wait_for);
    tcase_add_test(tests, another_record_or_message_is_known_at_its_first_byte);
    return suite;
}
