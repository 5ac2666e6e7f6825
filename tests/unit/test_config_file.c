#include "config/file.h"
#include "config_fixture.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>

START_TEST(settings_comments_and_blank_lines_are_read) {
    ck_assert(parse_file("# a comment\n"
                         "\n"
                         "## another\n"
                         "epmd.port = 5601\n"
                         "  \tepmd.packet_timeout=5m\t # and one behind a setting\n"
                         "log.level =debug#one more\r\n"
                         "front.address ="));

    ck_assert_uint_eq(config.epmd_port, 5601);
    ck_assert_int_eq(config.packet_timeout_ms, 300000);
    ck_assert_int_eq(config.log_level, LOG_LEVEL_DEBUG);
    ck_assert_str_eq(config.front_address, "");
}
END_TEST

START_TEST(a_value_says_which_line_it_is_from) {
    ck_assert(parse_file("\n\nepmd.port = 99\n"));
    size_t found = 0;
    for (size_t i = 0; i < CONFIG_KEYS_MAX; i++) {
        if (config.sources[i] == CONFIG_FROM_FILE) {
            ck_assert_str_eq(config.wheres[i], "test.conf:3");
            found++;
        }
    }
    ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(quotes_keep_hashes_blanks_and_semicolons) {
    ck_assert(parse_file("log.to = \"/var/log/a#b ;c \"  # here is the comment\n"));
    ck_assert_str_eq(config.log_to, "/var/log/a#b ;c ");
    ck_assert(parse_file("log.to = \"\"\nlog.to = /x ;y\n") == false);
    assert_error("test.conf:1: cannot set log.to to ''");
    ck_assert_str_eq(config.log_to, "/x ;y");
}
END_TEST

START_TEST(quotes_that_do_not_match_are_an_error) {
    ck_assert(!parse_file("log.to = \"/var/log/x\nlog.to = \"/a\"b\"\nlog.to = \"\n"));
    assert_error("test.conf:1: cannot read the value: unbalanced quotes");
    assert_error("test.conf:2: ");
    assert_error("test.conf:3: ");
}
END_TEST

START_TEST(a_line_that_starts_with_a_blank_is_a_line_of_its_own) {
    ck_assert(parse_file("epmd.port = 1\n  front.enable = off\n"));
    ck_assert_uint_eq(config.epmd_port, 1);
    ck_assert(!config.front_enable);
}
END_TEST

START_TEST(what_is_no_setting_is_an_error_with_its_line) {
    static const char *const wrong[] = {"node.name", "[node]", "; comment", "= 3", "just words"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "\n%s\nepmd.port = 5601\n", wrong[i]);
        config_fixture_become(CONFIG_AS_PORTOLAND);
        ck_assert_msg(!parse_file(text), "%s", wrong[i]);
        assert_error("test.conf:2: cannot read the line: not of the form key = value");
        ck_assert_uint_eq(config.epmd_port, 5601);
        ck_assert_uint_eq(report.counts[CONFIG_ERROR], 1);
    }
}
END_TEST

START_TEST(all_errors_are_reported_up_to_twenty) {
    char text[4096] = "";
    for (int i = 0; i < 25; i++)
        strcat(text, "epmd.prot = 1\n");
    ck_assert(!parse_file(text));
    ck_assert_uint_eq(report.counts[CONFIG_ERROR], 25);
    assert_error("test.conf:20: cannot set epmd.prot: unknown key; did you mean epmd.port?");
    assert_error("t: and 5 more errors\n");
    ck_assert_ptr_null(strstr(remarks(CONFIG_ERROR), "test.conf:21:"));
}
END_TEST

START_TEST(a_key_that_is_set_again_has_its_last_value_and_a_warning) {
    ck_assert(parse_file("epmd.port = 1\nepmd.port = 2\n"));
    ck_assert_uint_eq(config.epmd_port, 2);
    ck_assert_str_eq(
        remarks(CONFIG_WARNING),
        "t: test.conf:2: epmd.port is set again, after line 1; the last value is used\n");
}
END_TEST

START_TEST(keys_of_emqx_are_counted_by_family) {
    char families[256];
    ck_assert(parse_file("listener.tcp.external = 1883\n"
                         "listener.tcp.external.zone = external\n"
                         "mqtt.max_qos_allowed = 2\n"
                         "allow_anonymous = true\n"
                         "node.process_limit = 1\n"
                         "listener.ssl.external = 8883\n"
                         "log.error.file = x\n"
                         "node.max_ports = 1024\n"));
    ck_assert_uint_eq(config.ignored.keys, 8);
    emqx_keys_format(&config.ignored, families, sizeof families);
    ck_assert_str_eq(families, "listener 3, node 2, mqtt 1, without a family 1, log 1");
}
END_TEST

START_TEST(emqx_s_words_of_a_log_are_understood) {
    static const struct {
        const char *word;
        int level;
    } words[] = {
        {"emergency", LOG_LEVEL_ERROR}, {"alert", LOG_LEVEL_ERROR},  {"critical", LOG_LEVEL_ERROR},
        {"error", LOG_LEVEL_ERROR},     {"warning", LOG_LEVEL_WARN}, {"notice", LOG_LEVEL_INFO},
        {"info", LOG_LEVEL_INFO},       {"debug", LOG_LEVEL_DEBUG},  {"all", LOG_LEVEL_TRACE},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "log.level = %s\n", words[i].word);
        ck_assert(parse_file(line));
        ck_assert_int_eq(config.log_level, words[i].level);
    }
    ck_assert(parse_file("log.to = file\nlog.to = both\nlog.to = off\n"));
    ck_assert_str_eq(config.log_to, "console");
    ck_assert_uint_eq(report.counts[CONFIG_NOTE], 3);
    ck_assert(parse_file("log.to = console\n"));
}
END_TEST

/* `key = xxx...`, `len` bytes of it. */
static char *long_line(const char *key, size_t len) {
    char *line = malloc(len + 2);
    int used = snprintf(line, len, "%s = ", key);
    memset(line + used, 'x', len - (size_t)used);
    line[len] = '\n';
    line[len + 1] = '\0';
    return line;
}

START_TEST(a_long_line_of_ours_is_read_whole) {
    char *line = long_line("epmd.address", CONFIG_LINE_MAX - 10);
    ck_assert(parse_file(line));
    ck_assert_uint_eq(strlen(config.epmd_address),
                      CONFIG_LINE_MAX - 10 - strlen("epmd.address = "));
    free(line);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_an_error_only_when_it_is_ours) {
    char *ours = long_line("epmd.address", 3 * CONFIG_LINE_MAX);
    char *theirs = long_line("listener.ssl.external.ciphers", 3 * CONFIG_LINE_MAX);
    ck_assert(parse_file(theirs));
    ck_assert_uint_eq(config.ignored.keys, 1);
    ck_assert(!parse_file(ours));
    assert_error("test.conf:1: cannot read the line: it is too long");
    ck_assert_str_eq(config.epmd_address, "");
    free(ours);
    free(theirs);
}
END_TEST

START_TEST(a_nul_byte_is_an_error) {
    static const char text[] = "epmd.port = 1\0\n\0\nepmd.enable = on\n";
    char copy[sizeof text];
    memcpy(copy, text, sizeof text);
    FILE *stream = fmemopen(copy, sizeof text - 1, "r");
    ck_assert(!config_file_parse(&config, stream, "test.conf", &report));
    fclose(stream);
    assert_error("test.conf:1: cannot read the line: it contains a NUL byte");
    assert_error("test.conf:2: cannot read the line: it contains a NUL byte");
    ck_assert_uint_eq(config.epmd_port, 4369);
    ck_assert(config.epmd_enable);
}
END_TEST

START_TEST(a_byte_order_mark_is_no_part_of_the_first_key) {
    ck_assert(parse_file("\xef\xbb\xbf"
                         "epmd.port = 5601\n"));
    ck_assert_uint_eq(config.epmd_port, 5601);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_an_error_with_its_path) {
    ck_assert(!config_file_load(&config, "/nonexistent/portolan.conf", &report));
    assert_error("cannot read the configuration file /nonexistent/portolan.conf: No such file");
    ck_assert(!config_file_load(&config, "/", &report));
    assert_error("/: cannot read the file: Is a directory");
}
END_TEST

Suite *config_file_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("config_file", &tests);
    tcase_add_checked_fixture(tests, config_fixture_begin, config_fixture_end);
    tcase_add_test(tests, settings_comments_and_blank_lines_are_read);
    tcase_add_test(tests, a_value_says_which_line_it_is_from);
    tcase_add_test(tests, quotes_keep_hashes_blanks_and_semicolons);
    tcase_add_test(tests, quotes_that_do_not_match_are_an_error);
    tcase_add_test(tests, a_line_that_starts_with_a_blank_is_a_line_of_its_own);
    tcase_add_test(tests, what_is_no_setting_is_an_error_with_its_line);
    tcase_add_test(tests, all_errors_are_reported_up_to_twenty);
    tcase_add_test(tests, a_key_that_is_set_again_has_its_last_value_and_a_warning);
    tcase_add_test(tests, keys_of_emqx_are_counted_by_family);
    tcase_add_test(tests, emqx_s_words_of_a_log_are_understood);
    tcase_add_test(tests, a_long_line_of_ours_is_read_whole);
    tcase_add_test(tests, a_line_that_is_too_long_is_an_error_only_when_it_is_ours);
    tcase_add_test(tests, a_nul_byte_is_an_error);
    tcase_add_test(tests, a_byte_order_mark_is_no_part_of_the_first_key);
    tcase_add_test(tests, a_file_that_cannot_be_read_is_an_error_with_its_path);
    return suite;
}
