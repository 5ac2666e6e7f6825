#include "host/local_users.h"

#include "failing_allocation.h"
#include "net/host_limit.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <unistd.h>

#define MOST 4
#define SOMEBODY 61234
#define ANOTHER 61235

static struct user_share *share;

static void begin(void) {
    share = user_share_new(MOST, NULL);
    ck_assert_ptr_nonnull(share);
}

static void end(void) {
    user_share_free(share);
}

START_TEST(a_user_may_take_its_share_and_no_more) {
    ck_assert(user_share_take(share, SOMEBODY, 3));
    ck_assert(!user_share_take(share, SOMEBODY, 2));
    ck_assert(user_share_take(share, SOMEBODY, 1));
    ck_assert(!user_share_take(share, SOMEBODY, 1));
    ck_assert_uint_eq(user_share_refused(share), 2);

    user_share_give_back(share, SOMEBODY, 2);
    ck_assert(user_share_take(share, SOMEBODY, 2));
}
END_TEST

START_TEST(a_greedy_user_takes_nothing_from_others) {
    ck_assert(user_share_take(share, SOMEBODY, MOST));

    ck_assert(user_share_take(share, ANOTHER, MOST));
    ck_assert(user_share_take(share, USER_NOBODY, MOST));
    ck_assert(!user_share_take(share, USER_NOBODY, 1));
}
END_TEST

START_TEST(root_and_the_own_user_are_free) {
    ck_assert(user_share_take(share, USER_ROOT, 100 * MOST));
    ck_assert(user_share_take(share, geteuid(), 100 * MOST));
    user_share_give_back(share, USER_ROOT, 100 * MOST);
    user_share_give_back(share, geteuid(), 100 * MOST);
    ck_assert_uint_eq(user_share_refused(share), 0);
}
END_TEST

START_TEST(a_smaller_share_leaves_what_is_taken) {
    ck_assert(user_share_take(share, SOMEBODY, MOST));
    user_share_configure(share, 1);

    ck_assert(!user_share_take(share, SOMEBODY, 1));
    user_share_give_back(share, SOMEBODY, MOST);
    ck_assert(user_share_take(share, SOMEBODY, 1));
    user_share_configure(share, 0);
    ck_assert(user_share_take(share, SOMEBODY, 1000000));
}
END_TEST

START_TEST(more_than_there_are_numbers_is_refused) {
    ck_assert(user_share_take(share, SOMEBODY, 1));
    ck_assert(!user_share_take(share, SOMEBODY, UINT32_MAX));
    ck_assert(user_share_take(share, SOMEBODY, MOST - 1));
}
END_TEST

START_TEST(a_share_is_a_part_of_the_whole) {
    ck_assert_uint_eq(user_share_of(1000, 25), 250);
    ck_assert_uint_eq(user_share_of(3, 25), 1);
    ck_assert_uint_eq(user_share_of(1000, 100), 0);
    ck_assert_uint_eq(user_share_of(SIZE_MAX, 50), SIZE_MAX / 100 * 50 + 7);
    ck_assert_uint_eq(user_share_of(1u << 30, 99), 1063004405);
}
END_TEST

START_TEST(a_user_is_no_host) {
    struct host_limit *limit = host_limit_new(1);
    struct address host;
    ck_assert(address_parse("10.0.0.0", 1, &host));
    ck_assert(host_limit_enter(limit, &host));

    ck_assert(host_limit_take(limit, limit_key_of_user(10), 1));
    ck_assert_uint_eq(host_limit_taken(limit, limit_key_of_user(10)), 1);
    ck_assert_uint_eq(host_limit_taken(limit, limit_key_of_user(11)), 0);
    host_limit_free(limit);
}
END_TEST

START_TEST(a_caller_of_this_host_has_a_user) {
    int ends[2];
    struct sock_diag *diag = sock_diag_new();
    const struct local_users users = {.diag = diag};
    sockets_tcp_pair(ends);
    struct address peer = sockets_own_address(ends[0]);

    ck_assert_uint_eq(local_users_caller(&users, ends[1], &peer), geteuid());
    ck_assert_uint_eq(local_users_caller(NULL, ends[1], &peer), USER_NOBODY);
    close(ends[0]);
    ck_assert_uint_eq(local_users_caller(&users, ends[1], &peer), USER_NOBODY);

    close(ends[1]);
    sock_diag_free(diag);
}
END_TEST

START_TEST(without_memory_nothing_is_counted) {
    for (unsigned n = 1; n <= 2; n++) {
        fail_nth_allocation(n);
        struct user_share *none = user_share_new(MOST, NULL);
        ck_assert(allocation_failed());
        ck_assert_ptr_null(none);
    }
    fail_nth_allocation(1);
    ck_assert(!user_share_take(share, SOMEBODY, 1));
    ck_assert(allocation_failed());
    ck_assert(user_share_take(share, SOMEBODY, MOST));
    user_share_free(NULL);
}
END_TEST

Suite *local_users_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("local_users", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_user_may_take_its_share_and_no_more);
    tcase_add_test(tests, a_greedy_user_takes_nothing_from_others);
    tcase_add_test(tests, root_and_the_own_user_are_free);
    tcase_add_test(tests, a_smaller_share_leaves_what_is_taken);
    tcase_add_test(tests, more_than_there_are_numbers_is_refused);
    tcase_add_test(tests, a_share_is_a_part_of_the_whole);
    tcase_add_test(tests, a_user_is_no_host);
    tcase_add_test(tests, a_caller_of_this_host_has_a_user);
    tcase_add_test(tests, without_memory_nothing_is_counted);
    return suite;
}
