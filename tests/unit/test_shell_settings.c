/* What a file that a shell reads sets, as far as it can be told without a shell. */
#include "cli/shell_settings.h"
#include "scratch.h"
#include "suites.h"

#include <string.h>
#include <sys/stat.h>

static struct scratch scratch;
static char value[SHELL_SETTING_SIZE];

static void setup(void) {
    scratch_make(&scratch);
}

static void teardown(void) {
    scratch_remove(&scratch);
}

static bool read_setting(const char *text) {
    scratch_write(&scratch, "conf", bytes_of_text(text));
    return shell_setting(scratch_path(&scratch, "conf"), "PORT", value);
}

static const struct {
    const char *text;
    const char *value; /* NULL: it is not set */
} files[] = {
    {"PORT=25672\n", "25672"},
    {"PORT=25672", "25672"},
    {"  \tPORT=25672  # so\n", "25672"},
    {"export PORT=25672\n", "25672"},
    {"\texport \t PORT=25672\n", "25672"},
    {"PORT=\"25 672\"\n", "25 672"},
    {"PORT='25;672'x\n", "25;672x"},
    {"PORT=\"2'5\"\n", "2'5"},
    {"PORT=25672;OTHER=1\n", "25672"},
    {"PORT=25672\r\n", "25672"},
    {"PORT=\"25672\n", "25672"},
    {"PORT=1\nPORT=2\n", "2"},
    {"PORT=1\nOTHER=2\n", "1"},
    {"PORT=$OTHER\n", "$OTHER"},
    {"", NULL},
    {"PORT=\n", NULL},
    {"PORT=1\nPORT=\n", NULL},
    {"#PORT=1\n", NULL},
    {"XPORT=1\n", NULL},
    {"PORTX=1\n", NULL},
    {"PORT =1\n", NULL},
    {"exportPORT=1\n", NULL},
    {"export\n", NULL},
    {"PORT=${PORT:-1}\n", NULL},
    {"PORT=1\nPORT=${PORT:-2}\n", NULL},
    {"PORT=PORTS\n", "PORTS"},
};

START_TEST(a_line_sets_a_variable) {
    bool found = read_setting(files[_i].text);
    ck_assert_int_eq(found, files[_i].value != NULL);
    if (found)
        ck_assert_str_eq(value, files[_i].value);
}
END_TEST

START_TEST(a_long_value_is_cut) {
    char text[2 * SHELL_SETTING_SIZE] = "PORT=";
    memset(text + 5, 'x', SHELL_SETTING_SIZE);
    ck_assert(read_setting(text));
    ck_assert_uint_eq(strlen(value), SHELL_SETTING_SIZE - 1);
}
END_TEST

START_TEST(what_is_no_file_sets_nothing) {
    ck_assert(!shell_setting(scratch_path(&scratch, "none"), "PORT", value));
    ck_assert(!shell_setting(scratch.directory, "PORT", value));
    ck_assert_int_eq(mkfifo(scratch_path(&scratch, "fifo"), 0600), 0);
    ck_assert(!shell_setting(scratch_path(&scratch, "fifo"), "PORT", value));
}
END_TEST

Suite *shell_settings_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("shell_settings", &tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_line_sets_a_variable, 0, sizeof files / sizeof files[0]);
    tcase_add_test(tests, a_long_value_is_cut);
    tcase_add_test(tests, what_is_no_file_sets_nothing);
    return suite;
}
