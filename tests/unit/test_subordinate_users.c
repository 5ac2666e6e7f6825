#include "host/subordinate_users.h"

#include "failing_allocation.h"
#include "host/local_users.h"
#include "scratch.h"
#include "suites.h"

#include <string.h>

static struct scratch scratch;
static struct subordinate_users *users;

static void begin(void) {
    scratch_make(&scratch);
    users = NULL;
}

static void end(void) {
    subordinate_users_free(users);
    scratch_remove(&scratch);
}

static void read_text(const char *text) {
    scratch_write(&scratch, "subuid", bytes_of_text(text));
    subordinate_users_free(users);
    users = subordinate_users_read(scratch_path(&scratch, "subuid"));
    ck_assert_ptr_nonnull(users);
}

START_TEST(a_range_belongs_to_its_owner) {
    read_text("1001:165536:65536\n1000:100000:65536\n");

    ck_assert_uint_eq(subordinate_users_owner(users, 100000), 1000);
    ck_assert_uint_eq(subordinate_users_owner(users, 165535), 1000);
    ck_assert_uint_eq(subordinate_users_owner(users, 165536), 1001);
    ck_assert_uint_eq(subordinate_users_owner(users, 231071), 1001);
    ck_assert_uint_eq(subordinate_users_owner(users, 231072), 231072);
    ck_assert_uint_eq(subordinate_users_owner(users, 99999), 99999);
    ck_assert_uint_eq(subordinate_users_owner(users, 1000), 1000);
    ck_assert_uint_eq(subordinate_users_owner(users, USER_NOBODY), USER_NOBODY);
}
END_TEST

START_TEST(an_owner_may_have_a_name_and_several_ranges) {
    read_text("root:200000:10\nroot:300000:10\nno-such-user-here:400000:10\n");

    ck_assert_uint_eq(subordinate_users_count(users), 2);
    ck_assert_uint_eq(subordinate_users_owner(users, 200005), 0);
    ck_assert_uint_eq(subordinate_users_owner(users, 300009), 0);
    ck_assert_uint_eq(subordinate_users_owner(users, 400005), 400005);
}
END_TEST

START_TEST(lines_that_make_no_sense_are_left_out) {
    char text[2048];
    memset(text, 'x', sizeof text);
    strcpy(text + 1024, ":1:1\n1000:100000:5\n\n:::\n1000:1\n1000:0:5\n1000:5:0\n1000:-1:5\n"
                        "1000:4294967290:50\n1000:7:1:1\n1000:500000:1");
    read_text(text);

    ck_assert_uint_eq(subordinate_users_count(users), 2);
    ck_assert_uint_eq(subordinate_users_owner(users, 100004), 1000);
    ck_assert_uint_eq(subordinate_users_owner(users, 500000), 1000); /* without an end of line */
}
END_TEST

START_TEST(where_there_is_no_file_nobody_has_any) {
    users = subordinate_users_read(scratch_path(&scratch, "subuid"));

    ck_assert_ptr_nonnull(users);
    ck_assert_uint_eq(subordinate_users_owner(users, 100000), 100000);
    ck_assert_uint_eq(subordinate_users_owner(NULL, 100000), 100000);
}
END_TEST

START_TEST(subordinate_users_share_with_their_owner) {
    read_text("61000:100000:65536\nroot:200000:10\n");
    struct user_share *share = user_share_new(3, users);

    ck_assert(user_share_take(share, 100001, 1));
    ck_assert(user_share_take(share, 100002, 1));
    ck_assert(user_share_take(share, 61000, 1));
    ck_assert(!user_share_take(share, 100003, 1));
    ck_assert(!user_share_take(share, 61000, 1));
    ck_assert(user_share_take(share, 61001, 3));
    ck_assert(user_share_take(share, 200001, 3));
    ck_assert(!user_share_take(share, 200002, 1)); /* root is free, and these are not root */
    user_share_give_back(share, 100002, 1);
    ck_assert(user_share_take(share, 100003, 1));

    user_share_free(share);
}
END_TEST

START_TEST(without_memory_it_is_not_read) {
    read_text("1000:100000:5\n");
    fail_nth_allocation(1);
    ck_assert_ptr_null(subordinate_users_read(scratch_path(&scratch, "subuid")));
    ck_assert(allocation_failed());
    subordinate_users_free(NULL);
}
END_TEST

Suite *subordinate_users_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("subordinate_users", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_range_belongs_to_its_owner);
    tcase_add_test(tests, an_owner_may_have_a_name_and_several_ranges);
    tcase_add_test(tests, lines_that_make_no_sense_are_left_out);
    tcase_add_test(tests, where_there_is_no_file_nobody_has_any);
    tcase_add_test(tests, subordinate_users_share_with_their_owner);
    tcase_add_test(tests, without_memory_it_is_not_read);
    return suite;
}
