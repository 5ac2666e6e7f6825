#include "net/tls_files.h"

#include "base/regular_file.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THROUGH_SIZE 4096 /* of a path */

static void say_file(char *error, const char *doing, const char *path) {
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(error, TLS_ERROR_SIZE,
             "cannot %s %s: %s; is it a PEM file that the daemon's user may read?", doing, path,
             why == NULL ? "OpenSSL gave no reason" : why);
}

/* A secret is its owner's alone; one of root may be read by a group, as packages have it. */
static const char *check_key_mode(int fd) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return strerror(errno);
    mode_t allowed = status.st_uid == 0 ? S_IRGRP : 0;
    if ((status.st_mode & (S_IRWXG | S_IRWXO) & ~allowed) != 0)
        return "users other than its owner may read or write it; chmod 400 it, and replace the key "
               "if "
               "others may have read it";
    return NULL;
}

/*
 * The path of a descriptor of the file, so that what is checked is what is read: OpenSSL takes
 * paths alone, and a FIFO would make it wait. -1 with `error` set: it cannot be taken.
 */
static int open_file(const char *doing, const char *path, bool is_secret, char *through,
                     char *error) {
    int fd = regular_file_open_trusted(path);
    const char *why = fd < 0 ? regular_file_error(-fd) : is_secret ? check_key_mode(fd) : NULL;
    if (why == NULL) {
        snprintf(through, THROUGH_SIZE, "/proc/self/fd/%d", fd);
        if (access(through, F_OK) < 0) /* a system without /proc */
            snprintf(through, THROUGH_SIZE, "%s", path);
        return fd;
    }
    snprintf(error, TLS_ERROR_SIZE, "cannot %s %s: %s", doing, path, why);
    if (fd >= 0)
        close(fd);
    return -1;
}

static int use_chain(SSL_CTX *context, const char *path) {
    return SSL_CTX_use_certificate_chain_file(context, path);
}

static int use_private_key(SSL_CTX *context, const char *path) {
    return SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM);
}

static bool use_file(SSL_CTX *context, int (*use)(SSL_CTX *context, const char *path),
                     const char *doing, const char *path, char *error) {
    char through[THROUGH_SIZE];
    int fd = open_file(doing, path, use == use_private_key, through, error);
    if (fd < 0)
        return false;
    bool used = use(context, through) == 1;
    if (!used)
        say_file(error, doing, path);
    close(fd);
    return used;
}

bool tls_files_use(SSL_CTX *context, const struct tls_options *options,
                   char error[TLS_ERROR_SIZE]) {
    return use_file(context, SSL_CTX_load_verify_file, "use cluster.tls.cacertfile",
                    options->cacertfile, error) &&
           use_file(context, use_chain, "use cluster.tls.certfile", options->certfile, error) &&
           use_file(context, use_private_key, "use cluster.tls.keyfile", options->keyfile, error);
}
