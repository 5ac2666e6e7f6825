#include "service/credentials.h"

#include "base/regular_file.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COOKIE_MAX 255 /* of an Erlang cookie */

struct cookie {
    size_t len;
    char text[COOKIE_MAX + 2]; /* one byte more than may be, so that a longer one is noticed */
};

static bool refuse(char *error, const char *path, const char *why, const char *cure) {
    snprintf(error, CLUSTER_KEY_ERROR_SIZE,
             "cannot read the cookie from node.cookie_file %s: %s; %s", path, why, cure);
    return false;
}

static bool check_mode(int fd, const char *path, char *error) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return refuse(error, path, strerror(errno), "use another file");
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return refuse(error, path, "users other than its owner may read or write it",
                      "chmod 400 it, and choose another cookie if others may have read it");
    return true;
}

/* The cookie ends with the file or its first line's end, as Erlang has it. */
static bool read_cookie(int fd, const char *path, struct cookie *cookie, char *error) {
    ssize_t got = read(fd, cookie->text, sizeof cookie->text - 1);
    if (got < 0)
        return refuse(error, path, strerror(errno), "use another file");
    cookie->text[got] = '\0';
    cookie->len = strcspn(cookie->text, "\r\n");
    if (cookie->len == 0)
        return refuse(error, path, "its first line is empty", "write the cookie there");
    if (cookie->len > COOKIE_MAX)
        return refuse(error, path, "its first line is longer than 255 bytes",
                      "is this the right file?");
    if (strcspn(cookie->text, " \t") < cookie->len)
        return refuse(error, path, "its first line contains blanks", "write only the cookie there");
    return true;
}

static bool cookie_of_file(const char *path, struct cookie *cookie, char *error) {
    int fd = regular_file_open_trusted(path);
    if (fd < 0)
        return refuse(error, path, regular_file_error(-fd),
                      "create it, readable only by the daemon's user, or set node.cookie");
    bool good = check_mode(fd, path, error) && read_cookie(fd, path, cookie, error);
    close(fd);
    return good;
}

static bool find_cookie(const struct config *config, struct cookie *cookie, char *error) {
    if (config->cookie[0] == '\0')
        return config->cookie_file[0] == '\0' || cookie_of_file(config->cookie_file, cookie, error);
    cookie->len = strlen(config->cookie);
    memcpy(cookie->text, config->cookie, cookie->len);
    return true;
}

static bool check_certificates(const struct config *config, char *error, bool *has) {
    int named = (config->cluster_cacertfile[0] != '\0') + (config->cluster_certfile[0] != '\0') +
                (config->cluster_keyfile[0] != '\0');
    *has = named == 3;
    if (named == 0 || named == 3)
        return true;
    snprintf(error, CLUSTER_KEY_ERROR_SIZE,
             "cannot use certificates: of cluster.tls.cacertfile, cluster.tls.certfile and "
             "cluster.tls.keyfile only %d %s set; set all three, or none to use the cookie",
             named, named == 1 ? "is" : "are");
    return false;
}

/* Says first which file and line it is about: that of the first key in the message that is set. */
static void name_origin(const struct config *config, char *error) {
    const struct {
        const char *key, *value;
    } keys[] = {
        {"node.cookie_file", config->cookie_file},
        {"cluster.tls.cacertfile", config->cluster_cacertfile},
        {"cluster.tls.certfile", config->cluster_certfile},
        {"cluster.tls.keyfile", config->cluster_keyfile},
    };
    char text[CLUSTER_KEY_ERROR_SIZE];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].value[0] == '\0' || strstr(error, keys[i].key) == NULL)
            continue;
        snprintf(text, sizeof text, "%s", error);
        snprintf(error, CLUSTER_KEY_ERROR_SIZE, "%.300s: %.700s", config_where(config, keys[i].key),
                 text);
        return;
    }
}

bool cluster_key_open(const struct config *config, struct tls **tls,
                      char error[CLUSTER_KEY_ERROR_SIZE]) {
    struct cookie cookie = {.len = 0};
    bool has_certificates;
    *tls = NULL;
    if (config->personality == CONFIG_AS_EPMD || !config->front_enable)
        return true;
    if (!check_certificates(config, error, &has_certificates) ||
        !find_cookie(config, &cookie, error)) {
        OPENSSL_cleanse(&cookie, sizeof cookie);
        name_origin(config, error);
        return false;
    }
    bool is_wanted = cookie.len > 0 || has_certificates;
    if (is_wanted) {
        const struct tls_options options = {
            .cookie = bytes_of(cookie.text, cookie.len),
            .cluster_name = config->cluster_name,
            .cacertfile = config->cluster_cacertfile,
            .certfile = config->cluster_certfile,
            .keyfile = config->cluster_keyfile,
        };
        *tls = tls_new(&options, error);
        if (*tls == NULL)
            name_origin(config, error);
    }
    OPENSSL_cleanse(&cookie, sizeof cookie);
    return *tls != NULL || !is_wanted;
}
