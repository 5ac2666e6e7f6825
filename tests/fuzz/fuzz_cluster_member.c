/*
 * A whole member, fed by peers that have the cookie and no manners: whatever they send, it does not
 * crash, keeps its bounds, and its own names stay what it registered.
 *
 * The input is a list of steps, each of a byte `what` and a byte `more`; its lowest bits, as far as
 * links go, say on which link:
 *
 *   what & 7
 *   0      time goes on by 64 ms x more; what & 8: by as many minutes
 *   1      a peer calls and says HELLO: intent what >> 3 & 3, flags more >> 2 & 7,
 *          what & 32: it lists us, & 64: it is of another cluster, & 128: it says nothing yet
 *   2      the link is lost
 *   3      the last call that the member wants to make: what & 8: succeeds, & 16: is refused
 *   4      a command: `command` below
 *   5, 6   len:16 payload: a frame of type what >> 3 & 15
 *   7      len:16 bytes, as they are
 */
#include "fuzz.h"

#include "cluster/cluster.h"
#include "cluster/wire.h"

#include <string.h>

#define LINKS 4
#define CALLS 64

struct peer {
    struct cluster_link *link;
    bool up;
    uint8_t *rest; /* of an unfinished frame, whose beginning came already */
    size_t rest_len;
};

struct shell {
    struct cluster *cluster;
    int64_t now_ms;
    struct peer peers[LINKS];
    char calls[CALLS][CLUSTER_NAME_MAX + 1]; /* connections that the member wants */
    size_t call_count;
    size_t names; /* of the member's own */
    size_t sent;
};

static bool on_connect(void *context, const char *name) {
    struct shell *shell = context;
    must(strlen(name) <= CLUSTER_NAME_MAX);
    if (shell->call_count == CALLS)
        return false;
    snprintf(shell->calls[shell->call_count++], sizeof shell->calls[0], "%s", name);
    return true;
}

static bool on_send(void *context, void *handle, struct bytes frames) {
    struct shell *shell = context;
    struct peer *peer = handle;
    must(peer->up && frames.len <= CLUSTER_FRAME_MAX);
    must(wire_frame_len(frames) != 0 && wire_frame_len(frames) != SIZE_MAX);
    shell->sent += frames.len;
    return shell->sent % 61 != 0;
}

static void on_disconnect(void *context, void *handle, enum cluster_cause cause) {
    struct peer *peer = handle;
    (void)context;
    must(peer->up && cluster_cause_name(cause) != NULL);
    peer->up = false;
    peer->link = NULL;
}

static void on_persist(void *context, bool urgent) {
    (void)context;
    (void)urgent;
}

static void on_notify(void *context, const struct cluster_event *event) {
    (void)context;
    must(cluster_event_name(event->type) != NULL && event->name != NULL);
}

static void forget_rest(struct peer *peer) {
    free(peer->rest);
    peer->rest = NULL;
    peer->rest_len = 0;
}

static void go_up(struct shell *shell, struct peer *peer, const char *name) {
    if (peer->up)
        return;
    forget_rest(peer);
    peer->up = true;
    struct cluster_link *link = cluster_link_up(shell->cluster, peer, name, shell->now_ms);
    if (link == NULL)
        peer->up = false;
    if (peer->up)
        peer->link = link;
}

/* Bytes on a link, after those that it has not used up yet. */
static void feed(struct shell *shell, struct peer *peer, struct bytes bytes) {
    if (!peer->up || peer->link == NULL)
        return;
    size_t len = peer->rest_len + bytes.len;
    uint8_t *all = fuzz_copy(peer->rest, peer->rest_len, bytes.len);
    if (bytes.len > 0)
        memcpy(all + peer->rest_len, bytes.data, bytes.len);
    forget_rest(peer);
    size_t taken = cluster_receive(shell->cluster, peer->link, bytes_of(all, len), shell->now_ms);
    must(taken <= len);
    if (peer->up) {
        must(len - taken < CLUSTER_FRAME_MAX);
        peer->rest_len = len - taken;
        peer->rest = fuzz_copy(all + taken, peer->rest_len, 0);
    }
    free(all);
}

static void greet(struct shell *shell, size_t which, uint8_t how, uint8_t flags) {
    char name[32];
    snprintf(name, sizeof name, "peer%zu@x.org", which);
    struct cluster_member_view view = {.joined = 0};
    cluster_member_find(shell->cluster, cluster_self(shell->cluster), &view);
    struct wire_hello hello = {.version = WIRE_VERSION,
                               .flags = flags & 7,
                               .intent = how >> 3 & 3,
                               .id = cluster_id(shell->cluster),
                               .generation = 1000,
                               .incarnation = 1000,
                               .known_joined = view.joined,
                               .known_state = how & 32 ? CLUSTER_ALIVE : WIRE_KNOWN_NOTHING,
                               .name = bytes_of_text(name),
                               .cluster_name = bytes_of_text("emqxcl")};
    if ((how & 64) != 0)
        hello.id.random ^= 1;
    uint8_t buffer[1024];
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_write_hello(&writer, &hello);
    feed(shell, &shell->peers[which], writer_bytes(&writer));
}

static void frame(struct shell *shell, struct peer *peer, uint8_t type, struct bytes payload) {
    uint8_t *buffer = fuzz_copy(NULL, 0, WIRE_HEAD + payload.len);
    struct writer writer = writer_of(buffer, WIRE_HEAD + payload.len);
    size_t begun = wire_begin(&writer, (enum wire_type)type);
    write_bytes(&writer, payload);
    wire_end(&writer, begun);
    if (!writer.failed)
        feed(shell, peer, writer_bytes(&writer));
    free(buffer);
}

static void answer_calls(struct shell *shell, uint8_t how, struct peer *peer) {
    if (shell->call_count == 0)
        return;
    char name[CLUSTER_NAME_MAX + 1];
    snprintf(name, sizeof name, "%s", shell->calls[--shell->call_count]);
    if ((how & 1) != 0 && !peer->up)
        go_up(shell, peer, name);
    else
        cluster_connect_failed(shell->cluster, name,
                               (how & 2) != 0 ? CLUSTER_CAUSE_REFUSED : CLUSTER_CAUSE_TIMED_OUT,
                               shell->now_ms);
}

/* A second node comes and goes at this member. */
static void own_name(struct shell *shell, bool registered) {
    const struct directory_name hare = {.name = bytes_of_text("hare"), .port = 6370, .type = 77};
    if (registered)
        cluster_name_registered(shell->cluster, &hare, shell->now_ms);
    else
        cluster_name_unregistered(shell->cluster, hare.name, shell->now_ms);
    shell->names = registered ? 2 : 1;
}

static void command(struct shell *shell, uint8_t which) {
    static const char *const seeds[] = {"peer0@x.org", "peer1@x.org", "self@x.org"};
    if ((which & 8) != 0)
        own_name(shell, (which & 1) != 0);
    else if ((which & 3) == 0)
        cluster_join(shell->cluster, seeds[which >> 2 & 1], shell->now_ms);
    else if ((which & 3) == 1)
        cluster_leave(shell->cluster, shell->now_ms);
    else if ((which & 3) == 2)
        cluster_force_leave(shell->cluster, seeds[which >> 2 & 1], shell->now_ms);
    else if (cluster_wants_discovery(shell->cluster))
        cluster_discovered(shell->cluster, seeds, 3, shell->now_ms);
}

static void step(struct shell *shell, struct reader *input) {
    uint8_t what = read_u8(input), more = read_u8(input);
    struct peer *peer = &shell->peers[more % LINKS];
    switch (what & 7) {
    case 0:
        shell->now_ms += more * (int64_t)((what & 8) != 0 ? 60000 : 64);
        cluster_tick(shell->cluster, shell->now_ms);
        break;
    case 1:
        go_up(shell, peer, NULL);
        if ((what & 128) == 0)
            greet(shell, more % LINKS, what, more >> 2);
        break;
    case 2:
        if (peer->up && peer->link != NULL) {
            struct cluster_link *link = peer->link;
            peer->up = false;
            peer->link = NULL;
            cluster_link_down(shell->cluster, link, CLUSTER_CAUSE_LOST, shell->now_ms);
        }
        break;
    case 3:
        answer_calls(shell, what >> 3, peer);
        break;
    case 4:
        command(shell, more);
        break;
    default: {
        size_t len = read_u16(input);
        struct bytes bytes = read_bytes(input, len > input->left ? input->left : len);
        if ((what & 7) == 7)
            feed(shell, peer, bytes);
        else
            frame(shell, peer, what >> 3 & 15, bytes);
    }
    }
}

static void check(const struct shell *shell) {
    const struct cluster *cluster = shell->cluster;
    must(cluster_member_count(cluster) >= 1);
    must(cluster_member_count(cluster) <= CLUSTER_MEMBERS_MAX);
    must(cluster_link_count(cluster) <= LINKS);
    const struct directory_entry *own =
        directory_find(cluster_directory(cluster), bytes_of_text("rabbit@h.example.org"));
    struct cluster_member_view view;
    while (own != NULL && own->node.port != 6369) /* of a peer on our host */
        own = directory_find_next(own);
    must(own != NULL);
    must(cluster_member_find(cluster, "self@h.example.org", &view));
    must(view.is_self && view.state == CLUSTER_ALIVE && view.names == shell->names);
    must(view.joined <= view.generation && view.generation <= view.incarnation);
    size_t len;
    uint8_t *text = cluster_store_of(cluster, &len);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct shell shell = {.now_ms = 1000, .names = 1};
    struct cluster_options options = cluster_options_default();
    options.name = "self@h.example.org";
    options.wall_ms = 1760000000000;
    options.random = random_of(1);
    options.discovery = true;
    options.io = (struct cluster_io){.connect = on_connect,
                                     .send = on_send,
                                     .disconnect = on_disconnect,
                                     .persist = on_persist,
                                     .notify = on_notify};
    options.io_context = &shell;
    if (cluster_new(&options, shell.now_ms, &shell.cluster) != CLUSTER_STARTED)
        return 0;
    struct directory_name node = {.name = bytes_of_text("rabbit"), .port = 6369, .type = 77};
    cluster_name_registered(shell.cluster, &node, shell.now_ms);
    struct reader input = reader_of(bytes_of(data, size));
    while (input.left >= 2) {
        step(&shell, &input);
        must(cluster_check(shell.cluster) == NULL);
    }
    check(&shell);
    for (size_t i = 0; i < LINKS; i++)
        forget_rest(&shell.peers[i]);
    cluster_free(shell.cluster);
    return 0;
}
