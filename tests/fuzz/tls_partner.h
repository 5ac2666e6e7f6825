/*
 * What the fuzz targets of links share: keys, randomness that is the same in each run, and a
 * partner in memory, which may have our key.
 */
#ifndef PORTOLAN_TESTS_FUZZ_TLS_PARTNER_H
#define PORTOLAN_TESTS_FUZZ_TLS_PARTNER_H

#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_METHOD: there is no other way that takes so little */

#include "fuzz.h"

#include "net/tls.h"

#include <openssl/rand.h>
#include <sanitizer/allocator_interface.h>

/* What the other end is. PARTNER_NONE: a stranger that sends only what the input says. */
enum partner_kind { PARTNER_NONE, PARTNER_SAME_KEY, PARTNER_OTHER_COOKIE, PARTNER_OTHER_CLUSTER };
#define PARTNER_KINDS 4

/* The same bytes each time: so is what a stream says first, and seeds can answer it. */
static inline int partner_random(unsigned char *bytes, int len) {
    for (int i = 0; i < len; i++)
        bytes[i] = (unsigned char)(i * 31 + 7);
    return 1;
}

static inline int partner_random_status(void) {
    return 1;
}

static inline struct tls *partner_tls_of(const char *cookie, const char *cluster_name) {
    char error[TLS_ERROR_SIZE];
    const struct tls_options options = {.cookie = bytes_of_text(cookie),
                                        .cluster_name = cluster_name,
                                        .cacertfile = "",
                                        .certfile = "",
                                        .keyfile = ""};
    struct tls *tls = tls_new(&options, error);
    must(tls != NULL);
    return tls;
}

/* The keys of each kind, kept for the whole run: PARTNER_NONE's are ours. */
static inline struct tls *partner_tls(enum partner_kind kind) {
    static struct tls *all[PARTNER_KINDS];
    static const RAND_METHOD same = {
        .bytes = partner_random, .pseudorand = partner_random, .status = partner_random_status};
    if (all[PARTNER_NONE] == NULL) {
        RAND_set_rand_method(&same);
        all[PARTNER_NONE] = partner_tls_of("COOKIE", "emqxcl");
        all[PARTNER_SAME_KEY] = all[PARTNER_NONE];
        all[PARTNER_OTHER_COOKIE] = partner_tls_of("OTHER", "emqxcl");
        all[PARTNER_OTHER_CLUSTER] = partner_tls_of("COOKIE", "other");
    }
    return all[kind];
}

/* The n-th byte of what a side writes. */
static inline uint8_t partner_plain(size_t n) {
    return (uint8_t)(n % 251);
}

static inline bool partner_write(struct tls_stream *stream, size_t len, size_t *wrote) {
    uint8_t *plain = fuzz_copy(NULL, 0, len);
    for (size_t i = 0; i < len; i++)
        plain[i] = partner_plain(*wrote + i);
    bool written = len > 0 && tls_stream_write(stream, bytes_of(plain, len));
    if (written)
        *wrote += len;
    free(plain);
    return written;
}

#endif
