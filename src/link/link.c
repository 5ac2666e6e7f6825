#include "base/assert.h"
#include "base/clock.h"
#include "link/inner.h"
#include "loop/loop.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIRE_READ_MAX 16384 /* bytes that wait undeciphered */

/* --- ends --- */

static void release_handshake(struct peer_link *link) {
    if (link->handshake_counted)
        handshake_limit_leave(link->links->handshakes, &link->address, link->from_member);
    link->handshake_counted = false;
}

void peer_link_destroy(struct peer_link *link) {
    PORTOLAN_ASSERT(link->state == PEER_LINK_HANDSHAKING || link->dial == NULL);
    release_handshake(link);
    TAILQ_REMOVE(&link->links->all, link, entry);
    event_del(&link->timer);
    tls_stream_free(link->stream);
    evbuffer_free(link->plain);
    bufferevent_free(link->wire);
    free(link);
}

static struct peer_failure failure_of(const struct peer_link *link, enum cluster_cause cause,
                                      int error) {
    const struct tls_failure *of_tls = tls_stream_failure(link->stream);
    struct peer_failure failure = {.cause = cause, .address = link->address, .error = error};
    failure.port = address_port(&link->address);
    memcpy(failure.reason, of_tls->reason, sizeof failure.reason);
    return failure;
}

/* The link is over, and not by our will: whoever should know is told. It is freed. */
static void lose(struct peer_link *link, enum cluster_cause cause, int error) {
    struct peer_links *links = link->links;
    struct peer_failure failure = failure_of(link, cause, error);
    struct peer_dial *dial = link->dial;
    enum peer_link_state state = link->state;
    if (state == PEER_LINK_OPEN)
        links->hooks.down(links->hooks.context, link, &failure);
    peer_link_destroy(link);
    if (state != PEER_LINK_HANDSHAKING)
        return;
    if (dial != NULL) {
        peer_dial_lost(dial, &failure);
        return;
    }
    links->counters.refused++;
    links->hooks.rejected(links->hooks.context, &failure, false);
}

static void on_time(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    lose(context, CLUSTER_CAUSE_TIMED_OUT, 0);
}

/* --- out --- */

/* Moves what TLS wants to send to the wire's queue. */
static bool flush(struct peer_link *link) {
    struct bytes output = tls_stream_output(link->stream);
    if (output.len == 0)
        return true;
    bool queued = bufferevent_write(link->wire, output.data, output.len) == 0;
    tls_stream_sent(link->stream);
    return queued;
}

bool peer_link_send(struct peer_link *link, struct bytes bytes) {
    size_t queued = evbuffer_get_length(bufferevent_get_output(link->wire));
    if (link->state != PEER_LINK_OPEN || queued + bytes.len > CLUSTER_QUEUE_MAX)
        return false;
    return tls_stream_write(link->stream, bytes) && flush(link);
}

void peer_link_end(struct peer_link *link) {
    if (link->state == PEER_LINK_CLOSING)
        return;
    PORTOLAN_ASSERT(link->state == PEER_LINK_OPEN);
    tls_stream_close(link->stream);
    flush(link);
    link->state = PEER_LINK_CLOSING;
    if (!loop_set_timer(&link->timer, PEER_LINGER_MS)) /* it ends at once, from the loop */
        shutdown(bufferevent_getfd(link->wire), SHUT_RDWR);
}

/* --- in --- */

static void deliver(struct peer_link *link) {
    struct peer_links *links = link->links;
    size_t len = evbuffer_get_length(link->plain);
    const uint8_t *data = len == 0 ? NULL : evbuffer_pullup(link->plain, -1);
    if (len == 0)
        return;
    if (data == NULL) {
        lose(link, CLUSTER_CAUSE_NO_MEMORY, ENOMEM);
        return;
    }
    size_t used = links->hooks.received(links->hooks.context, link, bytes_of(data, len));
    PORTOLAN_ASSERT(used <= len);
    if (evbuffer_drain(link->plain, used) < 0)
        lose(link, CLUSTER_CAUSE_NO_MEMORY, ENOMEM);
}

static void read_all(struct peer_link *link) {
    struct peer_links *links = link->links;
    enum tls_state state;
    size_t len;
    while ((state = tls_stream_read(link->stream, links->scratch, sizeof links->scratch, &len)) ==
           TLS_OPEN) {
        if (evbuffer_add(link->plain, links->scratch, len) < 0) {
            lose(link, CLUSTER_CAUSE_NO_MEMORY, ENOMEM);
            return;
        }
    }
    if (!flush(link)) /* TLS has things of its own to say */
        state = TLS_FAILED;
    if (state == TLS_WAITS) {
        deliver(link);
        return;
    }
    /* what was said before the end counts */
    size_t rest = evbuffer_get_length(link->plain);
    const uint8_t *data = state == TLS_CLOSED ? evbuffer_pullup(link->plain, -1) : NULL;
    if (rest > 0 && data != NULL) {
        links->hooks.received(links->hooks.context, link, bytes_of(data, rest));
        if (link->state == PEER_LINK_CLOSING)
            return;
    }
    lose(link, state == TLS_CLOSED ? CLUSTER_CAUSE_CLOSED : tls_stream_failure(link->stream)->cause,
         0);
}

static void become_open(struct peer_link *link) {
    struct peer_links *links = link->links;
    struct peer_dial *dial = link->dial;
    PORTOLAN_ASSERT(link->state == PEER_LINK_HANDSHAKING);
    PORTOLAN_ASSERT(link->handshake_counted == (dial == NULL));
    release_handshake(link);
    event_del(&link->timer);
    link->state = PEER_LINK_OPEN;
    link->dial = NULL;
    if (dial != NULL)
        peer_dial_opened(dial, link);
    else if (!links->hooks.up(links->hooks.context, link, NULL))
        peer_link_end(link);
}

/* An alert must reach the peer, so that it can say why: the rest of the end is the kernel's. */
static void fail_handshake(struct peer_link *link) {
    struct evbuffer *output = bufferevent_get_output(link->wire);
    evbuffer_unfreeze(output, 1);
    evbuffer_write(output, bufferevent_getfd(link->wire));
    evbuffer_freeze(output, 1);
    lose(link, tls_stream_failure(link->stream)->cause, 0);
}

static void advance(struct peer_link *link) {
    if (link->state == PEER_LINK_HANDSHAKING) {
        enum tls_state state = tls_stream_handshake(link->stream);
        if (!flush(link) || state == TLS_FAILED || state == TLS_CLOSED) {
            fail_handshake(link);
            return;
        }
        if (state == TLS_WAITS)
            return;
        become_open(link);
    }
    if (link->state == PEER_LINK_OPEN)
        read_all(link);
}

/* False when out of memory. */
static bool feed(struct peer_link *link, struct evbuffer *input) {
    while (evbuffer_get_length(input) > 0) {
        size_t len = evbuffer_get_contiguous_space(input);
        const uint8_t *data = evbuffer_pullup(input, (ssize_t)len);
        if (data == NULL || !tls_stream_feed(link->stream, bytes_of(data, len)) ||
            evbuffer_drain(input, len) < 0)
            return false;
    }
    return true;
}

static void on_readable(struct bufferevent *wire, void *context) {
    struct peer_link *link = context;
    struct evbuffer *input = bufferevent_get_input(wire);
    if (link->state == PEER_LINK_CLOSING) {
        evbuffer_drain(input, evbuffer_get_length(input));
        return;
    }
    link->received_any = true;
    if (feed(link, input))
        advance(link);
    else
        lose(link, CLUSTER_CAUSE_NO_MEMORY, ENOMEM);
}

/* Its last bytes are taken: only the peer's own end is waited for. */
static void on_drained(struct bufferevent *wire, void *context) {
    const struct peer_link *link = context;
    if (link->state == PEER_LINK_CLOSING)
        shutdown(bufferevent_getfd(wire), SHUT_WR);
}

/* A peer that closes before saying anything does not know the protocol, or will not talk to us. */
static enum cluster_cause cause_of_end(const struct peer_link *link, short what) {
    bool in_order = (what & BEV_EVENT_EOF) != 0;
    bool silent = link->state == PEER_LINK_HANDSHAKING && !link->received_any;
    return in_order && silent ? CLUSTER_CAUSE_NOT_PORTOLAN : CLUSTER_CAUSE_LOST;
}

static void on_event(struct bufferevent *wire, short what, void *context) {
    struct peer_link *link = context;
    int error = (what & BEV_EVENT_ERROR) != 0 ? EVUTIL_SOCKET_ERROR() : 0;
    (void)wire;
    lose(link, cause_of_end(link, what), error);
}

/* --- beginnings --- */

static void prepare_socket(int fd) {
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* Reads, and writes unless nothing is to be sent. False: no memory. */
static bool enable_io(struct peer_link *link) {
    if (link->links->sending_paused)
        return bufferevent_disable(link->wire, EV_WRITE) == 0 &&
               bufferevent_enable(link->wire, EV_READ) == 0;
    return bufferevent_enable(link->wire, EV_READ | EV_WRITE) == 0;
}

struct peer_link *peer_link_new(struct peer_links *links, int fd, const struct address *address,
                                struct peer_dial *dial, const char *host) {
    struct peer_link *link = calloc(1, sizeof *link);
    struct tls_stream *stream = tls_stream_new(links->tls, host);
    struct evbuffer *plain = evbuffer_new();
    struct bufferevent *wire = bufferevent_socket_new(links->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (link == NULL || stream == NULL || plain == NULL || wire == NULL) {
        free(link);
        tls_stream_free(stream);
        if (plain != NULL)
            evbuffer_free(plain);
        if (wire != NULL)
            bufferevent_free(wire);
        else
            close(fd);
        return NULL;
    }
    *link = (struct peer_link){.links = links,
                               .stream = stream,
                               .wire = wire,
                               .plain = plain,
                               .dial = dial,
                               .address = *address};
    TAILQ_INSERT_TAIL(&links->all, link, entry);
    event_assign(&link->timer, links->base, -1, 0, on_time, link);
    prepare_socket(fd);
    bufferevent_setcb(wire, on_readable, on_drained, on_event, link);
    /* what is read is taken at once; libevent's watermark would do it too, but crash when
     * memory is out */
    if (bufferevent_set_max_single_read(wire, WIRE_READ_MAX) < 0 || !enable_io(link)) {
        peer_link_destroy(link);
        return NULL;
    }
    if (dial != NULL) { /* the caller speaks first */
        tls_stream_handshake(stream);
        flush(link);
    }
    return link;
}

/* Else it would take us for another program. */
static void send_busy_alert(int fd) {
    struct bytes alert = tls_busy_alert();
    (void)!send(fd, alert.data, alert.len, MSG_NOSIGNAL | MSG_DONTWAIT); /* or it is not told */
}

/* The stranger whose handshake takes the longest gives way to another caller. */
static void end_longest_handshake(struct peer_links *links) {
    struct peer_link *link;
    TAILQ_FOREACH(link, &links->all, entry) {
        if (!link->handshake_counted || link->from_member)
            continue;
        send_busy_alert(bufferevent_getfd(link->wire));
        lose(link, CLUSTER_CAUSE_BUSY, 0);
        return;
    }
}

static bool reject(struct peer_links *links, int fd, const struct address *peer) {
    struct peer_failure failure = {.cause = CLUSTER_CAUSE_BUSY, .address = *peer};
    send_busy_alert(fd);
    links->counters.limited++;
    links->hooks.rejected(links->hooks.context, &failure, true);
    return false;
}

bool peer_links_accept(struct peer_links *links, int fd, const struct address *peer,
                       struct bytes first) {
    bool from_member = links->hooks.is_from_member != NULL &&
                       links->hooks.is_from_member(links->hooks.context, peer);
    if (handshake_limit_needs_victim(links->handshakes, from_member))
        end_longest_handshake(links);
    if (!handshake_limit_enter(links->handshakes, peer, from_member, clock_monotonic_ms()))
        return reject(links, fd, peer);
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* so that a failure leaves the caller's alone */
    struct peer_link *link = own < 0 ? NULL : peer_link_new(links, own, peer, NULL, NULL);
    if (link == NULL) {
        handshake_limit_leave(links->handshakes, peer, from_member);
        return reject(links, fd, peer);
    }
    close(fd);
    link->handshake_counted = true;
    link->from_member = from_member;
    links->counters.accepted++;
    link->received_any = true;
    if (!loop_set_timer(&link->timer, CLUSTER_CONNECT_MS) || !tls_stream_feed(link->stream, first))
        lose(link, CLUSTER_CAUSE_NO_MEMORY, ENOMEM);
    else
        advance(link);
    return true;
}

struct peer_links *peer_links_new(struct event_base *base, struct tls *tls,
                                  const struct peer_hooks *hooks) {
    struct peer_links *links = calloc(1, sizeof *links);
    if (links == NULL)
        return NULL;
    links->base = base;
    links->tls = tls;
    links->hooks = *hooks;
    TAILQ_INIT(&links->all);
    TAILQ_INIT(&links->dials);
    links->handshakes = handshake_limit_new();
    if (links->handshakes != NULL)
        return links;
    free(links);
    return NULL;
}

void peer_links_free(struct peer_links *links) {
    struct peer_link *link;
    struct peer_dial *dial;
    if (links == NULL)
        return;
    /* a dial ends the link that it is making, so it must go while that one is there */
    while ((dial = TAILQ_FIRST(&links->dials)) != NULL)
        peer_dial_free(dial);
    while ((link = TAILQ_FIRST(&links->all)) != NULL) {
        struct evbuffer *output = bufferevent_get_output(link->wire);
        evbuffer_unfreeze(output, 1); /* a bufferevent keeps the front of its output to itself */
        evbuffer_write(output, bufferevent_getfd(link->wire));
        peer_link_destroy(link);
    }
    PORTOLAN_ASSERT(TAILQ_EMPTY(&links->all) && TAILQ_EMPTY(&links->dials));
    handshake_limit_free(links->handshakes);
    free(links);
}

void peer_links_pause_sending(struct peer_links *links, bool pause) {
    struct peer_link *link;
    links->sending_paused = pause;
    TAILQ_FOREACH(link, &links->all, entry) {
        int error = pause ? bufferevent_disable(link->wire, EV_WRITE)
                          : bufferevent_enable(link->wire, EV_WRITE);
        if (error < 0) /* lost, but not here: it may be what is under way */
            event_active(&link->timer, EV_TIMEOUT, 0);
    }
}

struct peer_counters peer_links_counters(const struct peer_links *links) {
    return links->counters;
}

/* --- questions --- */

const struct address *peer_link_address(const struct peer_link *link) {
    return &link->address;
}

void peer_link_set_name(struct peer_link *link, const char *name) {
    snprintf(link->name, sizeof link->name, "%s", name);
}

const char *peer_link_name(const struct peer_link *link) {
    return link->name;
}

const struct peer_link *peer_links_find(const struct peer_links *links, const char *name) {
    const struct peer_link *link;
    TAILQ_FOREACH(link, &links->all, entry) {
        if (link->state == PEER_LINK_OPEN && strcmp(link->name, name) == 0)
            return link;
    }
    return NULL;
}

bool peer_links_has_host(const struct peer_links *links, struct bytes host) {
    const struct peer_link *link;
    TAILQ_FOREACH(link, &links->all, entry) {
        if (link->state == PEER_LINK_OPEN && bytes_equal(address_host(&link->address), host))
            return true;
    }
    return false;
}

bool peer_link_name_allowed(const struct peer_link *link, const char *name) {
    const char *at = strchr(name, '@');
    return tls_stream_peer_is(link->stream, at == NULL ? "" : at + 1);
}

void peer_link_set_owner(struct peer_link *link, void *owner) {
    link->owner = owner;
}

void *peer_link_owner(const struct peer_link *link) {
    return link->owner;
}
