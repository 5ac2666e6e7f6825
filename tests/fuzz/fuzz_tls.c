/*
 * One end of a link in memory, ours, called or calling, and whatever comes from the wire: from a
 * stranger, or from a partner whose records are cut, changed, dropped and repeated on their way.
 *
 * What holds: only a partner with our key gets a link open. What we read is what it wrote, from the
 * first byte on, however its records were treated. Who failed stays failed, and says why. A stream
 * that waits holds little memory, and says little before it is open.
 *
 * The input: a byte (1: we call; 2 and 4: enum partner_kind), then steps of a byte that says what,
 * and their numbers:
 *
 *   0 len:16 bytes     from the wire, as they are
 *   1 len:16           as many bytes of what the partner has said, as they are
 *   2 len:16 at:16 by  the same, the byte there changed
 *   3 len:16           as many bytes of it get lost
 *   4                  all that the partner has said so far, again
 *   5                  the partner hears what we said, and goes on
 *   6 len:16           the partner writes as many bytes
 *   7 len:16           we do
 *   8, 9               the partner ends the link; we do
 */
#include "tls_partner.h"

#include <string.h>

#define SAID_MAX 2048           /* by us, until the link is open */
#define MEMORY_MAX (256 * 1024) /* of a stream that waits: OpenSSL takes hellos of 128 KiB */
#define WIRE_MAX (1024 * 1024)  /* what a partner says in one input */

struct run {
    enum partner_kind kind;
    struct tls_stream *ours, *partners;
    bool open, ended, over; /* ours: ended by us, over for us */
    bool partner_open;
    size_t we_said, before; /* bytes of output; of memory */
    size_t wrote, read;     /* plain bytes, by the partner and here */
    size_t we_wrote, partner_read;
    uint8_t *wire; /* all that the partner has said; borrowed */
    size_t wire_len, carried;
};

static void check_failure(struct run *run) {
    const struct tls_failure *failure = tls_stream_failure(run->ours);
    must(failure->cause != CLUSTER_CAUSE_NONE && cluster_cause_name(failure->cause) != NULL);
    must(failure->reason[0] != '\0' && memchr(failure->reason, 0, TLS_REASON_SIZE) != NULL);
    must(run->open || tls_stream_handshake(run->ours) == TLS_FAILED);
    run->over = true;
}

static enum tls_state read_plain(struct tls_stream *stream, size_t *count) {
    uint8_t plain[4096];
    enum tls_state state;
    size_t len;
    while ((state = tls_stream_read(stream, plain, sizeof plain, &len)) == TLS_OPEN) {
        for (size_t i = 0; i < len; i++)
            must(plain[i] == partner_plain(*count + i));
        *count += len;
    }
    return state;
}

static void go_on(struct run *run) {
    enum tls_state state = tls_stream_handshake(run->ours);
    if (state == TLS_OPEN) {
        must(run->kind == PARTNER_SAME_KEY);
        run->open = true;
        state = read_plain(run->ours, &run->read);
        must(run->read <= run->wrote);
    }
    must(run->open || tls_stream_output(run->ours).len + run->we_said <= SAID_MAX);
    if (state == TLS_FAILED)
        check_failure(run);
    else if (state == TLS_CLOSED)
        run->over = true;
}

static void hear(struct run *run, struct bytes bytes) {
    if (run->over || bytes.len == 0)
        return;
    must(tls_stream_feed(run->ours, bytes));
    go_on(run);
}

/* What the partner wants to say goes on to the end of the wire. */
static void note_said(struct run *run) {
    struct bytes said = tls_stream_output(run->partners);
    size_t room = WIRE_MAX - run->wire_len;
    size_t len = said.len > room ? room : said.len;
    if (len > 0)
        memcpy(run->wire + run->wire_len, said.data, len);
    run->wire_len += len;
    tls_stream_sent(run->partners);
}

static void partner_goes_on(struct run *run) {
    struct bytes said = tls_stream_output(run->ours);
    if (run->partners != NULL)
        must(tls_stream_feed(run->partners, said));
    run->we_said += said.len;
    tls_stream_sent(run->ours);
    if (run->partners == NULL)
        return;
    run->partner_open = tls_stream_handshake(run->partners) == TLS_OPEN;
    if (run->partner_open)
        read_plain(run->partners, &run->partner_read);
    must(run->partner_read <= run->we_wrote);
    must(!run->partner_open || run->kind == PARTNER_SAME_KEY);
    note_said(run);
}

/* The next bytes of the wire, at most `len`: they count as carried. */
static struct bytes take(struct run *run, size_t len) {
    size_t left = run->wire_len - run->carried;
    struct bytes taken = bytes_of(run->wire + run->carried, len > left ? left : len);
    run->carried += taken.len;
    return taken;
}

static void hear_changed(struct run *run, struct bytes bytes, size_t at, uint8_t by) {
    uint8_t *copy = fuzz_copy(bytes.data, bytes.len, 0);
    if (bytes.len > 0)
        copy[at % bytes.len] ^= by;
    hear(run, bytes_of(copy, bytes.len));
    free(copy);
}

static void hear_input(struct run *run, struct reader *input) {
    size_t len = read_u16(input);
    hear(run, read_bytes(input, len > input->left ? input->left : len));
}

static void step(struct run *run, struct reader *input) {
    switch (read_u8(input) % 10) {
    case 0:
        hear_input(run, input);
        break;
    case 1:
        hear(run, take(run, read_u16(input)));
        break;
    case 2: {
        struct bytes taken = take(run, read_u16(input));
        size_t at = read_u16(input);
        hear_changed(run, taken, at, read_u8(input));
        break;
    }
    case 3:
        take(run, read_u16(input));
        break;
    case 4:
        hear(run, bytes_of(run->wire, run->carried));
        break;
    case 5:
        partner_goes_on(run);
        break;
    case 6: {
        size_t len = read_u16(input);
        if (run->partner_open && partner_write(run->partners, len, &run->wrote))
            note_said(run);
        break;
    }
    case 7: {
        size_t len = read_u16(input);
        bool written = !run->over && partner_write(run->ours, len, &run->we_wrote);
        must(!written || (run->open && !run->ended));
        break;
    }
    case 8:
        if (run->partners != NULL) {
            tls_stream_close(run->partners);
            note_said(run);
            run->partner_open = false;
        }
        break;
    default:
        tls_stream_close(run->ours);
        run->ended = run->open;
    }
}

/* A partner's own memory, and what we have said, are not a stranger's to use up. */
static void check_memory(const struct run *run) {
    size_t now = __sanitizer_get_current_allocated_bytes();
    if (run->partners == NULL && !run->over)
        must(now <= run->before + MEMORY_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader input = reader_of(bytes_of(data, size));
    uint8_t setup = read_u8(&input);
    bool we_call = (setup & 1) != 0;
    struct run run = {.kind = (enum partner_kind)(setup >> 1 & 3)};
    struct tls *keys = partner_tls(PARTNER_NONE);
    static uint8_t wire[WIRE_MAX];
    run.wire = wire;
    run.before = __sanitizer_get_current_allocated_bytes();
    run.ours = tls_stream_new(keys, we_call ? "127.0.0.1" : NULL);
    must(run.ours != NULL);
    if (run.kind != PARTNER_NONE) {
        run.partners = tls_stream_new(partner_tls(run.kind), we_call ? NULL : "127.0.0.1");
        must(run.partners != NULL);
    }
    go_on(&run);
    while (input.left > 0 && !input.failed) {
        step(&run, &input);
        check_memory(&run);
    }
    tls_stream_free(run.ours);
    tls_stream_free(run.partners);
    return 0;
}
