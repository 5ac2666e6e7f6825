/*
 * A link that others begin: a socket whose far end is the input's, from the bytes that the front
 * port has read to the end of the link; a stranger's, or a partner's in memory.
 *
 * What holds: only a partner with our key comes up, and once. What is received is what it wrote.
 * No hook is called for a link that is over, or that was ended. A stranger is turned away once and
 * counted once, and costs little memory meanwhile. When all is freed, the socket is closed.
 *
 * The input: a byte (1 and 2: enum partner_kind, 4: `up` says no, 8: the owner ends the link when
 * it receives, 16: it uses bytes up by eights, 32: it answers), len:16 and the bytes that were read
 * already, then steps of a byte that says what, and their numbers:
 *
 *   0 len:16 bytes    from the far end
 *   1                 the partner hears, and goes on
 *   2 len:16          the partner writes as many bytes
 *   3 len:16          the owner sends as many
 *   4, 5              the owner ends the link; the partner does
 *   6, 7              the far end says no more; it is gone
 */
#include "tls_partner.h"

#include "link/link.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEMORY_MAX (384 * 1024) /* of a link that waits: OpenSSL's 256 KiB, and what was read */
#define TURNS 8                 /* of the loop, a step */

struct run {
    enum partner_kind kind;
    bool says_no, ends_at_once, uses_eights, answers;
    struct peer_links *links;
    struct peer_link *link; /* NULL: not up, or over */
    struct tls_stream *partner;
    int far; /* -1: gone */
    unsigned ups, rejected;
    size_t wrote, read; /* plain bytes, by the partner and by the owner */
    size_t owner_wrote, partner_read;
};

static struct event_base *base(void) {
    static struct event_base *one;
    if (one == NULL) {
        signal(SIGPIPE, SIG_IGN);
        one = event_base_new();
        must(one != NULL);
    }
    return one;
}

/* --- the owner --- */

static void owner_ends(struct run *run) {
    if (run->link != NULL)
        peer_link_end(run->link);
    run->link = NULL;
}

static void owner_sends(struct run *run, size_t len) {
    uint8_t *plain = fuzz_copy(NULL, 0, len);
    for (size_t i = 0; i < len; i++)
        plain[i] = partner_plain(run->owner_wrote + i);
    if (run->link != NULL && len > 0 && peer_link_send(run->link, bytes_of(plain, len)))
        run->owner_wrote += len;
    free(plain);
}

static bool on_up(void *context, struct peer_link *link, const char *name) {
    struct run *run = context;
    must(run->kind == PARTNER_SAME_KEY && name == NULL && ++run->ups == 1);
    must(peer_link_owner(link) == NULL && peer_link_name_allowed(link, "a@127.0.0.1"));
    peer_link_set_owner(link, run);
    run->link = run->says_no ? NULL : link;
    return !run->says_no;
}

static size_t on_received(void *context, struct peer_link *link, struct bytes bytes) {
    struct run *run = context;
    must(run->link == link && peer_link_owner(link) == run && bytes.len > 0);
    for (size_t i = 0; i < bytes.len; i++)
        must(bytes.data[i] == partner_plain(run->read + i));
    size_t used = run->uses_eights ? bytes.len / 8 * 8 : bytes.len;
    run->read += used;
    must(run->read <= run->wrote);
    if (run->answers)
        owner_sends(run, 100);
    if (run->ends_at_once)
        owner_ends(run);
    return used;
}

static void on_down(void *context, struct peer_link *link, const struct peer_failure *failure) {
    enum cluster_cause cause = failure->cause;
    struct run *run = context;
    must(run->link == link && cluster_cause_name(cause) != NULL);
    run->link = NULL;
}

static void on_failed(void *context, const char *name, const struct peer_failure *failure) {
    (void)context;
    (void)name;
    (void)failure;
    fuzz_failed("nobody was called", __FILE__, __LINE__);
}

static void on_rejected(void *context, const struct peer_failure *failure, bool limited) {
    struct run *run = context;
    must(!limited && run->ups == 0 && ++run->rejected == 1);
    must(failure->cause != CLUSTER_CAUSE_NONE && cluster_cause_name(failure->cause) != NULL);
}

/* --- the far end --- */

static void far_says(struct run *run, struct bytes bytes) {
    while (run->far >= 0 && bytes.len > 0) {
        ssize_t sent = send(run->far, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* it is not read any more, or not for now: the rest is lost */
        bytes = bytes_of(bytes.data + sent, bytes.len - (size_t)sent);
        event_base_loop(base(), EVLOOP_NONBLOCK);
    }
}

/* False: the other side has closed. */
static bool far_hears(struct run *run) {
    uint8_t heard[16384];
    ssize_t len;
    while ((len = recv(run->far, heard, sizeof heard, MSG_DONTWAIT)) > 0) {
        if (run->partner != NULL)
            must(tls_stream_feed(run->partner, bytes_of(heard, (size_t)len)));
    }
    return len < 0 && errno == EAGAIN;
}

static void partner_says(struct run *run) {
    far_says(run, tls_stream_output(run->partner));
    tls_stream_sent(run->partner);
}

static void partner_goes_on(struct run *run) {
    uint8_t plain[4096];
    size_t len;
    if (run->far < 0 || run->partner == NULL)
        return;
    far_hears(run);
    bool open = tls_stream_handshake(run->partner) == TLS_OPEN;
    must(!open || run->kind == PARTNER_SAME_KEY);
    while (open && tls_stream_read(run->partner, plain, sizeof plain, &len) == TLS_OPEN) {
        for (size_t i = 0; i < len; i++)
            must(plain[i] == partner_plain(run->partner_read + i));
        run->partner_read += len;
    }
    must(run->partner_read <= run->owner_wrote);
    partner_says(run);
}

static void partner_sends(struct run *run, size_t len) {
    if (run->partner != NULL && partner_write(run->partner, len, &run->wrote))
        partner_says(run);
}

static void leave(struct run *run) {
    if (run->far >= 0)
        close(run->far);
    run->far = -1;
}

/* --- a run --- */

static void step(struct run *run, struct reader *input) {
    size_t len;
    switch (read_u8(input) & 7) {
    case 0:
        len = read_u16(input);
        far_says(run, read_bytes(input, len > input->left ? input->left : len));
        break;
    case 1:
        partner_goes_on(run);
        break;
    case 2:
        partner_sends(run, read_u16(input));
        break;
    case 3:
        owner_sends(run, read_u16(input));
        break;
    case 4:
        owner_ends(run);
        break;
    case 5:
        if (run->partner != NULL) {
            tls_stream_close(run->partner);
            partner_says(run);
        }
        break;
    case 6:
        if (run->far >= 0)
            shutdown(run->far, SHUT_WR);
        break;
    default:
        leave(run);
    }
    for (int i = 0; i < TURNS; i++)
        event_base_loop(base(), EVLOOP_NONBLOCK);
}

static void begin(struct run *run, struct reader *input) {
    const struct peer_hooks hooks = {.up = on_up,
                                     .received = on_received,
                                     .down = on_down,
                                     .failed = on_failed,
                                     .rejected = on_rejected,
                                     .context = run};
    const struct address stranger = address_any_v6(4370);
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    run->far = ends[1];
    run->links = peer_links_new(base(), partner_tls(PARTNER_NONE), &hooks);
    must(run->links != NULL);
    size_t len = read_u16(input);
    struct bytes first = read_bytes(input, len > input->left ? input->left : len);
    must(peer_links_accept(run->links, ends[0], &stranger, first));
}

static void end(struct run *run) {
    const struct peer_counters counters = peer_links_counters(run->links);
    must(counters.accepted == 1 && counters.refused == run->rejected && counters.limited == 0);
    peer_links_free(run->links);
    event_base_loop(base(), EVLOOP_NONBLOCK); /* libevent closes sockets in its next turn */
    must(run->far < 0 || !far_hears(run));
    leave(run);
    tls_stream_free(run->partner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader input = reader_of(bytes_of(data, size));
    uint8_t setup = read_u8(&input);
    struct run run = {.kind = (enum partner_kind)(setup & 3),
                      .says_no = (setup & 4) != 0,
                      .ends_at_once = (setup & 8) != 0,
                      .uses_eights = (setup & 16) != 0,
                      .answers = (setup & 32) != 0};
    partner_tls(PARTNER_NONE);
    size_t before = __sanitizer_get_current_allocated_bytes();
    if (run.kind != PARTNER_NONE) {
        run.partner = tls_stream_new(partner_tls(run.kind), "127.0.0.1");
        must(run.partner != NULL);
    }
    begin(&run, &input);
    while (input.left > 0 && !input.failed) {
        step(&run, &input);
        size_t now = __sanitizer_get_current_allocated_bytes();
        must(run.partner != NULL || now <= before + MEMORY_MAX);
    }
    end(&run);
    return 0;
}
