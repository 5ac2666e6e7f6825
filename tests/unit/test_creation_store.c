#include "store/creation_store.h"

#include "assertions.h"
#include "base/log.h"
#include "failing_allocation.h"
#include "saved_creations.h"
#include "scratch.h"
#include "suites.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW INT64_C(1772360430)
#define PORT 4369
#define FILE_NAME "creations-4369"
#define STATE_OF_2000000000 "portolan creations 1\nnext 2000000000\n"

static struct scratch scratch;
static char log_path[256];
static char *state_directory;

static void begin(void) {
    scratch_make(&scratch);
    strcpy(log_path, scratch_path(&scratch, "log"));
    log_open("unit", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TO_FILE, log_path);
    state_directory = scratch.directory;
}

static void end(void) {
    log_close();
    scratch_remove(&scratch);
}

static void assert_logged(const char *text) {
    char log[8192];
    size_t len = scratch_read(&scratch, "log", log, sizeof log - 1).len;
    log[len] = '\0';
    ck_assert_msg(strstr(log, text) != NULL, "'%s' is not in the log: %s", text, log);
}

static uint32_t next_wide(struct creations *creations) {
    return creations_next(creations, LITERAL("new"), 6);
}

static uint32_t next_old(struct creations *creations) {
    return creations_next(creations, LITERAL("old"), 5);
}

/* A daemon's creations with the store they are kept in. */
struct kept {
    struct creations *creations;
    struct creation_store *store;
};

static struct kept start(const char *directory) {
    struct kept kept = {.creations = creations_at(NOW)};
    kept.store = creation_store_open(directory, PORT, kept.creations);
    ck_assert_ptr_nonnull(kept.store);
    creation_store_sync(kept.store);
    return kept;
}

static void stop(struct kept *kept) {
    creation_store_free(kept->store);
    creations_free(kept->creations);
}

static void put_state(const char *body) {
    static struct saved_creations state;
    saved_creations_of(&state, body);
    scratch_write(&scratch, FILE_NAME, bytes_of(state.text, state.len));
}

START_TEST(a_creation_is_not_given_again_after_a_crash) {
    struct kept kept = start(state_directory);
    uint32_t wide = next_wide(kept.creations), old = next_old(kept.creations);
    creation_store_sync(kept.store);
    stop(&kept);

    kept = start(state_directory);
    ck_assert_uint_gt(next_wide(kept.creations), wide);
    ck_assert_uint_ne(next_old(kept.creations), old);
    stop(&kept);
}
END_TEST

START_TEST(the_directory_and_those_above_are_made) {
    char directory[256];
    strcpy(directory, scratch_path(&scratch, "some/where/deep"));

    struct kept kept = start(directory);
    ck_assert(scratch_has(&scratch, "some/where/deep/" FILE_NAME));
    stop(&kept);
}
END_TEST

START_TEST(nothing_is_written_when_nothing_changed) {
    struct kept kept = start(state_directory);
    ck_assert_int_eq(unlink(scratch_path(&scratch, FILE_NAME)), 0);

    creation_store_sync(kept.store);
    ck_assert(!scratch_has(&scratch, FILE_NAME));

    next_old(kept.creations);
    creation_store_sync(kept.store);
    ck_assert(scratch_has(&scratch, FILE_NAME));
    ck_assert(!scratch_has(&scratch, FILE_NAME ".new"));
    stop(&kept);
}
END_TEST

START_TEST(no_directory_means_nothing_is_kept_or_said) {
    struct kept kept = start(NULL);
    next_old(kept.creations);
    creation_store_sync(kept.store);
    stop(&kept);

    char log[16];
    ck_assert_uint_eq(scratch_read(&scratch, "log", log, sizeof log).len, 0);
    creation_store_free(NULL);
}
END_TEST

START_TEST(a_damaged_file_is_set_aside_and_the_daemon_goes_on) {
    static const char *const damages[] = {
        "", "hello\n", "portolan creations 1\nnext 2000000000\nsum 0000000000000000\n"};
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        scratch_write(&scratch, FILE_NAME, bytes_of_text(damages[i]));

        struct kept kept = start(state_directory);
        ck_assert_uint_eq(next_wide(kept.creations), NOW);
        stop(&kept);

        char aside[128];
        struct bytes kept_aside = scratch_read(&scratch, FILE_NAME ".damaged", aside, sizeof aside);
        assert_bytes(kept_aside, bytes_of_text(damages[i]));
        assert_logged("error state_damaged");
        assert_logged(FILE_NAME ".damaged");
    }
}
END_TEST

START_TEST(a_file_beyond_all_bounds_is_a_damaged_one) {
    ck_assert_int_eq(mkdir(scratch_path(&scratch, "state"), 0755), 0);
    scratch_write(&scratch, "state/" FILE_NAME, LITERAL("x"));
    ck_assert_int_eq(truncate(scratch_path(&scratch, "state/" FILE_NAME), 1 << 30), 0);
    char directory[256];
    strcpy(directory, scratch_path(&scratch, "state"));

    struct kept kept = start(directory);
    ck_assert(scratch_has(&scratch, "state/" FILE_NAME ".damaged"));
    stop(&kept);
}
END_TEST

START_TEST(a_torn_new_file_is_nobodys_state) {
    put_state(STATE_OF_2000000000);
    scratch_write(&scratch, FILE_NAME ".new", LITERAL("portolan creations 1\nnext 21"));

    struct kept kept = start(state_directory);
    ck_assert_uint_eq(next_wide(kept.creations), 2000000000);
    ck_assert(!scratch_has(&scratch, FILE_NAME ".new")); /* the first save replaced it */
    ck_assert(!scratch_has(&scratch, FILE_NAME ".damaged"));
    stop(&kept);
}
END_TEST

START_TEST(a_second_daemon_of_the_port_keeps_its_hands_off) {
    put_state(STATE_OF_2000000000);
    struct kept first = start(state_directory);
    char before[256], after[256];
    struct bytes held = scratch_read(&scratch, FILE_NAME, before, sizeof before);

    struct kept second = start(state_directory);
    ck_assert_uint_eq(next_wide(second.creations), NOW);
    next_old(second.creations);
    creation_store_sync(second.store);

    assert_bytes(scratch_read(&scratch, FILE_NAME, after, sizeof after), held);
    assert_logged("another daemon on this port uses it");
    stop(&second);
    stop(&first);
}
END_TEST

START_TEST(a_daemon_of_another_port_has_a_file_of_its_own) {
    struct kept first = start(state_directory);
    struct creations *creations = creations_at(NOW);
    struct creation_store *second = creation_store_open(state_directory, 5601, creations);
    creation_store_sync(second);

    ck_assert(scratch_has(&scratch, "creations-4369"));
    ck_assert(scratch_has(&scratch, "creations-5601"));
    creation_store_free(second);
    creations_free(creations);
    stop(&first);
}
END_TEST

START_TEST(the_lock_ends_with_its_daemon) {
    struct kept first = start(state_directory);
    uint32_t wide = next_wide(first.creations);
    stop(&first);

    struct kept second = start(state_directory);
    ck_assert_uint_gt(next_wide(second.creations), wide);
    stop(&second);
}
END_TEST

START_TEST(a_directory_that_cannot_be_is_said_and_borne) {
    scratch_write(&scratch, "file", LITERAL("not a directory"));
    char directory[256];
    strcpy(directory, scratch_path(&scratch, "file/below"));

    struct kept kept = start(directory);
    next_old(kept.creations);
    creation_store_sync(kept.store);
    ck_assert_uint_ge(next_wide(kept.creations), NOW);
    assert_logged("warn state_not_kept");
    assert_logged(directory);
    stop(&kept);
}
END_TEST

START_TEST(a_directory_in_the_files_place_is_left_alone) {
    ck_assert_int_eq(mkdir(scratch_path(&scratch, FILE_NAME), 0755), 0);

    struct kept kept = start(state_directory);
    next_old(kept.creations);
    creation_store_sync(kept.store);
    stop(&kept);

    ck_assert_int_eq(rmdir(scratch_path(&scratch, FILE_NAME)), 0);
    assert_logged("cannot read the file");
}
END_TEST

START_TEST(a_link_in_the_files_place_is_not_followed) {
    static struct saved_creations state;
    char elsewhere[256], content[256];
    saved_creations_of(&state, STATE_OF_2000000000);
    scratch_write(&scratch, "elsewhere", bytes_of(state.text, state.len));
    strcpy(elsewhere, scratch_path(&scratch, "elsewhere"));
    ck_assert_int_eq(symlink(elsewhere, scratch_path(&scratch, FILE_NAME)), 0);

    struct kept kept = start(state_directory);
    ck_assert_uint_eq(next_wide(kept.creations), NOW);
    next_old(kept.creations);
    creation_store_sync(kept.store);
    stop(&kept);

    assert_bytes(scratch_read(&scratch, "elsewhere", content, sizeof content),
                 bytes_of(state.text, state.len));
    assert_logged("cannot read the file");
}
END_TEST

/* Saves with files limited to so many bytes, as on a full disk. */
static void sync_on_full_disk(struct creation_store *store, rlim_t bytes) {
    struct rlimit limit, kept;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &kept);
    limit = kept;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
    creation_store_sync(store);
    setrlimit(RLIMIT_FSIZE, &kept);
    signal(SIGXFSZ, handler);
}

START_TEST(a_full_disk_leaves_the_old_file_whole) {
    struct kept kept = start(state_directory);
    char before[256], after[256];
    struct bytes old = scratch_read(&scratch, FILE_NAME, before, sizeof before);
    log_open("unit", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TO_FILE,
             "/dev/null"); /* no limit there */

    next_old(kept.creations);
    sync_on_full_disk(kept.store, 10);

    assert_bytes(scratch_read(&scratch, FILE_NAME, after, sizeof after), old);
    ck_assert(!scratch_has(&scratch, FILE_NAME ".new"));
    ck_assert(creations_unsaved(kept.creations));

    next_old(kept.creations);
    creation_store_sync(kept.store); /* too soon after the failure to try again */
    assert_bytes(scratch_read(&scratch, FILE_NAME, after, sizeof after), old);
    stop(&kept);
}
END_TEST

START_TEST(a_directory_that_vanished_is_borne) {
    char directory[256];
    strcpy(directory, scratch_path(&scratch, "state"));
    struct kept kept = start(directory);
    unlink(scratch_path(&scratch, "state/" FILE_NAME));
    unlink(scratch_path(&scratch, "state/" FILE_NAME ".lock"));
    ck_assert_int_eq(rmdir(directory), 0);

    next_old(kept.creations);
    creation_store_sync(kept.store);

    assert_logged("cannot save");
    ck_assert(creations_unsaved(kept.creations));
    stop(&kept);
}
END_TEST

START_TEST(without_memory_there_is_no_store_or_one_that_keeps_nothing) {
    put_state(STATE_OF_2000000000 "last 1 61\n");
    for (unsigned n = 1;; n++) {
        struct creations *creations = creations_at(NOW);
        fail_nth_allocation(n);
        struct creation_store *store = creation_store_open(state_directory, PORT, creations);
        bool failed = allocation_failed();
        creation_store_free(store);
        creations_free(creations);
        ck_assert(scratch_has(&scratch, FILE_NAME)); /* a whole file is never taken for damaged */
        ck_assert(store != NULL || failed);
        if (!failed)
            break;
    }
}
END_TEST

START_TEST(a_save_without_memory_is_tried_again_later) {
    struct kept kept = start(state_directory);
    next_old(kept.creations);

    fail_nth_allocation(1);
    creation_store_sync(kept.store);

    ck_assert(allocation_failed());
    ck_assert(creations_unsaved(kept.creations));
    assert_logged("cannot save");
    stop(&kept);
}
END_TEST

Suite *creation_store_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("creation_store", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_creation_is_not_given_again_after_a_crash);
    tcase_add_test(tests, the_directory_and_those_above_are_made);
    tcase_add_test(tests, nothing_is_written_when_nothing_changed);
    tcase_add_test(tests, no_directory_means_nothing_is_kept_or_said);
    tcase_add_test(tests, a_damaged_file_is_set_aside_and_the_daemon_goes_on);
    tcase_add_test(tests, a_file_beyond_all_bounds_is_a_damaged_one);
    tcase_add_test(tests, a_torn_new_file_is_nobodys_state);
    tcase_add_test(tests, a_second_daemon_of_the_port_keeps_its_hands_off);
    tcase_add_test(tests, a_daemon_of_another_port_has_a_file_of_its_own);
    tcase_add_test(tests, the_lock_ends_with_its_daemon);
    tcase_add_test(tests, a_directory_that_cannot_be_is_said_and_borne);
    tcase_add_test(tests, a_directory_in_the_files_place_is_left_alone);
    tcase_add_test(tests, a_link_in_the_files_place_is_not_followed);
    tcase_add_test(tests, a_full_disk_leaves_the_old_file_whole);
    tcase_add_test(tests, a_directory_that_vanished_is_borne);
    tcase_add_test(tests, without_memory_there_is_no_store_or_one_that_keeps_nothing);
    tcase_add_test(tests, a_save_without_memory_is_tried_again_later);
    return suite;
}
