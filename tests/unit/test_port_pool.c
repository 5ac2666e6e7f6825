/* The port pool: leases, and which port they are for. */
#include "failing_allocation.h"
#include "port_pool_fixture.h"
#include "port_pool_model.h"
#include "suites.h"

#include <stdio.h>

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
    ck_assert_str_eq(expired(next_ms, &next_ms), "a 6369 expired");
    ck_assert_int_eq(next_ms, NOW + PORT_LEASE_MS + 10);
    ck_assert_str_eq(expired(NOW + 2 * PORT_LEASE_MS, &next_ms), "b 6370 expired");
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
    ck_assert_uint_eq(lease("a"), FIRST + 1); /* the last value is used */

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

/* --- ports for tools --- */

START_TEST(the_end_of_the_range_can_be_kept_for_tools) {
    options.tools = 8;
    policy(PORT_POLICY_RANGE);
    ck_assert_uint_eq(lease("a"), FIRST);
    ck_assert_uint_eq(lease("b"), FIRST + 1);
    ck_assert_int_eq(refusal("c"), PORT_POOL_FULL);
    ck_assert_uint_eq(port_pool_last_from(pool, FIRST), LAST);
    ck_assert_uint_eq(port_pool_last_from(pool, FIRST - 1), 0);
    ck_assert_uint_eq(port_pool_last_from(pool, LAST + 1), 0);
}
END_TEST

START_TEST(a_lease_gives_way_to_tools_when_it_is_asked_for_again) {
    range(LAST, LAST);
    lease("a");
    options.tools = 1;
    range(FIRST, LAST);
    ck_assert_uint_eq(lease("a"), FIRST);
    release("a");
    ck_assert_uint_eq(lease("a"), FIRST); /* nor does it get the port back that it had */
}
END_TEST

START_TEST(the_rule_leases_no_port_for_tools) {
    options.tools = 2;
    options.base = LAST - 2;
    policy(PORT_POLICY_DERIVED);
    ck_assert_uint_eq(lease("a"), LAST - 2);
    ck_assert_int_eq(refusal("a1"), PORT_DERIVED_TOOLS);
    ck_assert_int_eq(refusal("a2"), PORT_DERIVED_TOOLS);
    ck_assert_uint_eq(lease("a3"), LAST + 1);
}
END_TEST

START_TEST(a_range_at_the_very_end_can_be_for_tools_too) {
    options.tools = 1;
    range(65534, 65535);
    ck_assert_uint_eq(lease("a"), 65534);
    ck_assert_int_eq(refusal("b"), PORT_POOL_FULL);
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
        enum port_verdict verdict =
            port_pool_lease(pool, bytes_of_text(name), USER_ROOT, NOW, &probe, &port);
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
    tcase_add_checked_fixture(tests, port_pool_fixture_begin, port_pool_fixture_end);
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
    tcase_add_test(tests, a_name_that_comes_again_gets_the_port_it_had);
    tcase_add_test(tests, the_port_it_had_may_have_gone_to_another);
    tcase_add_test(tests, a_port_outside_of_a_new_range_is_not_given_again);
    tcase_add_test(tests, the_ports_of_the_last_names_are_remembered_and_no_more);
    tcase_add_test(tests, a_name_that_comes_again_is_remembered_from_then_on);
    tcase_add_test(tests, the_derived_policy_gives_the_port_of_the_rule);
    tcase_add_test(tests, the_derived_policy_has_no_second_choice);
    tcase_add_test(tests, a_lease_of_policy_any_comes_from_the_range);
    tcase_add_test(tests, the_end_of_the_range_can_be_kept_for_tools);
    tcase_add_test(tests, a_lease_gives_way_to_tools_when_it_is_asked_for_again);
    tcase_add_test(tests, the_rule_leases_no_port_for_tools);
    tcase_add_test(tests, a_range_at_the_very_end_can_be_for_tools_too);
    tcase_add_test(tests, without_memory_a_lease_is_refused_and_nothing_has_changed);
    tcase_add_test(tests, without_memory_there_is_no_pool);
    port_pool_model_add(tests);
    return suite;
}
