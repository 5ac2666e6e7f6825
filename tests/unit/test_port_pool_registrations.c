/* The port pool: nodes that register, on the port that they were promised or on another one. */
#include "failing_allocation.h"
#include "port_pool_fixture.h"
#include "suites.h"

#include <stdio.h>

/* --- what they do to leases --- */

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

START_TEST(of_nodes_that_claim_one_port_the_first_has_it_and_then_the_next) {
    registers("a", FIRST);
    registers("b", FIRST);
    registers("c", FIRST);
    ck_assert_str_eq(all(), "a 6369 held, b 6369 held behind a, c 6369 held behind a");
    ck_assert_uint_eq(port_pool_count(pool), 3);
    enforce(PORT_POLICY_RANGE);
    ck_assert_int_eq(admits("b", FIRST), PORT_LEASED_TO_OTHER);
    leaves("b");
    ck_assert_str_eq(all(), "a 6369 held, c 6369 held behind a");
    leaves("a");
    ck_assert_str_eq(all(), "c 6369 held");
    ck_assert_int_eq(admits("c", FIRST), PORT_OK);
    ck_assert_int_eq(admits("a", FIRST), PORT_LEASED_TO_OTHER);
}
END_TEST

START_TEST(a_port_is_free_when_the_last_of_its_nodes_has_left) {
    registers("a", FIRST);
    registers("b", FIRST);
    leaves("a");
    ck_assert_uint_eq(lease("x"), FIRST + 1);
    leaves("b");
    ck_assert_uint_eq(lease("y"), FIRST);
}
END_TEST

START_TEST(a_node_on_the_port_of_a_lease_has_it_when_the_lease_is_over) {
    int64_t next_ms;
    lease("a");
    registers("b", FIRST);
    ck_assert_str_eq(all(), "a 6369, b 6369 held behind a");
    ck_assert_str_eq(expired(NOW + PORT_LEASE_MS, &next_ms), "a 6369 expired by b");
    ck_assert_str_eq(all(), "b 6369 held");
    ck_assert_uint_eq(lease("c"), FIRST + 1);
    ck_assert_uint_eq(lease("b"), FIRST);
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

/* --- front ports --- */

START_TEST(a_front_port_is_promised_to_nobody_while_it_is_open) {
    port_pool_front_opened(pool, FIRST);
    ck_assert_uint_eq(lease("a"), FIRST + 1);
    ck_assert_str_eq(all(), "front 6369, a 6370");
    ck_assert_uint_eq(host->asked, 1); /* known without asking */
    port_pool_front_closed(pool, FIRST);
    ck_assert_uint_eq(lease("b"), FIRST);
    ck_assert_str_eq(all(), "b 6369, a 6370");
}
END_TEST

START_TEST(a_name_does_not_get_a_port_back_that_is_a_front_port_now) {
    lease("a");
    release("a");
    port_pool_front_opened(pool, FIRST);
    ck_assert_uint_eq(lease("a"), FIRST + 1);
}
END_TEST

START_TEST(the_port_of_the_rule_is_taken_by_a_front_port) {
    policy(PORT_POLICY_DERIVED);
    port_pool_front_opened(pool, options.base + 1);
    ck_assert_int_eq(refusal("a1"), PORT_DERIVED_TAKEN);
    ck_assert_uint_eq(lease("a2"), options.base + 2);
}
END_TEST

START_TEST(a_front_port_is_no_lease) {
    range(FIRST, FIRST);
    port_pool_front_opened(pool, FIRST);
    ck_assert_int_eq(refusal("a"), PORT_POOL_FULL);
    ck_assert_uint_eq(port_pool_count(pool), 0);
    ck_assert(!port_pool_has(pool, FIRST) && !port_pool_unsaved(pool));
    restart(NOW, NOW);
    ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(a_node_that_claims_a_front_port_stands_behind_it) {
    port_pool_front_opened(pool, FIRST);
    registers("liar", FIRST);
    ck_assert_str_eq(all(), "front 6369, liar 6369 held behind front");
    port_pool_front_closed(pool, FIRST);
    ck_assert_str_eq(all(), "liar 6369 held");
    port_pool_front_opened(pool, FIRST);
    leaves("liar");
    ck_assert_str_eq(all(), "front 6369");
    range(FIRST + 1, LAST);
    ck_assert_str_eq(all(), ""); /* no lease could be for it */
    port_pool_front_closed(pool, FIRST);
    port_pool_front_closed(pool, FIRST); /* twice is harmless */
    ck_assert_str_eq(all(), "");
}
END_TEST

/* --- which are admitted --- */

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

START_TEST(any_name_may_be_on_a_port_for_tools) {
    options.tools = 4;
    for (enum port_policy each = PORT_POLICY_RANGE; each <= PORT_POLICY_ANY; each++) {
        enforce(each);
        ck_assert_int_eq(admits("rabbitmqcli-1-rabbit", LAST - 3), PORT_OK);
        ck_assert_int_eq(admits("rabbitmqcli-1-rabbit", LAST), PORT_OK);
    }
    enforce(PORT_POLICY_DERIVED);
    ck_assert_int_eq(admits("rabbitmqcli-1-rabbit", LAST - 4), PORT_NOT_DERIVED);
    registers("rabbitmqcli-1-rabbit", LAST);
    ck_assert_int_eq(admits("rabbitmqcli-2-rabbit", LAST), PORT_LEASED_TO_OTHER);
}
END_TEST

/* --- users --- */

#define ALICE 1000
#define BOB 1001
#define SERVER_USER 999

START_TEST(a_lease_is_claimed_by_its_user_or_root) {
    lease_for(ALICE, "a");
    for (int enforced = 0; enforced < 2; enforced++) {
        options.enforce = enforced;
        policy(PORT_POLICY_RANGE);
        for (uint16_t port = FIRST; port < FIRST + 2; port++) {
            ck_assert_int_eq(admits_as(ALICE, "a", port), PORT_OK);
            ck_assert_int_eq(admits_as(USER_ROOT, "a", port), PORT_OK);
            ck_assert_int_eq(admits_as(BOB, "a", port), PORT_LEASED_TO_USER);
            ck_assert_int_eq(admits_as(SERVER_USER, "a", port), PORT_LEASED_TO_USER);
            ck_assert_int_eq(admits_as(USER_NOBODY, "a", port), PORT_LEASED_TO_UNKNOWN);
        }
    }
    registers_as(BOB, "b", FIRST + 1); /* whose name has no lease */
    ck_assert_uint_eq(find("b").user, BOB);
}
END_TEST

START_TEST(a_lease_of_roots_is_also_for_users_of_the_system) {
    lease_for(USER_ROOT, "a");
    ck_assert_int_eq(admits_as(SERVER_USER, "a", FIRST), PORT_OK);
    ck_assert_int_eq(admits_as(ALICE, "a", FIRST), PORT_LEASED_TO_USER);
    ck_assert_int_eq(admits_as(USER_NOBODY, "a", FIRST), PORT_LEASED_TO_UNKNOWN);
    port_pool_saved(pool);
    registers_as(SERVER_USER, "a", FIRST);
    ck_assert_uint_eq(find("a").user, SERVER_USER);
    ck_assert(port_pool_unsaved(pool));
    restart(NOW, NOW);
    ck_assert_int_eq(admits_as(SERVER_USER - 1, "a", FIRST), PORT_LEASED_TO_USER);
}
END_TEST

START_TEST(a_lease_that_root_claims_stays_its_users) {
    lease_for(ALICE, "a");
    registers_as(USER_ROOT, "a", FIRST);
    ck_assert_uint_eq(find("a").user, ALICE);
    lease_for(BOB, "a"); /* it is held */
    ck_assert_uint_eq(find("a").user, ALICE);
}
END_TEST

START_TEST(a_renewed_lease_may_be_another_users) {
    lease_for(ALICE, "a");
    lease_for(BOB, "a");
    ck_assert_int_eq(admits_as(ALICE, "a", FIRST), PORT_LEASED_TO_USER);
    ck_assert_int_eq(admits_as(BOB, "a", FIRST), PORT_OK);
}
END_TEST

START_TEST(a_lease_is_anybodys_where_users_do_not_count) {
    options.any_user = true;
    policy(PORT_POLICY_RANGE);
    lease_for(ALICE, "a");
    ck_assert_int_eq(admits_as(BOB, "a", FIRST), PORT_OK);
    ck_assert_int_eq(admits_as(USER_NOBODY, "a", FIRST), PORT_OK);
    registers_as(USER_NOBODY, "a", FIRST);
    ck_assert_uint_eq(find("a").user, ALICE);
}
END_TEST

START_TEST(a_helper_is_of_the_user_of_its_server) {
    enforce(PORT_POLICY_RANGE);
    lease_for(ALICE, "a");
    ck_assert_int_eq(admits_as(ALICE, "a_prelaunch_1", FIRST), PORT_OK);
    ck_assert_int_eq(admits_as(BOB, "a_prelaunch_1", FIRST), PORT_LEASED_TO_OTHER);
    ck_assert_int_eq(admits_as(USER_NOBODY, "epmd-starter-1", FIRST), PORT_LEASED_TO_OTHER);
    registers_as(ALICE, "a", FIRST);
    ck_assert_int_eq(admits_as(BOB, "epmd-starter-1", FIRST), PORT_LEASED_TO_OTHER);
}
END_TEST

/* --- helper nodes --- */

START_TEST(helpers_of_a_server_are_admitted_on_its_port_and_take_nothing) {
    static const char *const helpers[] = {"rabbit_prelaunch_24476", "epmd-starter-144876463"};
    enforce(PORT_POLICY_RANGE);
    lease("rabbit");
    for (size_t i = 0; i < sizeof helpers / sizeof helpers[0]; i++) {
        ck_assert_int_eq(admits(helpers[i], FIRST), PORT_OK);
        registers(helpers[i], FIRST);
        ck_assert_str_eq(all(), "rabbit 6369");
        leaves(helpers[i]);
    }
    ck_assert_str_eq(all(), "rabbit 6369");
    ck_assert_int_eq(admits("rabbit", FIRST), PORT_OK);
    registers("rabbit", FIRST);
    ck_assert_str_eq(all(), "rabbit 6369 held");
    ck_assert_str_eq(endings(), "");
}
END_TEST

START_TEST(a_helper_leaves_the_lease_alone_when_nothing_is_enforced_too) {
    int64_t next_ms;
    lease("rabbit");
    registers("rabbit_prelaunch_1", FIRST);
    ck_assert_str_eq(all(), "rabbit 6369");
    leaves("rabbit_prelaunch_1");
    ck_assert_str_eq(expired(NOW + PORT_LEASE_MS, &next_ms), "rabbit 6369 expired");
}
END_TEST

START_TEST(what_only_looks_like_a_helper_is_kept_off_the_port) {
    static const char *const others[] = {
        "rabbit_prelaunch_",   "rabbit_prelaunch_1x", "rabbit2_prelaunch_1", "rabbi_prelaunch_1",
        "prelaunch_1",         "xrabbit_prelaunch_1", "rabbit-prelaunch_1",  "epmd-starter-",
        "epmd-starter-1.5",    "xepmd-starter-1",     "epmd-starter",        "rabbit_prelaunch",
        "rabbit_prelaunch_-1", "Rabbit_prelaunch_1",  "epmd-starter-1 ",     "rabbitx",
    };
    enforce(PORT_POLICY_RANGE);
    lease("rabbit");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_msg(admits(others[i], FIRST) == PORT_LEASED_TO_OTHER, "%s", others[i]);
}
END_TEST

START_TEST(a_helper_is_one_only_by_loopback_and_on_that_port) {
    struct port_applicant applicant = applicant_of("rabbit_prelaunch_1", FIRST);
    enforce(PORT_POLICY_RANGE);
    lease("rabbit");
    lease("hare");
    applicant.loopback = false;
    ck_assert_int_eq(port_pool_admits(pool, &applicant), PORT_LEASED_TO_OTHER);
    ck_assert_int_eq(admits("rabbit_prelaunch_1", FIRST + 1), PORT_LEASED_TO_OTHER);
    ck_assert_int_eq(admits("rabbit_prelaunch_1", LAST + 1), PORT_NOT_IN_RANGE);
}
END_TEST

START_TEST(a_node_with_the_name_of_a_helper_can_have_a_lease_of_its_own) {
    lease("epmd-starter-1");
    registers("epmd-starter-1", FIRST);
    ck_assert_str_eq(all(), "epmd-starter-1 6369 held");
}
END_TEST

/* --- what is told of leases whose nodes did not come --- */

START_TEST(a_lease_that_its_node_passed_by_says_where_the_node_went) {
    lease("a");
    registers("a", 40000);
    ck_assert_str_eq(endings(), "a 6369 moved to 40000");
    ck_assert_str_eq(all(), "a 40000 held");
}
END_TEST

START_TEST(a_node_that_moved_within_the_range_keeps_its_lease_there) {
    lease("a");
    registers("tool", FIRST);
    port_pool_saved(pool);
    registers("a", FIRST + 1);
    ck_assert_str_eq(endings(), "a 6369 moved to 6370 by tool");
    ck_assert_str_eq(all(), "tool 6369 held, a 6370 held");
    ck_assert(port_pool_unsaved(pool));
    restart(NOW, NOW);
    ck_assert_str_eq(all(), "a 6370");
}
END_TEST

START_TEST(no_lease_follows_to_a_port_of_another_or_outside_or_of_tools) {
    options.tools = 1;
    policy(PORT_POLICY_ANY);
    lease("a"), lease("b"), lease("c"), lease("d");
    registers("b", FIRST);
    registers("c", 40000);
    registers("d", LAST);
    ck_assert_str_eq(all(), "a 6369, b 6369 held behind a, d 6378 held, c 40000 held");
    restart(NOW, NOW);
    ck_assert_str_eq(all(), "a 6369");
}
END_TEST

START_TEST(who_was_refused_is_told_of_when_the_lease_is_over) {
    int64_t next_ms;
    enforce(PORT_POLICY_RANGE);
    lease("a");
    lease("b");
    ck_assert_int_eq(admits("a", 40000), PORT_NOT_IN_RANGE);
    ck_assert_int_eq(admits("x", FIRST), PORT_LEASED_TO_OTHER);
    ck_assert_int_eq(admits("y", FIRST), PORT_LEASED_TO_OTHER); /* the first is told of */
    ck_assert_int_eq(admits("a", FIRST + 1), PORT_LEASED_TO_OTHER);
    ck_assert_str_eq(expired(NOW + PORT_LEASE_MS, &next_ms),
                     "a 6369 expired to 6370 by x, b 6370 expired by a");
}
END_TEST

START_TEST(what_came_right_in_the_end_is_not_told_of) {
    int64_t next_ms;
    enforce(PORT_POLICY_RANGE);
    lease("a");
    admits("a", 40000);
    admits("x", FIRST);
    registers("a", FIRST);
    leaves("a");
    lease("a");
    ck_assert_str_eq(expired(NOW + PORT_LEASE_MS, &next_ms), "a 6369 expired");
}
END_TEST

START_TEST(a_lease_under_an_old_policy_is_withdrawn_when_it_is_asked_for_again) {
    lease("a1");
    policy(PORT_POLICY_DERIVED);
    ck_assert_uint_eq(lease("a1"), options.base + 1);
    ck_assert_str_eq(endings(), "a1 6369 withdrawn");
    release("a1");
    ck_assert_str_eq(endings(), "a1 4371 released");
}
END_TEST

/* --- out of memory --- */

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

START_TEST(without_memory_nothing_is_told_of_others_and_the_lease_ends_all_the_same) {
    int64_t next_ms;
    enforce(PORT_POLICY_RANGE);
    lease("a");
    fail_nth_allocation(1);
    ck_assert_int_eq(admits("x", FIRST), PORT_LEASED_TO_OTHER);
    ck_assert(allocation_failed());
    ck_assert_str_eq(expired(NOW + PORT_LEASE_MS, &next_ms), "a 6369 expired");
}
END_TEST

START_TEST(without_memory_a_second_node_is_unknown_and_the_first_stays) {
    registers("a", FIRST);
    fail_nth_allocation(1);
    registers("b", FIRST);
    ck_assert(allocation_failed());
    ck_assert_str_eq(all(), "a 6369 held");
}
END_TEST

Suite *port_pool_registrations_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("port_pool_registrations", &tests);
    tcase_add_checked_fixture(tests, port_pool_fixture_begin, port_pool_fixture_end);
    tcase_add_test(tests, a_lease_becomes_the_registration_and_ends_with_it);
    tcase_add_test(tests, a_node_on_another_port_frees_the_one_it_was_promised);
    tcase_add_test(tests, a_port_that_a_node_has_unasked_is_not_promised_to_others);
    tcase_add_test(tests, a_lease_for_a_node_that_runs_is_the_port_it_has);
    tcase_add_test(tests, of_nodes_that_claim_one_port_the_first_has_it_and_then_the_next);
    tcase_add_test(tests, a_port_is_free_when_the_last_of_its_nodes_has_left);
    tcase_add_test(tests, a_node_on_the_port_of_a_lease_has_it_when_the_lease_is_over);
    tcase_add_test(tests, a_node_that_listens_nowhere_has_no_port);
    tcase_add_test(tests, who_leaves_without_having_registered_keeps_the_lease);
    tcase_add_test(tests, a_front_port_is_promised_to_nobody_while_it_is_open);
    tcase_add_test(tests, a_name_does_not_get_a_port_back_that_is_a_front_port_now);
    tcase_add_test(tests, the_port_of_the_rule_is_taken_by_a_front_port);
    tcase_add_test(tests, a_front_port_is_no_lease);
    tcase_add_test(tests, a_node_that_claims_a_front_port_stands_behind_it);
    tcase_add_test(tests, nothing_is_refused_unless_it_is_enforced);
    tcase_add_test(tests, the_range_can_be_enforced);
    tcase_add_test(tests, the_rule_can_be_enforced);
    tcase_add_test(tests, an_enforced_lease_keeps_others_off_its_port);
    tcase_add_test(tests, any_name_may_be_on_a_port_for_tools);
    tcase_add_test(tests, a_lease_is_claimed_by_its_user_or_root);
    tcase_add_test(tests, a_lease_of_roots_is_also_for_users_of_the_system);
    tcase_add_test(tests, a_lease_that_root_claims_stays_its_users);
    tcase_add_test(tests, a_renewed_lease_may_be_another_users);
    tcase_add_test(tests, a_lease_is_anybodys_where_users_do_not_count);
    tcase_add_test(tests, a_helper_is_of_the_user_of_its_server);
    tcase_add_test(tests, helpers_of_a_server_are_admitted_on_its_port_and_take_nothing);
    tcase_add_test(tests, a_helper_leaves_the_lease_alone_when_nothing_is_enforced_too);
    tcase_add_test(tests, what_only_looks_like_a_helper_is_kept_off_the_port);
    tcase_add_test(tests, a_helper_is_one_only_by_loopback_and_on_that_port);
    tcase_add_test(tests, a_node_with_the_name_of_a_helper_can_have_a_lease_of_its_own);
    tcase_add_test(tests, a_lease_that_its_node_passed_by_says_where_the_node_went);
    tcase_add_test(tests, a_node_that_moved_within_the_range_keeps_its_lease_there);
    tcase_add_test(tests, no_lease_follows_to_a_port_of_another_or_outside_or_of_tools);
    tcase_add_test(tests, who_was_refused_is_told_of_when_the_lease_is_over);
    tcase_add_test(tests, what_came_right_in_the_end_is_not_told_of);
    tcase_add_test(tests, a_lease_under_an_old_policy_is_withdrawn_when_it_is_asked_for_again);
    tcase_add_test(tests, every_verdict_has_its_own_words);
    tcase_add_test(tests, without_memory_a_registration_is_unknown_and_no_more);
    tcase_add_test(tests, without_memory_nothing_is_told_of_others_and_the_lease_ends_all_the_same);
    tcase_add_test(tests, without_memory_a_second_node_is_unknown_and_the_first_stays);
    return suite;
}
