/*
 * Any text as the saved state of a port pool: never a crash, a state that is accepted saves and
 * restores again as it is, and one that is refused leaves a pool that works. In no case does a port
 * have two holders.
 *
 * The input's first byte says whether the checksum that the text should have is put behind it, for
 * no fuzzer finds that; the second chooses the policy and whether it is enforced.
 */
#include "fuzz.h"

#include "base/checksum.h"
#include "names/port_pool.h"

#include <inttypes.h>
#include <string.h>

#define SUM_SIZE 32
#define NOW INT64_C(1000000)

static bool always_free(void *context, uint16_t port) {
    (void)context;
    return port % 7 != 0; /* some are not */
}

/* As many memories as there can be, and leases of a few ports. */
#define TEXT_MAX ((size_t)4 << 20)

static const struct port_probe probe = {.is_free = always_free};

static struct port_pool *start(uint8_t choices) {
    const struct port_pool_options options = {.policy = (enum port_policy)(choices % 3),
                                              .first = 6369,
                                              .last = 6378,
                                              .tools = choices >> 3 & 3,
                                              .base = 4370,
                                              .enforce = choices & 0x80};
    struct port_pool *pool = port_pool_new(&options);
    must(pool != NULL);
    return pool;
}

/* To be freed. */
static struct bytes encode(struct port_pool *pool, int64_t now_ms) {
    struct writer writer = writer_of(fuzz_copy(NULL, 0, TEXT_MAX), TEXT_MAX);
    port_pool_encode_begin(pool);
    while (!port_pool_encode_piece(pool, &writer, now_ms)) {
    }
    must(!writer.failed);
    return writer_bytes(&writer);
}

static void release(struct bytes text) {
    free((void *)(uintptr_t)text.data);
}

struct walk {
    uint16_t before;
    size_t seen;
};

static void see(void *context, const struct port_lease *lease) {
    struct walk *walk = context;
    must(lease->port >= walk->before);
    must(lease->front == (lease->name.len == 0));
    walk->before = lease->port;
    walk->seen += lease->front ? 0 : 1;
}

static void check_holders(struct port_pool *pool) {
    struct walk walk = {.before = 0};
    struct port_pool_cursor cursor;
    struct port_lease lease;
    port_pool_cursor_begin(&cursor, pool);
    for (; port_pool_cursor_peek(&cursor, &lease); port_pool_cursor_advance(&cursor))
        see(&walk, &lease);
    port_pool_cursor_end(&cursor);
    must(walk.seen == port_pool_count(pool));
}

static void count(void *context, const struct port_lease_ending *ending) {
    must(!ending->lease.held && ending->lease.name.len > 0);
    ++*(size_t *)context;
}

static void register_one(struct port_pool *pool, struct bytes name, uint16_t port) {
    const struct port_applicant applicant = {.name = name, .port = port, .loopback = true};
    if (port_pool_admits(pool, &applicant) == PORT_OK)
        port_pool_registered(pool, &applicant);
}

/* It still leases, takes registrations, and lets all leases end within their minute. */
static void check_use(struct port_pool *pool, int64_t now_ms) {
    struct port_lease found;
    uint16_t port = 0;
    size_t ended = 0, waiting;
    const struct bytes name = bytes_of_text("new1");
    enum port_verdict verdict = port_pool_lease(pool, name, USER_ROOT, now_ms, &probe, &port);
    must(verdict == PORT_OK || verdict == PORT_POOL_FULL || verdict == PORT_DERIVED_TAKEN);
    must((verdict == PORT_OK) == port_pool_find(pool, name, &found));
    check_holders(pool);
    if (verdict == PORT_OK)
        register_one(pool, name, port);
    register_one(pool, bytes_of_text("new1_prelaunch_7"), port);
    register_one(pool, bytes_of_text("other"), 6370);
    port_pool_front_opened(pool, 6370);
    port_pool_front_opened(pool, 6371);
    check_holders(pool);
    port_pool_front_closed(pool, 6370);
    port_pool_unregistered(pool, name);
    port_pool_unregistered(pool, bytes_of_text("new1_prelaunch_7"));
    port_pool_unregistered(pool, bytes_of_text("other"));
    waiting = port_pool_count(pool);
    port_pool_on_ended(pool, count, &ended);
    must(port_pool_expire(pool, now_ms + PORT_LEASE_MS) == INT64_MAX);
    port_pool_on_ended(pool, NULL, NULL);
    must(ended == waiting && port_pool_count(pool) == 0);
}

static void check_state(struct bytes text, uint8_t choices) {
    struct port_pool *pool = start(choices), *again = start(choices);
    if (port_pool_restore(pool, text, NOW)) {
        struct bytes saved = encode(pool, NOW);
        must(port_pool_restore(again, saved, NOW + 5));
        struct bytes second = encode(again, NOW + 5);
        must(port_pool_count(again) == port_pool_count(pool));
        must(bytes_equal(saved, second));
        release(second);
        release(saved);
        check_use(again, NOW + 5);
    }
    check_holders(pool);
    check_use(pool, NOW);
    port_pool_free(again);
    port_pool_free(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    const struct bytes body = bytes_of(data + 2, size - 2);
    uint8_t *text = fuzz_copy(body.data, body.len, SUM_SIZE);
    int sum_len = 0;
    if (data[0] % 2 == 1)
        sum_len =
            snprintf((char *)text + body.len, SUM_SIZE, "sum %016" PRIx64 "\n", checksum_of(body));
    uint8_t *exact = fuzz_copy(text, body.len + (size_t)sum_len, 0);
    check_state(bytes_of(exact, body.len + (size_t)sum_len), data[1]);
    free(exact);
    free(text);
    return 0;
}
