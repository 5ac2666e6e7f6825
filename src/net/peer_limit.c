#include "net/peer_limit.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct host_key {
    uint8_t family;
    uint8_t prefix[8];
};

struct host {
    struct host_key key;
    unsigned count;
    UT_hash_handle hh;
};

struct peer_limit {
    unsigned most;
    struct host *hosts;
};

struct peer_limit *peer_limit_new(unsigned most) {
    struct peer_limit *limit = calloc(1, sizeof *limit);
    if (limit != NULL)
        limit->most = most;
    return limit;
}

void peer_limit_configure(struct peer_limit *limit, unsigned most) {
    limit->most = most;
}

static void forget(struct peer_limit *limit, struct host *host) {
    HASH_DELETE(hh, limit->hosts, host);
    free(host);
}

void peer_limit_free(struct peer_limit *limit) {
    if (limit == NULL)
        return;
    while (limit->hosts != NULL)
        forget(limit, limit->hosts);
    free(limit);
}

static struct host_key key_of(const struct address *peer) {
    struct host_key key;
    memset(&key, 0, sizeof key);
    if (peer->any.sa_family == AF_INET) {
        key.family = 4;
        memcpy(key.prefix, &peer->v4.sin_addr, 4);
    } else if (IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr)) {
        key.family = 4;
        memcpy(key.prefix, peer->v6.sin6_addr.s6_addr + 12, 4);
    } else {
        key.family = 6;
        memcpy(key.prefix, &peer->v6.sin6_addr, 8);
    }
    return key;
}

static struct host *find(struct peer_limit *limit, struct host_key key) {
    struct host *found;
    HASH_FIND(hh, limit->hosts, &key, sizeof key, found);
    return found;
}

static struct host *add(struct peer_limit *limit, struct host_key key) {
    struct host *host = calloc(1, sizeof *host);
    if (host == NULL)
        return NULL;
    host->key = key;
    HASH_ADD(hh, limit->hosts, key, sizeof host->key, host);
    if (host->hh.tbl == NULL) {
        free(host);
        return NULL;
    }
    return host;
}

bool peer_limit_enter(struct peer_limit *limit, const struct address *peer) {
    struct host_key key = key_of(peer);
    struct host *host = find(limit, key);
    if (host == NULL)
        host = add(limit, key);
    if (host == NULL || (limit->most > 0 && host->count >= limit->most))
        return false;
    host->count++;
    return true;
}

void peer_limit_leave(struct peer_limit *limit, const struct address *peer) {
    struct host *host = find(limit, key_of(peer));
    if (host != NULL && --host->count == 0)
        forget(limit, host);
}
