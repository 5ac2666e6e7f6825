#include "net/host_limit.h"

#include "base/hash_table.h"

#include <stdlib.h>
#include <string.h>

#define KIND_USER 1

struct peer {
    struct limit_key key;
    unsigned count;
    UT_hash_handle hh;
};

struct host_limit {
    unsigned most;
    struct peer *peers;
};

struct host_limit *host_limit_new(unsigned most) {
    struct host_limit *limit = calloc(1, sizeof *limit);
    if (limit != NULL)
        limit->most = most;
    return limit;
}

void host_limit_configure(struct host_limit *limit, unsigned most) {
    limit->most = most;
}

static void forget(struct host_limit *limit, struct peer *peer) {
    HASH_DELETE(hh, limit->peers, peer);
    free(peer);
}

void host_limit_free(struct host_limit *limit) {
    if (limit == NULL)
        return;
    while (limit->peers != NULL)
        forget(limit, limit->peers);
    free(limit);
}

struct limit_key limit_key_of_host(const struct address *peer) {
    struct limit_key key;
    memset(&key, 0, sizeof key);
    if (peer->any.sa_family == AF_INET) {
        key.kind = 4;
        memcpy(key.bytes, &peer->v4.sin_addr, 4);
    } else if (IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr)) {
        key.kind = 4;
        memcpy(key.bytes, peer->v6.sin6_addr.s6_addr + 12, 4);
    } else {
        key.kind = 6;
        memcpy(key.bytes, &peer->v6.sin6_addr, 8);
    }
    return key;
}

struct limit_key limit_key_of_user(uint32_t user) {
    struct limit_key key = {.kind = KIND_USER};
    memcpy(key.bytes, &user, sizeof user);
    return key;
}

static struct peer *find(const struct host_limit *limit, struct limit_key key) {
    struct peer *found;
    HASH_FIND(hh, limit->peers, &key, sizeof key, found);
    return found;
}

static struct peer *add(struct host_limit *limit, struct limit_key key) {
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    peer->key = key;
    HASH_ADD(hh, limit->peers, key, sizeof peer->key, peer);
    if (peer->hh.tbl == NULL) {
        free(peer);
        return NULL;
    }
    return peer;
}

bool host_limit_take(struct host_limit *limit, struct limit_key key, unsigned count) {
    struct peer *peer = find(limit, key);
    unsigned taken = peer == NULL ? 0 : peer->count;
    if (limit->most > 0 && (taken >= limit->most || count > limit->most - taken))
        return false;
    if (peer == NULL)
        peer = add(limit, key);
    if (peer == NULL)
        return false;
    peer->count += count;
    return true;
}

void host_limit_give_back(struct host_limit *limit, struct limit_key key, unsigned count) {
    struct peer *peer = find(limit, key);
    if (peer == NULL)
        return;
    peer->count -= count < peer->count ? count : peer->count;
    if (peer->count == 0)
        forget(limit, peer);
}

unsigned host_limit_taken(const struct host_limit *limit, struct limit_key key) {
    const struct peer *peer = find(limit, key);
    return peer == NULL ? 0 : peer->count;
}

bool host_limit_enter(struct host_limit *limit, const struct address *peer) {
    return host_limit_take(limit, limit_key_of_host(peer), 1);
}

void host_limit_leave(struct host_limit *limit, const struct address *peer) {
    host_limit_give_back(limit, limit_key_of_host(peer), 1);
}
