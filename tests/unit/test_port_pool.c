#include "names/port_pool.h"

#include "assertions.h"
#include "base/checksum.h"
#include "failing_allocation.h"
#include "port_pool_model.h"
#include "some_pool.h"
#include "suites.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW INT64_C(1000000)
#define FIRST 6369
#define LAST 6378

static struct port_pool *pool;
static struct some_host *host;
static struct port_pool_options options;

static void begin(void) {
    options = (struct port_pool_options){
        .policy = PORT_POLICY_RANGE, .first = FIRST, .last = LAST, .base = 4370};
    pool = port_pool_new(&options);
    host = calloc(1, sizeof *host);
    ck_assert(pool != NULL && host != NULL);
}

static void end(void) {
    port_pool_free(pool);
    free(host);
}

static void policy(enum port_policy chosen) {
    options.policy = chosen;
    port_pool_configure(pool, &options);
}

static void enforce(enum port_policy chosen) {
    options.enforce = true;
    policy(chosen);
}

static void range(uint16_t first, uint16_t last) {
    options.first = first;
    options.last = last;
    port_pool_configure(pool, &options);
}

static enum port_verdict try_lease(const char *name, uint16_t *port) {
    const struct port_probe probe = some_host_probe(host);
    return port_pool_lease(pool, bytes_of_text(name), NOW, &probe, port);
}

static uint16_t lease_at(const char *name, int64_t now_ms) {
    const struct port_probe probe = some_host_probe(host);
    uint16_t port = 0;
    ck_assert_int_eq(port_pool_lease(pool, bytes_of_text(name), now_ms, &probe, &port), PORT_OK);
    return port;
}

static uint16_t lease(const char *name) {
    return lease_at(name, NOW);
}

static enum port_verdict refusal(const char *name) {
    uint16_t port = 0;
    return try_lease(name, &port);
}

static void registers(const char *name, uint16_t port) {
    port_pool_registered(pool, bytes_of_text(name), port);
}

static void leaves(const char *name) {
    port_pool_unregistered(pool, bytes_of_text(name));
}

static bool release(const char *name) {
    return port_pool_release(pool, bytes_of_text(name));
}

static enum port_verdict admits(const char *name, uint16_t port) {
    return port_pool_admits(pool, bytes_of_text(name), port);
}

static bool has(const char *name) {
    struct port_lease found;
    return port_pool_find(pool, bytes_of_text(name), &found);
}

static struct port_lease find(const char *name) {
    struct port_lease found;
    ck_assert_msg(port_pool_find(pool, bytes_of_text(name), &found), "%s has nothing", name);
    return found;
}

/* What was shown, as "a 6369, b 6370 held". */
static char shown[512];

static void show(void *context, const struct port_lease *lease) {
    size_t len = strlen(shown);
    (void)context;
    snprintf(shown + len, sizeof shown - len, "%s%.*s %u%s", len == 0 ? "" : ", ",
             (int)lease->name.len, (const char *)lease->name.data, lease->port,
             lease->held ? " held" : "");
}

static const char *all(void) {
    shown[0] = '\0';
    port_pool_each(pool, show, NULL);
    return shown;
}

static const char *expired(int64_t now_ms, int64_t *next_ms) {
    shown[0] = '\0';
    *next_ms = port_pool_expire(pool, now_ms, show, NULL);
    return shown;
}

/* The daemon ends and comes back at another time of its clock. */
static void restart(int64_t now_ms, int64_t again_ms) {
    struct bytes text = some_pool_text(pool, now_ms);
    port_pool_free(pool);
    pool = port_pool_new(&options);
    ck_assert_ptr_nonnull(pool);
    ck_assert(port_pool_restore(pool, text, again_ms));
}

/* --- leases --- */

START_TEST(names_get_the_lowest_ports_that_are_free) {
    ck_assert_uint_eq(lease("a"), FIRST);
    ck_assert_uint_eq(lease("b"), FIRST + 1);
    ck_assert_uint_eq(lease("c"), FIRST + 2);
    ck_assert_str_eq(all(), "a 6369, b 6370, c 6371");
    ck_assert_uint_eq(port_pool_count(pool), 3);
}
END_TEST

START_TEST(a_port_that_a_stranger_listens_on_is_passed_over) {
    host->listens[FIRST] = host->listens[FIRST + 2] = true;
    ck_assert_uint_eq(lease("a"), FIRST + 1);
    ck_assert_uint_eq(lease("b"), FIRST + 3);
}
END_TEST

START_TEST(asked_again_a_name_has_the_same_port_for_a_minute_from_then_on) {
    ck_assert_uint_eq(lease("a"), FIRST);
    ck_assert_int_eq(find("a").expires_ms, NOW + PORT_LEASE_MS);
    host->listens[FIRST] = true; /* its node, which has not registered yet */
    ck_assert_uint_eq(lease_at("a", NOW + 5000), FIRST);
    ck_assert_int_eq(find("a").expires_ms, NOW + 5000 + PORT_LEASE_MS);
    ck_assert_uint_eq(port_pool_count(pool), 1);
}
END_TEST

START_TEST(a_thousand_names_get_a_thousand_ports) {
    static bool given[UINT16_MAX + 1];
    range(6369, 7368);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        uint16_t port = lease(name);
        ck_assert(port >= 6369 && port <= 7368 && !given[port]);
        given[port] = true;
    }
    ck_assert_int_eq(refusal("one more"), PORT_POOL_FULL);
    ck_assert_uint_eq(host->asked, 1000); /* who is known to have a port costs no probe */
}
END_TEST

START_TEST(a_full_range_is_full_until_somebody_goes) {
    for (char name[] = "a"; name[0] <= 'j'; name[0]++)
        lease(name);
    uint16_t port = 1;
    ck_assert_int_eq(try_lease("k", &port), PORT_POOL_FULL);
    ck_assert_uint_eq(port_pool_count(pool), 10);
    ck_assert(!has("k"));

    ck_assert(release("e"));
    ck_assert_uint_eq(lease("k"), FIRST + 4);
}
END_TEST

START_TEST(a_range_at_the_very_end_has_an_end) {
    range(65534, 65535);
    ck_assert_uint_eq(lease("a"), 65534);
    ck_assert_uint_eq(lease("b"), 65535);
    ck_assert_int_eq(refusal("c"), PORT_POOL_FULL);
}
END_TEST

START_TEST(a_lease_is_given_back_once) {
    lease("a");
    ck_assert(release("a"));
    ck_assert(!release("a"));
    ck_assert(!release("nobody"));
    ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(what_a_node_holds_cannot_be_given_back) {
    registers("a", lease("a"));
    ck_assert(!release("a"));
    ck_assert_str_eq(all(), "a 6369 held");
}
END_TEST

/* --- time --- */

START_TEST(a_lease_ends_when_its_minute_is_over_and_no_sooner) {
    int64_t next_ms;
    lease_at("a", NOW);
    lease_at("b", NOW + 10);
    ck_assert_str_eq(expired(NOW + PORT_LEASE_MS - 1, &next_ms), "");
    ck_assert_int_eq(next_ms, NOW + PORT_LEASE_MS);
    ck_assert_str_eq(expired(next_ms, &next_ms), "a 6369");
    ck_assert_int_eq(next_ms, NOW + PORT_LEASE_MS + 10);
    ck_assert_str_eq(expired(NOW + 2 * PORT_LEASE_MS, &next_ms), "b 6370");
    ck_assert_int_eq(next_ms, INT64_MAX);
    ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(what_is_held_has_no_end) {
    int64_t next_ms;
    registers("a", lease("a"));
    ck_assert_str_eq(expired(INT64_MAX - 1, &next_ms), "");
    ck_assert_int_eq(next_ms, INT64_MAX);
    ck_assert(find("a").held);
}
END_TEST

/* --- registrations --- */

START_TEST(a_lease_becomes_the_registration_and_ends_with_it) {
    uint16_t port = lease("a");
    registers("a", port);
    ck_assert_str_eq(all(), "a 6369 held");
    leaves("a");
    ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(a_node_on_another_port_frees_the_one_it_was_promised) {
    lease("a");
    registers("a", 40000);
    ck_assert_str_eq(all(), "a 40000 held");
    ck_assert_uint_eq(lease("b"), FIRST);
}
END_TEST

START_TEST(a_port_that_a_node_has_unasked_is_not_promised_to_others) {
    registers("a", FIRST);
    ck_assert_uint_eq(lease("b"), FIRST + 1);
    leaves("a");
    ck_assert_uint_eq(lease("c"), FIRST);
}
END_TEST

START_TEST(a_lease_for_a_node_that_runs_is_the_port_it_has) {
    registers("a", 40000);
    ck_assert_uint_eq(lease("a"), 40000);
    ck_assert(find("a").held);
}
END_TEST

START_TEST(of_two_nodes_that_claim_one_port_the_first_has_it) {
    registers("a", 40000);
    registers("b", 40000);
    ck_assert_str_eq(all(), "a 40000 held");
    leaves("b");
    ck_assert_str_eq(all(), "a 40000 held");
    leaves("a");
    ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(a_node_that_listens_nowhere_has_no_port) {
    registers("a", 0);
    ck_assert_str_eq(all(), "");
    leaves("a");
    lease("b");
    registers("b", 0);
    leaves("b");
    ck_assert_str_eq(all(), "b 6369");
}
END_TEST

START_TEST(who_leaves_without_having_registered_keeps_the_lease) {
    lease("a");
    leaves("a");
    ck_assert_str_eq(all(), "a 6369");
}
END_TEST

/* --- sticky ports --- */

START_TEST(a_name_that_comes_again_gets_the_port_it_had) {
    lease("a");
    registers("b", lease("b"));
    leaves("b");
    ck_assert(release("a"));
    ck_assert_uint_eq(lease("b"), FIRST + 1);
    ck_assert_uint_eq(lease("a"), FIRST);
}
END_TEST

START_TEST(the_port_it_had_may_have_gone_to_another) {
    lease("a");
    release("a");
    lease("b");
    ck_assert_uint_eq(find("b").port, FIRST);
    ck_assert_uint_eq(lease("a"), FIRST + 1);
    release("b");
    release("a");
    ck_assert_uint_eq(lease("a"), FIRST + 1); /* the last one counts */

    release("a");
    host->listens[FIRST + 1] = true;
    ck_assert_uint_eq(lease("a"), FIRST);
}
END_TEST

START_TEST(a_port_outside_of_a_new_range_is_not_given_again) {
    lease("a");
    release("a");
    range(7000, 7001);
    ck_assert_uint_eq(lease("a"), 7000);
}
END_TEST

/* Name number i has had port 10000 + i. */
static void had_a_port(int i) {
    char name[16];
    snprintf(name, sizeof name, "n%d", i);
    range((uint16_t)(10000 + i), (uint16_t)(10000 + i));
    lease(name);
    ck_assert(release(name));
}

START_TEST(the_ports_of_the_last_names_are_remembered_and_no_more) {
    for (int i = 0; i <= PORT_STICKY_MAX; i++)
        had_a_port(i);
    range(9999, 20000);
    ck_assert_uint_eq(lease("n1"), 10001);
    ck_assert_uint_eq(lease("n0"), 9999);
}
END_TEST

START_TEST(a_name_that_comes_again_is_remembered_from_then_on) {
    for (int i = 0; i < PORT_STICKY_MAX; i++)
        had_a_port(i);
    had_a_port(0);
    had_a_port(PORT_STICKY_MAX);
    range(9999, 20000);
    ck_assert_uint_eq(lease("n0"), 10000);
    ck_assert_uint_eq(lease("n1"), 9999);
}
END_TEST

/* --- policies --- */

START_TEST(the_derived_policy_gives_the_port_of_the_rule) {
    policy(PORT_POLICY_DERIVED);
    ck_assert_uint_eq(lease("emqx-1"), 4371);
    ck_assert_uint_eq(lease("emqx"), 4370);
}
END_TEST

START_TEST(the_derived_policy_has_no_second_choice) {
    policy(PORT_POLICY_DERIVED);
    lease("a1");
    ck_assert_int_eq(refusal("b1"), PORT_DERIVED_TAKEN);
    host->listens[4372] = true;
    ck_assert_int_eq(refusal("a2"), PORT_DERIVED_TAKEN);
    ck_assert_int_eq(refusal("remsh1"), PORT_DERIVED_NONE);
    options.base = 60000;
    policy(PORT_POLICY_DERIVED);
    ck_assert_int_eq(refusal("a5536"), PORT_DERIVED_NONE);
    ck_assert_uint_eq(lease("a5535"), 65535);
}
END_TEST

START_TEST(a_lease_of_policy_any_comes_from_the_range) {
    policy(PORT_POLICY_ANY);
    ck_assert_uint_eq(lease("a"), FIRST);
}
END_TEST

START_TEST(nothing_is_refused_unless_it_is_enforced) {
    lease("a");
    ck_assert_int_eq(admits("b", FIRST), PORT_OK);
    ck_assert_int_eq(admits("b", 40000), PORT_OK);
    policy(PORT_POLICY_DERIVED);
    ck_assert_int_eq(admits("b1", 40000), PORT_OK);
}
END_TEST

START_TEST(the_range_can_be_enforced) {
    enforce(PORT_POLICY_RANGE);
    ck_assert_int_eq(admits("a", FIRST - 1), PORT_NOT_IN_RANGE);
    ck_assert_int_eq(admits("a", FIRST), PORT_OK);
    ck_assert_int_eq(admits("a", LAST), PORT_OK);
    ck_assert_int_eq(admits("a", LAST + 1), PORT_NOT_IN_RANGE);
}
END_TEST

START_TEST(the_rule_can_be_enforced) {
    enforce(PORT_POLICY_DERIVED);
    ck_assert_int_eq(admits("a1", 4371), PORT_OK);
    ck_assert_int_eq(admits("a1", 4370), PORT_NOT_DERIVED);
    ck_assert_int_eq(admits("remsh", 4370), PORT_NOT_DERIVED);
    ck_assert_int_eq(admits("remsh", 0), PORT_OK);
}
END_TEST

START_TEST(an_enforced_lease_keeps_others_off_its_port) {
    for (enum port_policy each = PORT_POLICY_RANGE; each <= PORT_POLICY_ANY; each++) {
        enforce(PORT_POLICY_RANGE);
        lease("a");
        enforce(each);
        ck_assert_int_eq(admits("b", FIRST), PORT_LEASED_TO_OTHER);
    }
    ck_assert_int_eq(admits("a", FIRST), PORT_OK);
    ck_assert_int_eq(admits("b", 40000), PORT_OK); /* any port, but for those of others */
}
END_TEST

START_TEST(every_verdict_has_its_own_words) {
    for (int one = PORT_OK; one <= PORT_NO_MEMORY; one++) {
        for (int other = PORT_OK; other < one; other++)
            ck_assert_str_ne(port_verdict_reason((enum port_verdict)one),
                             port_verdict_reason((enum port_verdict)other));
    }
}
END_TEST

/* --- the saved state --- */

START_TEST(leases_and_memories_survive_a_restart) {
    lease_at("a", NOW);
    registers("b", lease("b"));
    lease("c");
    release("c");
    registers("d", 40000);
    restart(NOW + 20000, 777);

    ck_assert_str_eq(all(), "a 6369, b 6370"); /* nodes register again */
    ck_assert_int_eq(find("a").expires_ms, 777 + 40000);
    ck_assert_int_eq(find("b").expires_ms, 777 + PORT_LEASE_MS);
    ck_assert_uint_eq(lease("x"), FIRST + 2);
    release("x");
    ck_assert_uint_eq(lease("c"), FIRST + 2);
}
END_TEST

START_TEST(a_lease_whose_time_was_over_ends_after_the_restart) {
    int64_t next_ms;
    lease_at("a", NOW);
    restart(NOW + PORT_LEASE_MS + 5, 0);
    ck_assert_str_eq(expired(0, &next_ms), "a 6369");
}
END_TEST

START_TEST(a_pool_knows_what_it_has_to_save) {
    ck_assert(!port_pool_unsaved(pool));
    registers("a", 40000);
    leaves("a");
    ck_assert(!port_pool_unsaved(pool)); /* a registration is no promise */
    lease("a");
    ck_assert(port_pool_unsaved(pool));
    port_pool_saved(pool);
    ck_assert(!port_pool_unsaved(pool));
    release("a");
    ck_assert(port_pool_unsaved(pool));
}
END_TEST

START_TEST(a_saved_state_reads_as_documented) {
    lease_at("a", NOW);
    struct bytes text = some_pool_text(pool, NOW + 1000);
    const struct bytes lines =
        LITERAL("portolan ports 1\nlease 6369 59000 61\nlast 6369 0 61\nsum ");
    ck_assert_uint_gt(text.len, lines.len);
    assert_bytes(bytes_of(text.data, lines.len), lines);
}
END_TEST

static bool restores(const char *body) {
    char text[512];
    int len = snprintf(text, sizeof text, "%ssum %016" PRIx64 "\n", body,
                       checksum_of(bytes_of_text(body)));
    struct port_pool *fresh = port_pool_new(&options);
    bool restored = port_pool_restore(fresh, bytes_of(text, (size_t)len), NOW);
    port_pool_free(fresh);
    return restored;
}

START_TEST(a_text_of_another_form_is_refused_though_its_sum_is_right) {
    static const char *const wrong[] = {
        "",
        "portolan ports 2\n",
        "portolan creations 1\nnext 5\n",
        "portolan ports 1\nlease\n",
        "portolan ports 1\nlease 6369 0\n",
        "portolan ports 1\nlease 0 0 61\n",
        "portolan ports 1\nlease 65536 0 61\n",
        "portolan ports 1\nlease 6369 60001 61\n",
        "portolan ports 1\nlease 6369 -1 61\n",
        "portolan ports 1\nlease 6369 0 61 \n",
        "portolan ports 1\nlease 6369 0 61 62\n",
        "portolan ports 1\nlease  6369 0 61\n",
        "portolan ports 1\n lease 6369 0 61\n",
        "portolan ports 1\nlease 6369 0 6\n",
        "portolan ports 1\nlease 6369 0 6G\n",
        "portolan ports 1\nlease 6369 0 ff\n",
        "portolan ports 1\nlease 6369 0 00\n",
        "portolan ports 1\nheld 6369 0 61\n",
        "portolan ports 1\nlease 6369 0 61\nlease 6369 0 62\n",
        "portolan ports 1\nlease 6369 0 61\nlease 6370 0 61\n",
        "portolan ports 1\nlease 6369 0 61",
        "portolan ports 1\n\n",
    };
    ck_assert(restores("portolan ports 1\n"));
    ck_assert(restores("portolan ports 1\nlease 6369 60000 61\nlast 1 0 62\n"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!restores(wrong[i]), "accepted: %s", wrong[i]);
}
END_TEST

START_TEST(a_line_with_a_word_missing_is_refused) {
    static const char *const wrong[] = {
        "portolan ports 1\n 6369 0 61\n",
        "portolan ports 1\nlease  0 61\n",
        "portolan ports 1\nlease 6369  61\n",
        "portolan ports 1\nlease 6369 0 \n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!restores(wrong[i]), "accepted: %s", wrong[i]);
}
END_TEST

START_TEST(a_torn_state_is_refused) {
    lease("a");
    lease("b");
    struct bytes text = some_pool_text(pool, NOW);
    for (size_t len = 0; len < text.len; len++) {
        struct port_pool *fresh = port_pool_new(&options);
        ck_assert(!port_pool_restore(fresh, bytes_of(text.data, len), NOW));
        ck_assert_uint_eq(port_pool_count(fresh), 0);
        port_pool_free(fresh);
    }
}
END_TEST

START_TEST(a_full_state_fits_the_room_that_is_promised) {
    uint8_t name[4 + 4 * 251];
    const struct port_probe probe = some_host_probe(host);
    range(10000, 10000 + 1999);
    for (size_t at = 0; at < sizeof name; at += 4)
        memcpy(name + at, "\xf0\x9d\x84\x9e", 4);
    for (int i = 0; i < 2000; i++) {
        uint16_t port;
        char digits[8];
        snprintf(digits, sizeof digits, "%04d", i);
        memcpy(name, digits, 4);
        ck_assert_int_eq(port_pool_lease(pool, bytes_of(name, sizeof name), NOW, &probe, &port),
                         PORT_OK);
    }
    restart(NOW, NOW);
    ck_assert_uint_eq(port_pool_count(pool), 2000);
}
END_TEST

/* --- out of memory --- */

/* Leases with every allocation failing in turn, until none fails. */
static void lease_without_memory(const char *name) {
    const size_t count = port_pool_count(pool);
    const struct port_probe probe = some_host_probe(host);
    for (unsigned n = 1;; n++) {
        uint16_t port = 0;
        fail_nth_allocation(n);
        enum port_verdict verdict = port_pool_lease(pool, bytes_of_text(name), NOW, &probe, &port);
        bool failed = allocation_failed();
        if (verdict == PORT_OK) { /* the memory of it may have failed: a name may lose its port */
            ck_assert_uint_eq(find(name).port, port);
            ck_assert_uint_eq(port_pool_count(pool), count + 1);
            return;
        }
        ck_assert(failed);
        ck_assert_int_eq(verdict, PORT_NO_MEMORY);
        ck_assert(!has(name));
        ck_assert_uint_eq(port_pool_count(pool), count);
    }
}

START_TEST(without_memory_a_lease_is_refused_and_nothing_has_changed) {
    range(10000, 11999);
    for (int i = 0; i < 500; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        lease_without_memory(name);
        ck_assert_uint_eq(find(name).port, 10000u + (unsigned)i);
    }
}
END_TEST

START_TEST(without_memory_a_registration_is_unknown_and_no_more) {
    for (int i = 0; i < 500; i++) {
        char name[16];
        uint16_t port = (uint16_t)(10000 + i);
        snprintf(name, sizeof name, "n%d", i);
        for (unsigned n = 1;; n++) {
            fail_nth_allocation(n);
            registers(name, port);
            bool failed = allocation_failed();
            ck_assert_int_eq(has(name), !failed);
            if (!failed)
                break;
            leaves(name);
        }
        ck_assert_uint_eq(port_pool_count(pool), (size_t)i + 1);
    }
}
END_TEST

START_TEST(without_memory_a_restart_forgets_some_but_never_gives_a_port_twice) {
    for (char name[] = "a"; name[0] <= 'j'; name[0]++)
        lease(name);
    struct bytes text = some_pool_text(pool, NOW);
    for (unsigned n = 1;; n++) {
        struct port_pool *fresh = port_pool_new(&options);
        fail_nth_allocation(n);
        bool restored = port_pool_restore(fresh, text, NOW);
        bool failed = allocation_failed();
        ck_assert(restored);
        ck_assert_uint_ge(port_pool_count(fresh), failed ? 9 : 10);
        port_pool_free(fresh);
        if (!failed)
            break;
    }
}
END_TEST

START_TEST(without_memory_there_is_no_pool) {
    fail_nth_allocation(1);
    struct port_pool *none = port_pool_new(&options);
    ck_assert(allocation_failed());
    ck_assert_ptr_null(none);
    port_pool_free(NULL);
}
END_TEST

Suite *port_pool_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("port_pool", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, names_get_the_lowest_ports_that_are_free);
    tcase_add_test(tests, a_port_that_a_stranger_listens_on_is_passed_over);
    tcase_add_test(tests, asked_again_a_name_has_the_same_port_for_a_minute_from_then_on);
    tcase_add_test(tests, a_thousand_names_get_a_thousand_ports);
    tcase_add_test(tests, a_full_range_is_full_until_somebody_goes);
    tcase_add_test(tests, a_range_at_the_very_end_has_an_end);
    tcase_add_test(tests, a_lease_is_given_back_once);
    tcase_add_test(tests, what_a_node_holds_cannot_be_given_back);
    tcase_add_test(tests, a_lease_ends_when_its_minute_is_over_and_no_sooner);
    tcase_add_test(tests, what_is_held_has_no_end);
    tcase_add_test(tests, a_lease_becomes_the_registration_and_ends_with_it);
    tcase_add_test(tests, a_node_on_another_port_frees_the_one_it_was_promised);
    tcase_add_test(tests, a_port_that_a_node_has_unasked_is_not_promised_to_others);
    tcase_add_test(tests, a_lease_for_a_node_that_runs_is_the_port_it_has);
    tcase_add_test(tests, of_two_nodes_that_claim_one_port_the_first_has_it);
    tcase_add_test(tests, a_node_that_listens_nowhere_has_no_port);
    tcase_add_test(tests, who_leaves_without_having_registered_keeps_the_lease);
    tcase_add_test(tests, a_name_that_comes_again_gets_the_port_it_had);
    tcase_add_test(tests, the_port_it_had_may_have_gone_to_another);
    tcase_add_test(tests, a_port_outside_of_a_new_range_is_not_given_again);
    tcase_add_test(tests, the_ports_of_the_last_names_are_remembered_and_no_more);
    tcase_add_test(tests, a_name_that_comes_again_is_remembered_from_then_on);
    tcase_add_test(tests, the_derived_policy_gives_the_port_of_the_rule);
    tcase_add_test(tests, the_derived_policy_has_no_second_choice);
    tcase_add_test(tests, a_lease_of_policy_any_comes_from_the_range);
    tcase_add_test(tests, nothing_is_refused_unless_it_is_enforced);
    tcase_add_test(tests, the_range_can_be_enforced);
    tcase_add_test(tests, the_rule_can_be_enforced);
    tcase_add_test(tests, an_enforced_lease_keeps_others_off_its_port);
    tcase_add_test(tests, every_verdict_has_its_own_words);
    tcase_add_test(tests, leases_and_memories_survive_a_restart);
    tcase_add_test(tests, a_lease_whose_time_was_over_ends_after_the_restart);
    tcase_add_test(tests, a_pool_knows_what_it_has_to_save);
    tcase_add_test(tests, a_saved_state_reads_as_documented);
    tcase_add_test(tests, a_text_of_another_form_is_refused_though_its_sum_is_right);
    tcase_add_test(tests, a_line_with_a_word_missing_is_refused);
    tcase_add_test(tests, a_torn_state_is_refused);
    tcase_add_test(tests, a_full_state_fits_the_room_that_is_promised);
    tcase_add_test(tests, without_memory_a_lease_is_refused_and_nothing_has_changed);
    tcase_add_test(tests, without_memory_a_registration_is_unknown_and_no_more);
    tcase_add_test(tests, without_memory_a_restart_forgets_some_but_never_gives_a_port_twice);
    tcase_add_test(tests, without_memory_there_is_no_pool);
    port_pool_model_add(tests);
    return suite;
}
