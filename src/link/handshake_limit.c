#include "link/handshake_limit.h"

#include "base/assert.h"
#include "net/host_limit.h"

#include <stdlib.h>

struct handshake_limit {
    struct host_limit *of_strangers, *of_members; /* handshakes under way of each host */
    struct host_limit *second;                    /* begun in the second that began then */
    int64_t second_began_ms;
    size_t strangers, members;
};

struct handshake_limit *handshake_limit_new(void) {
    struct handshake_limit *limit = calloc(1, sizeof *limit);
    if (limit == NULL)
        return NULL;
    limit->of_strangers = host_limit_new(HANDSHAKES_OF_STRANGER);
    limit->of_members = host_limit_new(HANDSHAKES_OF_MEMBER);
    if (limit->of_strangers != NULL && limit->of_members != NULL)
        return limit;
    handshake_limit_free(limit);
    return NULL;
}

void handshake_limit_free(struct handshake_limit *limit) {
    if (limit == NULL)
        return;
    host_limit_free(limit->of_strangers);
    host_limit_free(limit->of_members);
    host_limit_free(limit->second);
    free(limit);
}

/* Members have the strangers' places too, while there are any. */
static bool has_room(const struct handshake_limit *limit, bool from_member) {
    size_t all = limit->strangers + limit->members;
    return from_member ? all < HANDSHAKES_STRANGERS + HANDSHAKES_MEMBERS
                       : limit->strangers < HANDSHAKES_STRANGERS &&
                             all < HANDSHAKES_STRANGERS + HANDSHAKES_MEMBERS;
}

bool handshake_limit_needs_victim(const struct handshake_limit *limit, bool from_member) {
    return limit->strangers > 0 && !has_room(limit, from_member);
}

static bool is_within_rate(struct handshake_limit *limit, const struct address *peer,
                           int64_t now_ms) {
    if (limit->second == NULL || now_ms - limit->second_began_ms >= 1000) {
        host_limit_free(limit->second);
        limit->second = host_limit_new(HANDSHAKES_A_SECOND);
        limit->second_began_ms = now_ms;
    }
    return limit->second != NULL && host_limit_enter(limit->second, peer);
}

bool handshake_limit_enter(struct handshake_limit *limit, const struct address *peer,
                           bool from_member, int64_t now_ms) {
    struct host_limit *of_host = from_member ? limit->of_members : limit->of_strangers;
    if (!has_room(limit, from_member) || !is_within_rate(limit, peer, now_ms) ||
        !host_limit_enter(of_host, peer))
        return false;
    *(from_member ? &limit->members : &limit->strangers) += 1;
    PORTOLAN_ASSERT(limit->strangers <= HANDSHAKES_STRANGERS &&
                    limit->strangers + limit->members <= HANDSHAKES_STRANGERS + HANDSHAKES_MEMBERS);
    return true;
}

void handshake_limit_leave(struct handshake_limit *limit, const struct address *peer,
                           bool from_member) {
    host_limit_leave(from_member ? limit->of_members : limit->of_strangers, peer);
    PORTOLAN_ASSERT((from_member ? limit->members : limit->strangers) > 0);
    *(from_member ? &limit->members : &limit->strangers) -= 1;
}
