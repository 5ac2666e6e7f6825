#include "base/log.h"
#include "base/log_limits.h"

#include "assertions.h"
#include "failing_call.h"
#include "scratch.h"
#include "seeded.h"
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct scratch scratch;
static char log_path[256];

static void begin(void) {
    scratch_make(&scratch);
    strcpy(log_path, scratch_path(&scratch, "log"));
}

/* Leaves the log as it was before any log_open, for the tests that share this process. */
static void end(void) {
    log_open("unit", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TO_CONSOLE, NULL);
    scratch_remove(&scratch);
}

static void log_as(enum log_format format) {
    ck_assert_int_eq(log_open("unit", LOG_LEVEL_TRACE, format, LOG_TO_FILE, log_path), 0);
}

static const char *logged(const char *name) {
    static char text[64 * 1024];
    struct bytes read = scratch_read(&scratch, name, text, sizeof text - 1);
    text[read.len] = '\0';
    return text;
}

static void assert_logged(const char *pattern) {
    regex_t expression;
    ck_assert_int_eq(regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB), 0);
    const char *text = logged("log");
    int mismatch = regexec(&expression, text, 0, NULL, 0);
    regfree(&expression);
    ck_assert_msg(mismatch == 0, "the log is '%s', expected '%s'", text, pattern);
}

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

START_TEST(a_line_of_text_has_time_level_event_and_fields) {
    log_as(LOG_FORMAT_TEXT);
    log_event(LOG_LEVEL_WARN, "registered", log_text("name", "rabbit"), log_number("port", 25672));

    assert_logged("^" TIME " warn registered name=rabbit port=25672\n$");
}
END_TEST

START_TEST(the_time_of_a_line_is_the_clocks) {
    static const struct {
        int64_t ms;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782400000 + 86399999, "2000-02-29T23:59:59.999Z"},
        {1767323045000, "2026-01-02T03:04:05.000Z"},
        {1767323045006, "2026-01-02T03:04:05.006Z"},
        {1767323045070, "2026-01-02T03:04:05.070Z"},
        {1767323045098, "2026-01-02T03:04:05.098Z"},
        {1767323045099, "2026-01-02T03:04:05.099Z"},
        {1767323045800, "2026-01-02T03:04:05.800Z"},
        {1767323046800, "2026-01-02T03:04:06.800Z"},
    };
    char expected[1024] = "";
    log_as(LOG_FORMAT_TEXT);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        set_wall_clock(times[i].ms);
        log_write(LOG_LEVEL_INFO, "now", NULL, 0);
        sprintf(expected + strlen(expected), "%s info now\n", times[i].text);
    }
    set_wall_clock(-1);
    ck_assert_str_eq(logged("log"), expected);
}
END_TEST

START_TEST(each_level_has_its_word) {
    static const char *const words[] = {"error", "warn", "info", "debug", "trace"};
    char expected[256] = "";
    log_as(LOG_FORMAT_TEXT);
    set_wall_clock(0);
    for (size_t i = 0; i < 5; i++) {
        log_write((enum log_level)i, "said", NULL, 0);
        sprintf(expected + strlen(expected), "1970-01-01T00:00:00.000Z %s said\n", words[i]);
        ck_assert_str_eq(log_level_names[i], words[i]);
    }
    set_wall_clock(-1);
    ck_assert_str_eq(logged("log"), expected);
    ck_assert_ptr_null(log_level_names[5]);
    ck_assert_str_eq(log_format_names[LOG_FORMAT_TEXT], "text");
    ck_assert_str_eq(log_format_names[LOG_FORMAT_JSON], "json");
}
END_TEST

/* The journal takes "<4>" off where JOURNAL_STREAM names what standard error is. */
START_TEST(lines_to_the_journal_have_their_priority) {
    struct stat status;
    char stream[64];
    int file = open(log_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int console = dup(STDERR_FILENO);
    fstat(file, &status);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    set_wall_clock(0);
    dup2(file, STDERR_FILENO);
    log_open("unit", LOG_LEVEL_TRACE, LOG_FORMAT_TEXT, LOG_TO_CONSOLE, NULL);
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_TRACE; level++)
        log_write((enum log_level)level, "said", NULL, 0);
    stream[0]++;
    setenv("JOURNAL_STREAM", stream, 1);
    log_open("unit", LOG_LEVEL_TRACE, LOG_FORMAT_TEXT, LOG_TO_CONSOLE, NULL);
    log_write(LOG_LEVEL_INFO, "elsewhere", NULL, 0);
    dup2(console, STDERR_FILENO);
    unsetenv("JOURNAL_STREAM");
    set_wall_clock(-1);
    close(console);
    close(file);
#define EPOCH "1970-01-01T00:00:00.000Z"
    ck_assert_str_eq(logged("log"), "<3>" EPOCH " error said\n<4>" EPOCH " warn said\n<6>" EPOCH
                                    " info said\n<7>" EPOCH " debug said\n<7>" EPOCH
                                    " trace said\n" EPOCH " info elsewhere\n");
}
END_TEST

START_TEST(a_line_of_json_is_one_object) {
    log_as(LOG_FORMAT_JSON);
    log_event(LOG_LEVEL_ERROR, "failed", log_text("name", "a \"b\"\n"), log_number("code", -5));

    assert_logged("^\\{\"time\":\"" TIME "\",\"level\":\"error\",\"event\":\"failed\","
                  "\"name\":\"a \\\\\"b\\\\\"\\\\u000a\",\"code\":-5\\}\n$");
}
END_TEST

START_TEST(a_value_is_quoted_when_a_reader_could_be_misled) {
    log_as(LOG_FORMAT_TEXT);
    log_event(LOG_LEVEL_INFO, "e", log_text("a", "two words"), log_text("b", "x=1"),
              log_text("c", ""), log_text("d", "back\\slash"), log_text("e", "plain-1.2:3"),
              log_bytes("f", bytes_of(NULL, 0)), log_text("g", "ø"));

    assert_logged(
        " a=\"two words\" b=\"x=1\" c=\"\" d=\"back\\\\\\\\slash\" e=plain-1\\.2:3 f=\"\" "
        "g=\"ø\"\n$");
}
END_TEST

START_TEST(numbers_have_no_bounds_of_their_own) {
    log_as(LOG_FORMAT_TEXT);
    log_event(LOG_LEVEL_INFO, "e", log_number("low", INT64_MIN), log_number("high", INT64_MAX));

    assert_logged(" low=-9223372036854775808 high=9223372036854775807\n$");
}
END_TEST

START_TEST(lines_below_the_level_are_not_written) {
    log_open("unit", LOG_LEVEL_WARN, LOG_FORMAT_TEXT, LOG_TO_FILE, log_path);
    log_event(LOG_LEVEL_INFO, "quiet", log_number("n", 1));
    log_event(LOG_LEVEL_WARN, "loud", log_number("n", 2));

    assert_logged("^" TIME " warn loud n=2\n$");
    ck_assert(log_enabled(LOG_LEVEL_ERROR));
    ck_assert(!log_enabled(LOG_LEVEL_INFO));
}
END_TEST

/* One line, closed as its format wants it, and nothing in it that moves a terminal. */
static void assert_one_clean_line(enum log_format format) {
    const char *text = logged("log");
    size_t len = strlen(text);
    ck_assert_uint_gt(len, 0);
    ck_assert_uint_le(len, LOG_LINE_MAX);
    ck_assert_ptr_eq(strchr(text, '\n'), text + len - 1);
    ck_assert(format == LOG_FORMAT_TEXT || text[len - 2] == '}');
    ck_assert(text_is_utf8(bytes_of(text, len), NULL));
    size_t printable = 0;
    while ((unsigned char)text[printable] >= 0x20)
        printable++;
    ck_assert_uint_eq(printable, len - 1);
}

START_TEST(no_value_breaks_a_line) {
    struct seeded random = seeded_stream("log values");

    for (int i = 0; i < 300; i++) {
        enum log_format format = (enum log_format)(i % 2);
        uint8_t value[1200];
        size_t len = seeded_below(&random, sizeof value + 1);
        seeded_fill(&random, value, len);
        log_as(format);
        log_event(LOG_LEVEL_INFO, "registered", log_bytes("a", bytes_of(value, len / 2)),
                  log_bytes("b", bytes_of(value, len)));
        assert_one_clean_line(format);
        unlink(log_path);
    }
}
END_TEST

START_TEST(a_field_that_does_not_fit_is_left_out_whole) {
    char value[LOG_LINE_MAX];
    memset(value, 'x', sizeof value);
    log_as(LOG_FORMAT_JSON);
    log_event(LOG_LEVEL_INFO, "e", log_number("a", 1),
              log_bytes("b", bytes_of(value, sizeof value)), log_number("c", 3));

    assert_logged(",\"event\":\"e\",\"a\":1,\"c\":3\\}\n$");
}
END_TEST

START_TEST(a_line_fills_the_limit_and_no_more) {
    char value[LOG_LINE_MAX];
    memset(value, 'x', sizeof value);

    for (size_t len = LOG_LINE_MAX - 120; len < LOG_LINE_MAX; len++) {
        for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
            log_as((enum log_format)format);
            log_event(LOG_LEVEL_INFO, "registered", log_bytes("a", bytes_of(value, len)));
            assert_one_clean_line((enum log_format)format);
            unlink(log_path);
        }
    }
}
END_TEST

START_TEST(a_rotated_file_is_opened_anew) {
    log_as(LOG_FORMAT_TEXT);
    log_event(LOG_LEVEL_INFO, "before", log_number("n", 1));
    char rotated[256];
    strcpy(rotated, scratch_path(&scratch, "log.1"));
    ck_assert_int_eq(rename(log_path, rotated), 0);

    log_event(LOG_LEVEL_INFO, "between", log_number("n", 2));
    ck_assert_int_eq(log_reopen(), 0);
    log_event(LOG_LEVEL_INFO, "after", log_number("n", 3));

    assert_logged("^" TIME " info after n=3\n$");
    ck_assert_ptr_nonnull(strstr(logged("log.1"), "between"));
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_anew_is_kept) {
    log_as(LOG_FORMAT_TEXT);
    char moved[256];
    strcpy(moved, scratch_path(&scratch, "log.1"));
    ck_assert_int_eq(rename(log_path, moved), 0);
    ck_assert_int_eq(mkdir(log_path, 0700), 0);

    ck_assert_int_eq(log_reopen(), -EISDIR);
    log_event(LOG_LEVEL_INFO, "after", log_number("n", 3));

    ck_assert_ptr_nonnull(strstr(logged("log.1"), "after"));
}
END_TEST

START_TEST(a_failed_open_changes_nothing) {
    log_as(LOG_FORMAT_TEXT);
    char missing[256];
    strcpy(missing, scratch_path(&scratch, "none/log"));

    ck_assert_int_eq(log_open("unit", LOG_LEVEL_ERROR, LOG_FORMAT_JSON, LOG_TO_FILE, missing),
                     -ENOENT);
    log_event(LOG_LEVEL_INFO, "after", log_number("n", 3));

    assert_logged("^" TIME " info after n=3\n$");
}
END_TEST

START_TEST(a_second_start_appends) {
    log_as(LOG_FORMAT_TEXT);
    log_event(LOG_LEVEL_INFO, "first", log_number("n", 1));
    log_close();
    log_as(LOG_FORMAT_TEXT);
    log_event(LOG_LEVEL_INFO, "second", log_number("n", 2));

    assert_logged("^" TIME " info first n=1\n" TIME " info second n=2\n$");
}
END_TEST

START_TEST(lost_lines_are_counted_when_writing_works_again) {
    ck_assert_int_eq(symlink("/dev/full", log_path), 0);
    log_as(LOG_FORMAT_TEXT);
    for (int i = 0; i < 3; i++)
        log_event(LOG_LEVEL_INFO, "lost", log_number("n", i));
    unlink(log_path);
    ck_assert_int_eq(log_reopen(), 0);

    log_event(LOG_LEVEL_INFO, "kept", log_number("n", 3));
    log_event(LOG_LEVEL_INFO, "kept", log_number("n", 4));

    assert_logged("^" TIME " warn log_lines_lost lines=3\n" TIME " info kept n=3\n" TIME
                  " info kept n=4\n$");
}
END_TEST

START_TEST(the_console_is_standard_error) {
    int file = open(log_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int console = dup(STDERR_FILENO);
    log_open("unit", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TO_CONSOLE, NULL);
    dup2(file, STDERR_FILENO);
    log_event(LOG_LEVEL_INFO, "said", log_number("n", 1));
    dup2(console, STDERR_FILENO);
    close(console);
    close(file);

    assert_logged("^" TIME " info said n=1\n$");
}
END_TEST

static void on_held(void *context) {
    int *held = context;
    (*held)++;
}

START_TEST(lines_beyond_a_kinds_budget_are_held_back_and_counted) {
    int held = 0;
    log_as(LOG_FORMAT_TEXT);
    log_on_suppressed(on_held, &held);
    for (int i = 0; i < 1000; i++)
        log_event(LOG_LEVEL_WARN, "refused", log_number("n", i));
    log_event(LOG_LEVEL_WARN, "limit", log_number("n", 1)); /* another kind has its own */

    ck_assert_int_ge(held, 900);
    assert_logged("refused n=0\n");
    assert_logged(TIME " warn limit n=1\n$");
    log_report_suppressed();
    assert_logged(" warn log_lines_held_back kind=refused lines=9[0-9]*\n$");
    log_close();
    assert_logged(" warn log_lines_held_back kind=refused lines=9[0-9]*\n$"); /* it was told */
    log_on_suppressed(NULL, NULL);
}
END_TEST

START_TEST(each_kind_has_its_burst_and_what_comes_by_and_by) {
    const char *event;
    uint64_t lines;
    int64_t now_ms = 1000000;
    int passed = 0;
    for (int i = 0; i < 100; i++)
        passed += log_limits_allow("refused", false, now_ms);
    ck_assert_int_eq(passed, 20);
    ck_assert(!log_limits_allow("refused", false, now_ms + 49));
    ck_assert(log_limits_allow("refused", false, now_ms + 50)); /* twenty a second */
    ck_assert(!log_limits_allow("refused", false, now_ms + 50));
    ck_assert(!log_limits_allow("refused", false, 0)); /* a clock that goes back earns nothing */

    ck_assert(log_limits_next_suppressed(&event, &lines));
    ck_assert_str_eq(event, "refused");
    ck_assert_uint_eq(lines, 83);
    ck_assert(!log_limits_next_suppressed(&event, &lines));

    passed = 0;
    for (int i = 0; i < 100; i++)
        passed += log_limits_allow("refused", false, INT64_MAX);
    ck_assert_int_eq(passed, 20);
}
END_TEST

START_TEST(a_full_host_that_comes_back_is_in_the_log_as_a_whole) {
    for (int i = 0; i < 15000; i++)
        ck_assert(log_limits_allow("registered", false, 1000));
}
END_TEST

START_TEST(the_first_line_of_each_kind_passes) {
    static char names[200][8];
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "kind%d", i);
        ck_assert(log_limits_allow(names[i], false, 1000));
    }
}
END_TEST

Suite *log_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("log", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_line_of_text_has_time_level_event_and_fields);
    tcase_add_test(tests, the_time_of_a_line_is_the_clocks);
    tcase_add_test(tests, each_level_has_its_word);
    tcase_add_test(tests, lines_to_the_journal_have_their_priority);
    tcase_add_test(tests, a_line_of_json_is_one_object);
    tcase_add_test(tests, a_value_is_quoted_when_a_reader_could_be_misled);
    tcase_add_test(tests, numbers_have_no_bounds_of_their_own);
    tcase_add_test(tests, lines_below_the_level_are_not_written);
    tcase_add_test(tests, no_value_breaks_a_line);
    tcase_add_test(tests, a_field_that_does_not_fit_is_left_out_whole);
    tcase_add_test(tests, a_line_fills_the_limit_and_no_more);
    tcase_add_test(tests, a_rotated_file_is_opened_anew);
    tcase_add_test(tests, a_file_that_cannot_be_opened_anew_is_kept);
    tcase_add_test(tests, a_failed_open_changes_nothing);
    tcase_add_test(tests, a_second_start_appends);
    tcase_add_test(tests, lost_lines_are_counted_when_writing_works_again);
    tcase_add_test(tests, the_console_is_standard_error);
    tcase_add_test(tests, lines_beyond_a_kinds_budget_are_held_back_and_counted);
    tcase_add_test(tests, each_kind_has_its_burst_and_what_comes_by_and_by);
    tcase_add_test(tests, a_full_host_that_comes_back_is_in_the_log_as_a_whole);
    tcase_add_test(tests, the_first_line_of_each_kind_passes);
    return suite;
}
