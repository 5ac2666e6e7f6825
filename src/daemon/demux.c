#include "daemon/demux.h"

#include "base/assert.h"
#include "net/tls.h"

void demux_accepted(void *context, const struct accepted *accepted) {
    const struct demux *demux = context;
    const char *reason = NULL;
    if (accepted->role == LISTENER_FRONT && demux->front != NULL)
        reason = front_admits(demux->front, accepted->fd, &accepted->peer);
    if (reason == NULL)
        epmd_server_open(demux->server, accepted);
    else
        epmd_server_refuse(demux->server, accepted, reason);
}

bool demux_shed(void *context) {
    const struct demux *demux = context;
    return epmd_server_shed(demux->server);
}

void demux_limit_hit(void *context, const char *limit, const char *outcome) {
    (void)context;
    events_limit_hit(limit, outcome);
}

static const char *link_refusal(const struct demux *demux, int fd, const struct address *peer,
                                struct bytes received) {
    return demux->accept_link(demux->links, fd, peer, received)
               ? NULL
               : "this daemon accepts no cluster links";
}

const char *demux_arrived(void *context, const struct first_caller *caller, int fd,
                          const struct address *peer, struct bytes received) {
    const struct demux *demux = context;
    PORTOLAN_ASSERT(demux->front != NULL && fd >= 0);
    switch (caller->who) {
    case FIRST_BYTES_LINK:
        return link_refusal(demux, fd, peer, received);
    case FIRST_BYTES_DIST:
    case FIRST_BYTES_DIST_TLS:
        return front_accept(demux->front, caller, fd, peer, received);
    case FIRST_BYTES_MORE:
        return hello_queue_add(demux->hellos, fd, peer, received);
    case FIRST_BYTES_EPMD:
    case FIRST_BYTES_NOBODY:
        break;
    }
    return "unknown protocol";
}

const char *demux_other_protocol(void *context, int fd, const struct address *peer,
                                 struct bytes received) {
    const struct first_caller caller = first_bytes_judge(received, bytes_of_text(TLS_ALPN));
    return demux_arrived(context, &caller, fd, peer, received);
}

void demux_refused(void *context, const char *reason, const struct address *peer) {
    const struct demux *demux = context;
    const struct epmd_refusal refusal = {.what = "connection", .reason = reason, .peer = peer};
    events_refused(demux->events, &refusal);
}
