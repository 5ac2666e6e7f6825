#include "front/proxy_inner.h"

#define STREAM_DESCRIPTORS 2

static struct user_share *descriptors_of(const struct proxy *proxy) {
    return proxy->options.users == NULL ? NULL : proxy->options.users->descriptors;
}

void proxy_shares_uncount(struct stream *stream) {
    struct proxy *proxy = stream->proxy;
    if (stream->of_caller)
        host_limit_give_back(proxy->peers, stream->caller_key, 1);
    if (stream->of_user)
        user_share_give_back(proxy->user_streams, stream->user, 1);
    if (stream->of_descriptors)
        user_share_give_back(descriptors_of(proxy), stream->user, STREAM_DESCRIPTORS);
}

/* Of another host, or a user of this one; callers without a limit are not counted. */
static bool count_caller(struct stream *stream) {
    const struct proxy *proxy = stream->proxy;
    if (!address_peer_is_local(stream->caller_fd, &stream->peer)) {
        stream->caller_key = limit_key_of_host(&stream->peer);
    } else {
        uint32_t user = local_users_caller(proxy->options.users, stream->caller_fd, &stream->peer);
        if (proxy->options.users == NULL || user_share_is_free(proxy->user_streams, user))
            return true;
        stream->caller_key =
            limit_key_of_user(subordinate_users_owner(proxy->options.users->owners, user));
    }
    stream->of_caller = host_limit_take(proxy->peers, stream->caller_key, 1);
    return stream->of_caller;
}

const char *proxy_shares_count(struct stream *stream) {
    struct proxy *proxy = stream->proxy;
    if (!count_caller(stream))
        return "too many streams from this address";
    stream->of_user = user_share_take(proxy->user_streams, stream->user, 1);
    if (!stream->of_user)
        return "too many streams to the nodes of its user: see limits.user_share";
    stream->of_descriptors =
        user_share_take(descriptors_of(proxy), stream->user, STREAM_DESCRIPTORS);
    return stream->of_descriptors ? NULL
                                  : "the user of its node has used up its share of the descriptors";
}
