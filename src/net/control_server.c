#include "net/control_server.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/loop.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BEHIND (CONTROL_BACKLOG_MAX / 2)

struct control_peer {
    struct control_server *server;
    struct bufferevent *stream;
    bool may_change;
    bool watches;
    bool deaf;    /* no more requests of it are read */
    bool held;    /* its reply comes later */
    bool leaving; /* closed as soon as nothing is held and its output is sent */
    void (*gone)(void *context);
    void *gone_context;
    TAILQ_ENTRY(control_peer) link;
};
TAILQ_HEAD(control_peers, control_peer);

struct control_server {
    struct event_base *base;
    struct event *accept_event;
    int listener;
    int reserve_fd;
    char *path;
    control_handler *handler;
    void *context;
    struct control_peers peers; /* the longest idle first */
    unsigned count;
    unsigned watchers;
    struct log_limit limits;
};

/* --- the socket --- */

static bool fill_address(struct sockaddr_un *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address->sun_path)
        return false;
    strcpy(address->sun_path, path);
    return true;
}

/* Makes the directory of the socket, one level: what is above it is the administrator's. */
static void make_directory(const char *path) {
    char directory[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return;
    memcpy(directory, path, (size_t)(slash - path));
    directory[slash - path] = '\0';
    mkdir(directory, 0755);
}

static bool somebody_answers(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool answered = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                    errno == EAGAIN || errno == EACCES;
    close(fd);
    return answered;
}

static bool is_socket(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

int control_listen(const char *path) {
    struct sockaddr_un address;
    if (!fill_address(&address, path))
        return -ENAMETOOLONG;
    make_directory(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
    if (bound < 0 && errno == EADDRINUSE && is_socket(path) && !somebody_answers(&address)) {
        unlink(path);
        bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
    }
    /* who may change things is asked of each caller; reading is for all (docs/control.md) */
    if (bound == 0 && chmod(path, 0666) == 0 && listen(fd, CONTROL_PEERS_MAX) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

/* --- who calls --- */

static bool is_in_group(int fd, gid_t primary) {
    gid_t groups[256];
    socklen_t size = sizeof groups;
    const struct group *wanted = getgrnam(CONTROL_GROUP);
    if (wanted == NULL)
        return false;
    if (primary == wanted->gr_gid)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof groups[0]; i++) {
        if (groups[i] == wanted->gr_gid)
            return true;
    }
    return false;
}

static bool may_change(int fd) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid() || is_in_group(fd, peer.gid);
}

bool control_peer_may_change(const struct control_peer *peer) {
    return peer->may_change;
}

/* --- peers --- */

static void end_peer(struct control_peer *peer) {
    struct control_server *server = peer->server;
    TAILQ_REMOVE(&server->peers, peer, link);
    server->count--;
    if (peer->held)
        peer->gone(peer->gone_context);
    if (peer->watches)
        server->watchers--;
    bufferevent_free(peer->stream);
    free(peer);
}

static void free_text(const void *data, size_t len, void *context) {
    (void)len;
    (void)context;
    free((void *)(uintptr_t)data);
}

/*
 * Queues one line. False when the peer has too much waiting already, or memory is out. A line may
 * be longer than the backlog: a list of all names is.
 */
static bool send_line(struct control_peer *peer, const json_t *object) {
    struct evbuffer *output = bufferevent_get_output(peer->stream);
    char *text = json_dumps(object, JSON_COMPACT);
    if (text == NULL)
        return false;
    size_t len = strlen(text);
    if (evbuffer_get_length(output) >= CONTROL_BACKLOG_MAX ||
        evbuffer_add_reference(output, text, len, free_text, NULL) < 0) {
        free(text);
        return false;
    }
    return evbuffer_add(output, "\n", 1) == 0;
}

static json_t *bad_request(const char *message) {
    return json_pack("{s:i, s:b, s:{s:s, s:s}}", "v", 1, "ok", 0, "error", "code", "bad_request",
                     "message", message);
}

/*
 * Answers what cannot be read, and closes once the answer is out: where a line ends is unknown now.
 * False: the peer is gone already.
 */
static bool dismiss(struct control_peer *peer, const char *message) {
    json_t *reply = bad_request(message);
    bool sent = reply != NULL && send_line(peer, reply);
    json_decref(reply);
    if (!sent) {
        end_peer(peer);
        return false;
    }
    peer->deaf = peer->leaving = true;
    bufferevent_disable(peer->stream, EV_READ);
    return true;
}

static void has_moved(struct control_peer *peer) {
    TAILQ_REMOVE(&peer->server->peers, peer, link);
    TAILQ_INSERT_TAIL(&peer->server->peers, peer, link);
}

/* False: the peer is gone. */
static bool handle_line(struct control_peer *peer, const char *line, size_t len) {
    struct control_server *server = peer->server;
    has_moved(peer);
    json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(request)) {
        json_decref(request);
        return dismiss(peer, "a request is one JSON object on one line");
    }
    json_t *reply = server->handler(server->context, peer, request);
    json_decref(request);
    if (reply == NULL && peer->held)
        return true;
    bool sent = reply != NULL && send_line(peer, reply);
    json_decref(reply);
    if (!sent)
        end_peer(peer);
    return sent;
}

static size_t backlog(const struct control_peer *peer) {
    return evbuffer_get_length(bufferevent_get_output(peer->stream));
}

/*
 * Answers what has come. Who is behind with reading is answered no further until all is read, so
 * that many long answers to one who reads them never fill the backlog. False: the peer is gone.
 */
static bool serve(struct control_peer *peer) {
    struct evbuffer *input = bufferevent_get_input(peer->stream);
    char *line;
    size_t len;
    while (!peer->deaf && !peer->held && backlog(peer) < BEHIND &&
           (line = evbuffer_readln(input, &len, EVBUFFER_EOL_LF)) != NULL) {
        bool stays = handle_line(peer, line, len);
        free(line);
        if (!stays)
            return false;
    }
    if (!peer->deaf && !peer->held && backlog(peer) < BEHIND &&
        evbuffer_get_length(input) >= CONTROL_LINE_MAX)
        return dismiss(peer, "the line is longer than 65536 bytes");
    return true;
}

static void on_readable(struct bufferevent *stream, void *context) {
    (void)stream;
    serve(context);
}

static bool is_done(const struct control_peer *peer) {
    return peer->leaving && !peer->held && backlog(peer) == 0;
}

static void on_drained(struct bufferevent *stream, void *context) {
    struct control_peer *peer = context;
    (void)stream;
    if (serve(peer) && is_done(peer))
        end_peer(peer);
}

/* A read tells the end of both: who closed, and who closed its writing side only. */
static bool still_listens(const struct control_peer *peer) {
    struct pollfd side = {.fd = bufferevent_getfd(peer->stream)};
    return poll(&side, 1, 0) == 0;
}

static void stop_watching(struct control_peer *peer) {
    if (peer->watches)
        peer->server->watchers--;
    peer->watches = false;
}

/*
 * Who says no more may still listen: what it asked for is sent before the end. Of events there is
 * no end, so its watch is over. The bufferevent reads no more now; should the peer go altogether
 * while its reply is still to come, the reply cannot be written, and that ends it.
 */
static void on_event(struct bufferevent *stream, short what, void *context) {
    struct control_peer *peer = context;
    (void)stream;
    if ((what & BEV_EVENT_EOF) == 0 || !still_listens(peer)) {
        end_peer(peer);
        return;
    }
    stop_watching(peer);
    peer->leaving = true;
    if (is_done(peer))
        end_peer(peer);
}

static struct control_peer *new_peer(struct control_server *server, int fd) {
    const struct timeval write_timeout = {.tv_sec = CONTROL_WRITE_TIMEOUT_S};
    struct control_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    peer->stream = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (peer->stream == NULL) {
        free(peer);
        return NULL;
    }
    peer->server = server;
    peer->may_change = may_change(fd);
    TAILQ_INSERT_TAIL(&server->peers, peer, link);
    server->count++;
    bufferevent_setcb(peer->stream, on_readable, on_drained, on_event, peer);
    bufferevent_setwatermark(peer->stream, EV_READ, 0, CONTROL_LINE_MAX);
    bufferevent_set_timeouts(peer->stream, NULL, &write_timeout);
    bufferevent_enable(peer->stream, EV_READ | EV_WRITE);
    return peer;
}

/* Without a descriptor left, a caller is taken on the reserve and turned away: else it would call
 * for ever. */
static int accept_with_reserve(struct control_server *server) {
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    server->reserve_fd = -1;
    return accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Nothing is under way for it: no request that came, no reply, no watch. */
static bool is_idle(const struct control_peer *peer) {
    int unread = 0;
    return !peer->held && !peer->watches && backlog(peer) == 0 &&
           ioctl(bufferevent_getfd(peer->stream), FIONREAD, &unread) == 0 && unread == 0;
}

/*
 * Who gives way to a caller when there are too many: the longest idle. If none is idle, one that
 * may only read to one that may do more, so that those who watch never keep the daemon's owner out.
 */
static struct control_peer *dispensable(const struct control_server *server, int caller_fd) {
    struct control_peer *peer;
    TAILQ_FOREACH(peer, &server->peers, link) {
        if (is_idle(peer))
            return peer;
    }
    if (!may_change(caller_fd))
        return NULL;
    TAILQ_FOREACH(peer, &server->peers, link) {
        if (!peer->may_change)
            return peer;
    }
    return NULL;
}

static bool make_room(struct control_server *server, int caller_fd) {
    if (server->count < CONTROL_PEERS_MAX)
        return true;
    struct control_peer *peer = dispensable(server, caller_fd);
    if (peer == NULL)
        return false;
    end_peer(peer);
    return true;
}

/* Serves a caller; one on the reserve, or too many, is turned away. */
static void take(struct control_server *server, int fd) {
    if (server->reserve_fd < 0 || !make_room(server, fd)) {
        if (log_limit_pass(&server->limits, clock_monotonic_ms()))
            log_event(LOG_LEVEL_WARN, "limit",
                      log_text("limit", "control connections or descriptors"),
                      log_text("outcome", "closed one more"));
        close(fd);
    } else if (new_peer(server, fd) == NULL) {
        close(fd);
    }
}

static void on_acceptable(evutil_socket_t listener, short what, void *context) {
    struct control_server *server = context;
    (void)what;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && loop_is_out_of_descriptors(errno))
        fd = accept_with_reserve(server);
    if (fd >= 0)
        take(server, fd);
    if (server->reserve_fd < 0)
        server->reserve_fd = loop_open_reserve();
}

/* A peer that does not read is let go, but not here: its own request may be what is under way. */
static void let_go(struct control_peer *peer) {
    stop_watching(peer);
    peer->deaf = peer->leaving = true;
    bufferevent_disable(peer->stream, EV_READ);
    bufferevent_trigger(peer->stream, EV_WRITE,
                        BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

void control_peer_hold(struct control_peer *peer, void (*gone)(void *context), void *context) {
    peer->held = true;
    peer->gone = gone;
    peer->gone_context = context;
}

void control_peer_release(struct control_peer *peer) {
    peer->held = false;
}

void control_peer_reply(struct control_peer *peer, json_t *reply, bool last) {
    bool sent = reply != NULL && send_line(peer, reply);
    json_decref(reply);
    has_moved(peer);
    if (last)
        peer->held = false;
    if (!sent)
        let_go(peer);
    else if (last && evbuffer_get_length(bufferevent_get_input(peer->stream)) > 0)
        bufferevent_trigger(peer->stream, EV_READ,
                            BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

void control_peer_watch(struct control_peer *peer) {
    if (peer->watches)
        return;
    peer->watches = true;
    peer->server->watchers++;
}

bool control_server_is_watched(const struct control_server *server) {
    return server != NULL && server->watchers > 0;
}

void control_server_publish(struct control_server *server, json_t *event) {
    struct control_peer *peer;
    TAILQ_FOREACH(peer, &server->peers, link) {
        if (peer->watches && event != NULL && !send_line(peer, event))
            let_go(peer);
    }
    json_decref(event);
}

/* --- beginning and end --- */

void control_unlisten(int listener, const char *path) {
    close(listener);
    unlink(path);
}

struct control_server *control_server_new(struct event_base *base, int listener, const char *path,
                                          control_handler *handler, void *context) {
    struct control_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    *server = (struct control_server){
        .base = base, .listener = listener, .handler = handler, .context = context};
    TAILQ_INIT(&server->peers);
    server->reserve_fd = loop_open_reserve();
    server->path = strdup(path);
    server->accept_event = event_new(base, listener, EV_READ | EV_PERSIST, on_acceptable, server);
    if (server->path != NULL && server->accept_event != NULL &&
        event_add(server->accept_event, NULL) == 0)
        return server;
    control_server_free(server);
    return NULL;
}

/* Gives the peer the last of what it was sent, as far as it goes at once: the reply to `stop`. */
static void flush(struct control_peer *peer) {
    struct evbuffer *output = bufferevent_get_output(peer->stream);
    evbuffer_unfreeze(output, 1); /* a bufferevent keeps the front of its output to itself */
    evbuffer_write(output, bufferevent_getfd(peer->stream));
}

void control_server_free(struct control_server *server) {
    struct control_peer *peer;
    if (server == NULL)
        return;
    while ((peer = TAILQ_FIRST(&server->peers)) != NULL) {
        flush(peer);
        end_peer(peer);
    }
    if (server->reserve_fd >= 0)
        close(server->reserve_fd);
    if (server->accept_event != NULL)
        event_free(server->accept_event);
    if (server->path != NULL)
        control_unlisten(server->listener, server->path);
    else
        close(server->listener);
    free(server->path);
    free(server);
}
