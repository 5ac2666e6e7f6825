#include "net/tls_key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

#define SALT "portolan/1 cookie"
#define INFO "portolan/1 link "
#define SCRYPT_N 32768
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_MEMORY_MAX ((uint64_t)64 << 20)
#define IDENTITY_BYTES 8 /* of the hash */

static bool stretch(struct bytes cookie, uint8_t out[TLS_KEY_LEN]) {
    const uint8_t *salt = (const uint8_t *)SALT;
    return EVP_PBE_scrypt((const char *)cookie.data, cookie.len, salt, strlen(SALT), SCRYPT_N,
                          SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY_MAX, out, TLS_KEY_LEN) == 1;
}

static OSSL_PARAM octets(const char *name, const void *data, size_t len) {
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)data, len);
}

/* HKDF takes its info in pieces. */
static bool expand(const uint8_t secret[TLS_KEY_LEN], const char *cluster_name,
                   uint8_t out[TLS_KEY_LEN]) {
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_KEY, secret, TLS_KEY_LEN),
        octets(OSSL_KDF_PARAM_INFO, INFO, strlen(INFO)),
        octets(OSSL_KDF_PARAM_INFO, cluster_name, strlen(cluster_name)),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    bool done = context != NULL && EVP_KDF_derive(context, out, TLS_KEY_LEN, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done;
}

bool tls_key_derive(struct bytes cookie, const char *cluster_name, uint8_t key[TLS_KEY_LEN]) {
    uint8_t secret[TLS_KEY_LEN];
    bool done = stretch(cookie, secret) && expand(secret, cluster_name, key);
    OPENSSL_cleanse(secret, sizeof secret);
    if (!done)
        OPENSSL_cleanse(key, TLS_KEY_LEN);
    return done;
}

bool tls_key_identity(const char *cluster_name, char identity[TLS_IDENTITY_SIZE]) {
    uint8_t hash[EVP_MAX_MD_SIZE];
    if (EVP_Digest(cluster_name, strlen(cluster_name), hash, NULL, EVP_sha256(), NULL) != 1)
        return false;
    int at = snprintf(identity, TLS_IDENTITY_SIZE, "portolan/1 ");
    for (size_t i = 0; i < IDENTITY_BYTES; i++, at += 2)
        snprintf(identity + at, TLS_IDENTITY_SIZE - (size_t)at, "%02x", hash[i]);
    return true;
}
