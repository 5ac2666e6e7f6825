#include "base/control_path.h"

#include "scratch.h"
#include "suites.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSTEM_PATH "/run/portolan/portolan.sock"
#define SOME_USER 54321

static struct scratch scratch;
static char path[CONTROL_PATH_SIZE], own_tmp[64], own_path[80];
static bool is_root;

/* As root the tests are those of some user, who has nothing yet and no session. */
static void begin(void) {
    is_root = geteuid() == 0;
    scratch_make(&scratch);
    unsetenv("RUNTIME_DIRECTORY");
    unsetenv("XDG_RUNTIME_DIR");
    if (is_root) {
        ck_assert_int_eq(chown(scratch.directory, SOME_USER, SOME_USER), 0);
        ck_assert_int_eq(seteuid(SOME_USER), 0);
    }
    snprintf(own_tmp, sizeof own_tmp, "/tmp/portolan-%lu", (unsigned long)geteuid());
    snprintf(own_path, sizeof own_path, "%s/portolan.sock", own_tmp);
}

static void end(void) {
    if (is_root) {
        unlink(own_path);
        rmdir(own_tmp);
        ck_assert_int_eq(seteuid(0), 0);
    }
    unsetenv("RUNTIME_DIRECTORY");
    unsetenv("XDG_RUNTIME_DIR");
    scratch_remove(&scratch);
}

static const char *in_scratch(void) {
    return scratch_path(&scratch, "portolan.sock");
}

static void make_socket(const char *at) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", at);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

START_TEST(a_daemon_takes_the_first_directory_of_systemd) {
    setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
    setenv("XDG_RUNTIME_DIR", "/run/other", 1);
    ck_assert(control_path_default(path));
    ck_assert_str_eq(path, "/run/one/portolan.sock");
    if (is_root) {
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert(control_path_default(path));
        ck_assert_str_eq(path, "/run/one/portolan.sock");
        unsetenv("RUNTIME_DIRECTORY");
        ck_assert(control_path_default(path));
        ck_assert_str_eq(path, SYSTEM_PATH);
        ck_assert_int_eq(seteuid(SOME_USER), 0);
    }
}
END_TEST

START_TEST(a_users_daemon_takes_the_directory_of_the_session) {
    setenv("XDG_RUNTIME_DIR", "/run/other", 1);
    ck_assert(control_path_default(path));
    ck_assert_str_eq(path, "/run/other/portolan.sock");
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    setenv("RUNTIME_DIRECTORY", "", 1);
    ck_assert(control_path_default(path));
    if (is_root)
        ck_assert_str_eq(path, own_path);
}
END_TEST

START_TEST(a_path_fits_to_the_last_byte_or_is_refused) {
    const size_t longest = CONTROL_PATH_SIZE - sizeof "/portolan.sock";
    char directory[CONTROL_PATH_SIZE];
    memset(directory, 'd', sizeof directory);
    directory[0] = '/';
    directory[longest] = '\0';
    setenv("XDG_RUNTIME_DIR", directory, 1);
    ck_assert(control_path_default(path));
    ck_assert_uint_eq(strlen(path), CONTROL_PATH_SIZE - 1);
    directory[longest] = 'd';
    directory[longest + 1] = '\0';
    setenv("XDG_RUNTIME_DIR", directory, 1);
    ck_assert(!control_path_default(path));
}
END_TEST

START_TEST(the_path_in_tmp_is_known) {
    ck_assert(control_path_is_in_tmp(own_path));
    ck_assert(!control_path_is_in_tmp(SYSTEM_PATH));
    ck_assert(!control_path_is_in_tmp(own_tmp));
}
END_TEST

START_TEST(a_directory_is_made_that_others_cannot_write) {
    struct stat status;
    char below[256];
    snprintf(below, sizeof below, "%s/made/portolan.sock", scratch.directory);
    ck_assert(control_path_make_private(below));
    ck_assert_int_eq(stat(scratch_path(&scratch, "made"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777 & ~0022U, 0755);
    ck_assert(control_path_make_private(below)); /* it is there */

    const mode_t open_to_others[] = {0720, 0702};
    for (size_t i = 0; i < 2; i++) {
        chmod(scratch_path(&scratch, "made"), open_to_others[i]);
        errno = 0;
        ck_assert(!control_path_make_private(below));
        ck_assert_int_eq(errno, EPERM);
    }
}
END_TEST

START_TEST(a_directory_that_cannot_be_made_is_an_error) {
    char below[256];
    snprintf(below, sizeof below, "%s/missing/made/portolan.sock", scratch.directory);
    ck_assert(!control_path_make_private(below));
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(a_link_and_a_file_and_what_others_own_are_not_private) {
    char below[256];
    ck_assert_int_eq(mkdir(scratch_path(&scratch, "own"), 0700), 0);
    ck_assert_int_eq(symlink("own", scratch_path(&scratch, "link")), 0);
    snprintf(below, sizeof below, "%s/link/portolan.sock", scratch.directory);
    ck_assert(!control_path_make_private(below));
    ck_assert_int_eq(errno, EPERM);
    scratch_write(&scratch, "file", bytes_of_text(""));
    snprintf(below, sizeof below, "%s/file/portolan.sock", scratch.directory);
    ck_assert(!control_path_make_private(below));
    if (is_root) /* of root's, for this user */
        ck_assert(!control_path_make_private("/run/portolan.sock"));
}
END_TEST

START_TEST(a_tool_finds_the_socket_of_the_session) {
    setenv("XDG_RUNTIME_DIR", scratch.directory, 1);
    make_socket(in_scratch());
    control_path_find(path);
    ck_assert_str_eq(path, in_scratch());
    if (is_root) { /* root has no session */
        ck_assert_int_eq(seteuid(0), 0);
        control_path_find(path);
        ck_assert_int_eq(seteuid(SOME_USER), 0);
        ck_assert_str_eq(path, SYSTEM_PATH);
    }
}
END_TEST

START_TEST(a_tool_finds_the_socket_in_tmp_when_the_session_has_none) {
    if (!is_root)
        return; /* the tester's own daemon may be there */
    scratch_write(&scratch, "portolan.sock", bytes_of_text("no socket"));
    setenv("XDG_RUNTIME_DIR", scratch.directory, 1);
    control_path_find(path);
    ck_assert_str_eq(path, SYSTEM_PATH);
    ck_assert_int_eq(mkdir(own_tmp, 0700), 0);
    control_path_find(path);
    ck_assert_str_eq(path, SYSTEM_PATH);
    make_socket(own_path);
    control_path_find(path);
    ck_assert_str_eq(path, own_path);
    chmod(own_tmp, 0777);
    control_path_find(path);
    ck_assert_str_eq(path, SYSTEM_PATH);
}
END_TEST

START_TEST(a_users_own_directory_below_run_comes_before_tmp) {
    char runtime[64], socket_path[80];
    if (!is_root)
        return; /* it takes root to make one */
    snprintf(runtime, sizeof runtime, "/run/user/%d", SOME_USER);
    snprintf(socket_path, sizeof socket_path, "%s/portolan.sock", runtime);
    ck_assert_int_eq(seteuid(0), 0);
    mkdir("/run/user", 0755);
    ck_assert_int_eq(mkdir(runtime, 0700), 0);
    ck_assert_int_eq(chown(runtime, SOME_USER, SOME_USER), 0);
    ck_assert_int_eq(seteuid(SOME_USER), 0);
    make_socket(socket_path);
    bool fits = control_path_default(path);
    char found[CONTROL_PATH_SIZE], found_open[CONTROL_PATH_SIZE];
    control_path_find(found);
    chmod(runtime, 0777);
    control_path_find(found_open);
    ck_assert_int_eq(seteuid(0), 0);
    unlink(socket_path);
    rmdir(runtime);
    ck_assert_int_eq(seteuid(SOME_USER), 0);
    ck_assert(fits);
    ck_assert_str_eq(path, socket_path);
    ck_assert_str_eq(found, socket_path);
    ck_assert_str_eq(found_open, SYSTEM_PATH);
}
END_TEST

Suite *control_path_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("control_path", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_daemon_takes_the_first_directory_of_systemd);
    tcase_add_test(tests, a_users_daemon_takes_the_directory_of_the_session);
    tcase_add_test(tests, a_path_fits_to_the_last_byte_or_is_refused);
    tcase_add_test(tests, the_path_in_tmp_is_known);
    tcase_add_test(tests, a_directory_is_made_that_others_cannot_write);
    tcase_add_test(tests, a_directory_that_cannot_be_made_is_an_error);
    tcase_add_test(tests, a_link_and_a_file_and_what_others_own_are_not_private);
    tcase_add_test(tests, a_tool_finds_the_socket_of_the_session);
    tcase_add_test(tests, a_tool_finds_the_socket_in_tmp_when_the_session_has_none);
    tcase_add_test(tests, a_users_own_directory_below_run_comes_before_tmp);
    return suite;
}
