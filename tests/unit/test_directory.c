/* The directory: one writer a name, changes in their order, snapshots over gaps, lives that end. */
#include "names/directory.h"
#include "suites.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct directory *directory;
static struct directory_owner *owner;
static int came, went;
static bool last_came;

static void watch(void *context, const struct directory_entry *entry, bool registered) {
    ck_assert_ptr_eq(context, &came);
    ck_assert_uint_gt(entry->node.name.len, 0);
    came += registered;
    went += !registered;
    last_came = registered;
}

static void setup(void) {
    came = went = 0;
    directory = directory_new(watch, &came);
    owner = directory_owner_add(directory, bytes_of_text("emqx@s1.emqx.io"), NULL);
    directory_begin_generation(owner, 10);
}

static void teardown(void) {
    const char *broken = directory_check(directory);
    ck_assert_msg(broken == NULL, "%s", broken);
    directory_free(directory);
}

static struct directory_name node(const char *name, uint16_t port) {
    return (struct directory_name){.name = bytes_of_text(name), .port = port, .type = 77};
}

static enum directory_verdict change(uint64_t generation, uint64_t sequence, const char *name) {
    struct directory_name it = node(name, (uint16_t)(6000 + sequence));
    return directory_register(owner, (struct directory_version){generation, sequence}, &it);
}

static enum directory_verdict end(uint64_t generation, uint64_t sequence, const char *name) {
    return directory_unregister(owner, (struct directory_version){generation, sequence},
                                bytes_of_text(name));
}

static const struct directory_entry *find(const char *full) {
    return directory_find(directory, bytes_of_text(full));
}

START_TEST(a_name_is_found_by_its_full_name) {
    ck_assert_int_eq(change(10, 1, "rabbit"), DIRECTORY_APPLIED);
    const struct directory_entry *entry = find("rabbit@s1.emqx.io");
    ck_assert_ptr_nonnull(entry);
    ck_assert_uint_eq(entry->node.port, 6001);
    ck_assert_ptr_eq(entry->owner, owner);
    ck_assert_ptr_null(find("rabbit@s2.emqx.io"));
    ck_assert_ptr_null(find("rabbit"));
    ck_assert_int_eq(end(10, 2, "rabbit"), DIRECTORY_APPLIED);
    ck_assert_ptr_null(find("rabbit@s1.emqx.io"));
    ck_assert_int_eq(came, 1);
    ck_assert_int_eq(went, 1);
}
END_TEST

START_TEST(changes_apply_in_their_order_only) {
    ck_assert_int_eq(change(10, 1, "a"), DIRECTORY_APPLIED);
    ck_assert_int_eq(change(10, 1, "b"), DIRECTORY_OLD);
    ck_assert_int_eq(change(10, 3, "c"), DIRECTORY_GAP);
    ck_assert_int_eq(change(9, 7, "d"), DIRECTORY_OLD);
    ck_assert_int_eq(change(10, 2, "b"), DIRECTORY_APPLIED);
    ck_assert_uint_eq(directory_owner_count(owner), 2);
    ck_assert_uint_eq(directory_owner_version(owner).sequence, 2);
}
END_TEST

START_TEST(a_new_life_starts_without_names) {
    change(10, 1, "a");
    directory_begin_generation(owner, 10);
    ck_assert_uint_eq(directory_owner_count(owner), 1);
    directory_begin_generation(owner, 11);
    ck_assert_uint_eq(directory_owner_count(owner), 0);
    ck_assert_int_eq(change(10, 2, "b"), DIRECTORY_OLD);
    ck_assert_int_eq(change(11, 1, "c"), DIRECTORY_APPLIED);
    ck_assert_int_eq(change(12, 1, "d"),
                     DIRECTORY_APPLIED); /* the first of a generation begins it */
    ck_assert_ptr_null(find("c@s1.emqx.io"));
}
END_TEST

START_TEST(a_name_that_is_registered_again_is_replaced) {
    change(10, 1, "a");
    change(10, 2, "b");
    change(10, 3, "a");
    ck_assert(last_came); /* so whoever watches knows that it is there */
    ck_assert_int_eq(came - went, 2);
    ck_assert_uint_eq(directory_owner_count(owner), 2);
    ck_assert_uint_eq(directory_entry_first(owner)->sequence, 2);
    ck_assert_uint_eq(find("a@s1.emqx.io")->node.port, 6003);
    ck_assert_ptr_null(directory_find_next(find("a@s1.emqx.io")));
}
END_TEST

START_TEST(a_front_port_is_kept_and_changes_with_a_registration) {
    struct directory_name it = node("a", 6001);
    it.front_port = 4371;
    directory_register(owner, (struct directory_version){10, 1}, &it);
    ck_assert_uint_eq(find("a@s1.emqx.io")->node.port, 6001);
    ck_assert_uint_eq(find("a@s1.emqx.io")->node.front_port, 4371);
    it.front_port = 0;
    directory_register(owner, (struct directory_version){10, 2}, &it);
    ck_assert_uint_eq(find("a@s1.emqx.io")->node.front_port, 0);
    it.front_port = 4372;
    struct directory_snapshot *snapshot =
        directory_snapshot_begin((struct directory_version){10, 3});
    ck_assert_int_eq(directory_snapshot_add(snapshot, 3, &it), DIRECTORY_APPLIED);
    ck_assert_int_eq(directory_snapshot_commit(snapshot, owner), DIRECTORY_APPLIED);
    ck_assert_uint_eq(find("a@s1.emqx.io")->node.front_port, 4372);
}
END_TEST

START_TEST(two_daemons_of_a_host_may_have_one_name) {
    struct directory_owner *other =
        directory_owner_add(directory, bytes_of_text("emqx1@s1.emqx.io"), NULL);
    struct directory_name it = node("a", 7);
    change(10, 1, "a");
    ck_assert_int_eq(directory_register(other, (struct directory_version){1, 1}, &it),
                     DIRECTORY_APPLIED);
    const struct directory_entry *first = find("a@s1.emqx.io");
    const struct directory_entry *second = directory_find_next(first);
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_ne(first->owner, second->owner);
    ck_assert_ptr_null(directory_find_next(second));
    ck_assert_ptr_eq(directory_find_own(owner, bytes_of_text("a"))->owner, owner);
    ck_assert_ptr_eq(directory_find_own(other, bytes_of_text("a"))->owner, other);
    directory_owner_remove(other);
    ck_assert_ptr_null(directory_find_next(find("a@s1.emqx.io")));
}
END_TEST

START_TEST(a_snapshot_tells_only_the_differences) {
    change(10, 1, "stays");
    change(10, 2, "goes");
    came = went = 0;
    struct directory_snapshot *snapshot =
        directory_snapshot_begin((struct directory_version){10, 5});
    struct directory_name stays = node("stays", 6001), comes = node("comes", 9);
    ck_assert_int_eq(directory_snapshot_add(snapshot, 1, &stays), DIRECTORY_APPLIED);
    ck_assert_int_eq(directory_snapshot_add(snapshot, 4, &comes), DIRECTORY_APPLIED);
    ck_assert_int_eq(directory_snapshot_commit(snapshot, owner), DIRECTORY_APPLIED);
    ck_assert_int_eq(came, 1);
    ck_assert_int_eq(went, 1);
    ck_assert_uint_eq(directory_owner_version(owner).sequence, 5);
    ck_assert_int_eq(change(10, 6, "next"), DIRECTORY_APPLIED);
}
END_TEST

START_TEST(a_name_that_moved_within_a_snapshot_is_not_lost) {
    change(10, 1, "a");
    change(10, 2, "b");
    struct directory_snapshot *snapshot =
        directory_snapshot_begin((struct directory_version){10, 4});
    struct directory_name b = node("b", 1), a = node("a", 2);
    directory_snapshot_add(snapshot, 2, &b);
    directory_snapshot_add(snapshot, 4, &a);
    ck_assert_int_eq(directory_snapshot_commit(snapshot, owner), DIRECTORY_APPLIED);
    ck_assert_uint_eq(directory_owner_count(owner), 2);
    ck_assert_uint_eq(find("a@s1.emqx.io")->node.port, 2);
}
END_TEST

START_TEST(an_old_snapshot_changes_nothing) {
    change(10, 1, "a");
    struct directory_snapshot *snapshot =
        directory_snapshot_begin((struct directory_version){10, 1});
    ck_assert_int_eq(directory_snapshot_commit(snapshot, owner), DIRECTORY_OLD);
    ck_assert_uint_eq(directory_owner_count(owner), 1);
}
END_TEST

START_TEST(a_snapshot_out_of_order_is_refused) {
    struct directory_snapshot *snapshot =
        directory_snapshot_begin((struct directory_version){10, 5});
    struct directory_name a = node("a", 1), none = node("b", 0);
    ck_assert_int_eq(directory_snapshot_add(snapshot, 3, &a), DIRECTORY_APPLIED);
    ck_assert_int_eq(directory_snapshot_add(snapshot, 3, &a), DIRECTORY_INVALID);
    ck_assert_int_eq(directory_snapshot_add(snapshot, 6, &a), DIRECTORY_INVALID);
    ck_assert_int_eq(directory_snapshot_add(snapshot, 4, &none), DIRECTORY_INVALID);
    directory_snapshot_abort(snapshot);
}
END_TEST

START_TEST(what_is_no_node_is_not_registered) {
    const struct directory_name wrong[] = {node("a", 0), node("", 1), node("\xff", 1)};
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(directory_register(owner, (struct directory_version){10, 1}, &wrong[i]),
                         DIRECTORY_INVALID);
    ck_assert_uint_eq(directory_owner_count(owner), 0);
    ck_assert_int_eq(change(10, 1, "a"), DIRECTORY_APPLIED); /* the number was not used */
}
END_TEST

/* A name that stands at the place that the snapshot has come to, under another number. */
START_TEST(a_name_that_a_snapshot_gives_a_lower_number_is_not_lost) {
    change(10, 3, "skipped"); /* a gap */
    change(10, 1, "a");
    change(10, 2, "b");
    struct directory_snapshot *snapshot =
        directory_snapshot_begin((struct directory_version){11, 9});
    struct directory_name b = node("b", 7), a = node("a", 8), c = node("c", 9);
    directory_snapshot_add(snapshot, 1, &b);
    directory_snapshot_add(snapshot, 2, &a);
    directory_snapshot_add(snapshot, 3, &c);
    ck_assert_int_eq(directory_snapshot_commit(snapshot, owner), DIRECTORY_APPLIED);
    ck_assert_uint_eq(directory_owner_count(owner), 3);
    ck_assert_uint_eq(find("b@s1.emqx.io")->node.port, 7);
    ck_assert_uint_eq(find("a@s1.emqx.io")->node.port, 8);

    directory_renumber(owner, 12); /* a 1, b 2, c 3 by what is there */
    snapshot = directory_snapshot_begin((struct directory_version){12, 9});
    struct directory_name moved = node("a", 4), last = node("c", 5);
    directory_snapshot_add(snapshot, 1, &last);
    directory_snapshot_add(snapshot, 3, &moved);
    ck_assert_int_eq(directory_snapshot_commit(snapshot, owner), DIRECTORY_APPLIED);
    ck_assert_uint_eq(directory_owner_count(owner), 2);
    ck_assert_uint_eq(find("a@s1.emqx.io")->node.port, 4);
    ck_assert_uint_eq(find("c@s1.emqx.io")->node.port, 5);
    ck_assert_ptr_null(find("b@s1.emqx.io"));
}
END_TEST

START_TEST(a_snapshot_has_no_more_names_than_an_owner) {
    char name[32];
    struct directory_snapshot *snapshot =
        directory_snapshot_begin((struct directory_version){10, UINT64_C(1) << 40});
    struct directory_name more = node("more", 1);
    for (uint64_t i = 1; i <= DIRECTORY_OWNER_NAMES_MAX; i++) {
        snprintf(name, sizeof name, "n%d", (int)i);
        struct directory_name it = node(name, 1);
        ck_assert_int_eq(directory_snapshot_add(snapshot, i, &it), DIRECTORY_APPLIED);
    }
    ck_assert_int_eq(directory_snapshot_add(snapshot, DIRECTORY_OWNER_NAMES_MAX + 1, &more),
                     DIRECTORY_FULL);
    directory_snapshot_abort(snapshot);
}
END_TEST

START_TEST(a_snapshot_has_no_more_bytes_than_an_owner) {
    static char name[256];
    struct directory_snapshot *snapshot =
        directory_snapshot_begin((struct directory_version){10, UINT64_C(1) << 40});
    memset(name, 'n', 255);
    struct directory_name it = node(name, 1);
    size_t bytes = 0;
    uint64_t sequence = 1;
    for (; bytes + 255 <= DIRECTORY_OWNER_BYTES_MAX; bytes += 255)
        ck_assert_int_eq(directory_snapshot_add(snapshot, sequence++, &it), DIRECTORY_APPLIED);
    ck_assert_int_eq(directory_snapshot_add(snapshot, sequence, &it), DIRECTORY_FULL);
    it.name.len = DIRECTORY_OWNER_BYTES_MAX - bytes + 1;
    ck_assert_int_eq(directory_snapshot_add(snapshot, sequence, &it), DIRECTORY_FULL);
    it.name.len--;
    ck_assert_int_eq(directory_snapshot_add(snapshot, sequence, &it), DIRECTORY_APPLIED);
    directory_snapshot_abort(snapshot);
}
END_TEST

START_TEST(renumbering_keeps_the_names) {
    change(10, 1, "a");
    change(10, 2, "b");
    end(10, 3, "a");
    came = went = 0;
    directory_renumber(owner, 20);
    ck_assert_uint_eq(directory_owner_version(owner).generation, 20);
    ck_assert_uint_eq(directory_owner_version(owner).sequence, 1);
    ck_assert_uint_eq(directory_entry_first(owner)->sequence, 1);
    ck_assert_int_eq(came + went, 0);
}
END_TEST

START_TEST(an_owner_has_no_more_names_than_it_may) {
    char name[32];
    for (uint64_t i = 1; i <= DIRECTORY_OWNER_NAMES_MAX; i++) {
        snprintf(name, sizeof name, "n%d", (int)i);
        struct directory_name it = node(name, 1);
        ck_assert_int_eq(directory_register(owner, (struct directory_version){10, i}, &it),
                         DIRECTORY_APPLIED);
    }
    ck_assert_int_eq(change(10, DIRECTORY_OWNER_NAMES_MAX + 1, "more"), DIRECTORY_FULL);
    ck_assert_uint_eq(directory_owner_version(owner).sequence, DIRECTORY_OWNER_NAMES_MAX);
}
END_TEST

Suite *directory_suite(void) {
    Suite *suite = suite_create("directory");
    TCase *tests = tcase_create("directory");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_name_is_found_by_its_full_name);
    tcase_add_test(tests, changes_apply_in_their_order_only);
    tcase_add_test(tests, a_new_life_starts_without_names);
    tcase_add_test(tests, a_name_that_is_registered_again_is_replaced);
    tcase_add_test(tests, a_front_port_is_kept_and_changes_with_a_registration);
    tcase_add_test(tests, two_daemons_of_a_host_may_have_one_name);
    tcase_add_test(tests, a_snapshot_tells_only_the_differences);
    tcase_add_test(tests, a_name_that_moved_within_a_snapshot_is_not_lost);
    tcase_add_test(tests, an_old_snapshot_changes_nothing);
    tcase_add_test(tests, a_snapshot_out_of_order_is_refused);
    tcase_add_test(tests, what_is_no_node_is_not_registered);
    tcase_add_test(tests, a_name_that_a_snapshot_gives_a_lower_number_is_not_lost);
    tcase_add_test(tests, a_snapshot_has_no_more_names_than_an_owner);
    tcase_add_test(tests, a_snapshot_has_no_more_bytes_than_an_owner);
    tcase_add_test(tests, renumbering_keeps_the_names);
    tcase_add_test(tests, an_owner_has_no_more_names_than_it_may);
    suite_add_tcase(suite, tests);
    return suite;
}
