#include "base/regular_file.h"

#include "scratch.h"
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct scratch scratch;

static void begin(void) {
    scratch_make(&scratch);
    scratch_write(&scratch, "file", bytes_of_text("content"));
    ck_assert_int_eq(symlink("file", scratch_path(&scratch, "link")), 0);
    ck_assert_int_eq(mkfifo(scratch_path(&scratch, "fifo"), 0600), 0);
    ck_assert_int_eq(mkdir(scratch_path(&scratch, "directory"), 0700), 0);
}

static void end(void) {
    scratch_remove(&scratch);
}

static void assert_is_the_file(int fd) {
    char content[16] = "";
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(read(fd, content, sizeof content - 1), 7);
    ck_assert_str_eq(content, "content");
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
}

static int opened(const char *name, int flags) {
    return regular_file_open(AT_FDCWD, scratch_path(&scratch, name), flags, 0600);
}

START_TEST(only_a_regular_file_is_opened) {
    assert_is_the_file(opened("file", O_RDONLY));
    assert_is_the_file(opened("link", O_RDONLY));
    ck_assert_int_eq(opened("link", O_RDONLY | O_NOFOLLOW), -ELOOP);
    ck_assert_int_eq(opened("fifo", O_RDONLY), -ENOTBLK);
    ck_assert_int_eq(opened("fifo", O_WRONLY), -ENOTBLK);
    ck_assert_int_eq(opened("directory", O_RDONLY), -ENOTBLK);
    ck_assert_int_eq(opened("directory", O_WRONLY), -ENOTBLK);
    ck_assert_int_eq(opened("missing", O_RDONLY), -ENOENT);
}
END_TEST

START_TEST(what_is_refused_stays_open_nowhere) {
    int before = dup(STDIN_FILENO);
    close(before);
    opened("fifo", O_RDONLY);
    opened("directory", O_RDONLY);
    int after = dup(STDIN_FILENO);
    close(after);
    ck_assert_int_eq(after, before);
}
END_TEST

START_TEST(a_path_is_taken_from_the_directory_given) {
    int directory = open(scratch.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_is_the_file(regular_file_open(directory, "file", O_RDONLY, 0));
    int made = regular_file_open(directory, "made", O_WRONLY | O_CREAT, 0640);
    struct stat status;
    ck_assert_int_eq(fstat(made, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777 & ~0027U, 0640);
    close(made);
    close(directory);
}
END_TEST

START_TEST(a_link_is_trusted_where_only_this_user_and_root_may_write) {
    const mode_t closed[] = {0700, 0755}, open_to_others[] = {0720, 0702, 0777};
    for (size_t i = 0; i < 2; i++) {
        chmod(scratch.directory, closed[i]);
        assert_is_the_file(regular_file_open_trusted(scratch_path(&scratch, "link")));
    }
    for (size_t i = 0; i < 3; i++) {
        chmod(scratch.directory, open_to_others[i]);
        ck_assert_int_eq(regular_file_open_trusted(scratch_path(&scratch, "link")), -ELOOP);
        assert_is_the_file(regular_file_open_trusted(scratch_path(&scratch, "file")));
    }
}
END_TEST

START_TEST(a_link_in_a_directory_of_another_user_is_not_trusted) {
    if (geteuid() != 0)
        return; /* it takes root to give a directory away */
    ck_assert_int_eq(chown(scratch.directory, 12345, 12345), 0);
    ck_assert_int_eq(regular_file_open_trusted(scratch_path(&scratch, "link")), -ELOOP);
    ck_assert_int_eq(chown(scratch.directory, 0, 0), 0);
    chmod(scratch.directory, 0755);
    ck_assert_int_eq(seteuid(12345), 0);
    int of_root = regular_file_open_trusted(scratch_path(&scratch, "link"));
    ck_assert_int_eq(seteuid(0), 0);
    assert_is_the_file(of_root);
}
END_TEST

START_TEST(a_name_without_a_directory_is_in_the_current_one) {
    ck_assert_int_eq(chdir(scratch.directory), 0);
    assert_is_the_file(regular_file_open_trusted("link"));
    chmod(".", 0777);
    ck_assert_int_eq(regular_file_open_trusted("link"), -ELOOP);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_refused) {
    char path[5000];
    memset(path, 'd', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    strcpy(path + 4096, "/file");
    ck_assert_int_eq(regular_file_open_trusted(path), -ENAMETOOLONG);
}
END_TEST

START_TEST(errors_have_texts) {
    ck_assert_str_eq(regular_file_error(ENOTBLK), "not a regular file");
    ck_assert_str_eq(regular_file_error(ELOOP),
                     "a symbolic link that another user may have created");
    ck_assert_str_eq(regular_file_error(EACCES), strerror(EACCES));
}
END_TEST

Suite *regular_file_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("regular_file", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, only_a_regular_file_is_opened);
    tcase_add_test(tests, what_is_refused_stays_open_nowhere);
    tcase_add_test(tests, a_path_is_taken_from_the_directory_given);
    tcase_add_test(tests, a_link_is_trusted_where_only_this_user_and_root_may_write);
    tcase_add_test(tests, a_link_in_a_directory_of_another_user_is_not_trusted);
    tcase_add_test(tests, a_name_without_a_directory_is_in_the_current_one);
    tcase_add_test(tests, a_path_that_is_too_long_is_refused);
    tcase_add_test(tests, errors_have_texts);
    return suite;
}
