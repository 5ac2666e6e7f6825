#include "config/check.h"
#include "config/file.h"
#include "config/print.h"
#include "config_fixture.h"
#include "failing_allocation.h"
#include "names/epmd_service.h"
#include "names/port_pool.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(defaults_are_those_of_the_manual) {
    ck_assert_str_eq(config.node_name, "portolan@127.0.0.1");
    ck_assert_uint_eq(config.dist_base_port, 4370);
    ck_assert_uint_eq(config.dist_listen_min, 6369);
    ck_assert_uint_eq(config.dist_listen_max, 7369);
    ck_assert_int_eq(config.port_policy, PORT_POLICY_ANY);
    ck_assert(!config.port_enforce);
    ck_assert(!config.epmd_enable);
    ck_assert_uint_eq(config.epmd_port, 4369);
    ck_assert_str_eq(config.epmd_address, "");
    ck_assert_int_eq(config.packet_timeout_ms, 60000);
    ck_assert(!config.relaxed_commands);
    ck_assert_uint_eq(config.peer_connections, 512);
    ck_assert(config.front_enable);
    ck_assert_str_eq(config.front_address, "");
    ck_assert_int_eq(config.log_level, LOG_LEVEL_INFO);
    ck_assert_str_eq(config.log_to, "console");
    ck_assert_int_eq(config.log_format, LOG_FORMAT_TEXT);
}
END_TEST

START_TEST(under_the_name_epmd_it_does_what_epmd_does_and_nothing_else) {
    ck_assert_int_eq(config.remote_names, REMOTE_NAMES_MEMBERS);

    config_fixture_become(CONFIG_AS_EPMD);

    ck_assert(config.epmd_enable);
    ck_assert_int_eq(config.remote_names, REMOTE_NAMES_ON);
    ck_assert(!config.front_enable);
    ck_assert_str_eq(config.control_socket, "");
}
END_TEST

START_TEST(every_key_is_set_from_its_text) {
    ck_assert(set("node.name", "emqx-1@s1.emqx.io"));
    ck_assert(set("node.data_dir", "/var/lib/x"));
    ck_assert(set("node.dist_base_port", "4500"));
    ck_assert(set("node.dist_listen_min", "5000"));
    ck_assert(set("node.dist_listen_max", "5100"));
    ck_assert(set("node.port_policy", "derived"));
    ck_assert(set("node.port_enforce", "on"));
    ck_assert(set("epmd.enable", "true"));
    ck_assert(set("epmd.port", "5601"));
    ck_assert(set("epmd.address", "192.0.2.1,::1"));
    ck_assert(set("epmd.packet_timeout", "1500ms"));
    ck_assert(set("epmd.relaxed_command_check", "on"));
    ck_assert(set("epmd.remote_names", "yes"));
    ck_assert(set("epmd.peer_connections", "0"));
    ck_assert(set("limits.user_share", "50%"));
    ck_assert(set("front.enable", "off"));
    ck_assert(set("front.address", "127.0.0.1"));
    ck_assert(set("control.socket", "/tmp/x.sock"));
    ck_assert(set("log.level", "TRACE"));
    ck_assert(set("log.to", "/var/log/x"));
    ck_assert(set("log.format", "json"));

    ck_assert_str_eq(config.node_name, "emqx-1@s1.emqx.io");
    ck_assert_str_eq(config.data_dir, "/var/lib/x");
    ck_assert_uint_eq(config.dist_base_port, 4500);
    ck_assert_uint_eq(config.dist_listen_min, 5000);
    ck_assert_uint_eq(config.dist_listen_max, 5100);
    ck_assert_int_eq(config.port_policy, PORT_POLICY_DERIVED);
    ck_assert(config.port_enforce);
    ck_assert(config.epmd_enable);
    ck_assert_uint_eq(config.epmd_port, 5601);
    ck_assert_str_eq(config.epmd_address, "192.0.2.1,::1");
    ck_assert_int_eq(config.packet_timeout_ms, 1500);
    ck_assert(config.relaxed_commands);
    ck_assert_int_eq(config.remote_names, REMOTE_NAMES_ON);
    ck_assert_uint_eq(config.peer_connections, 0);
    ck_assert_uint_eq(config.user_share, 50);
    ck_assert(!config.front_enable);
    ck_assert_str_eq(config.front_address, "127.0.0.1");
    ck_assert_str_eq(config.control_socket, "/tmp/x.sock");
    ck_assert_int_eq(config.log_level, LOG_LEVEL_TRACE);
    ck_assert_str_eq(config.log_to, "/var/log/x");
    ck_assert_int_eq(config.log_format, LOG_FORMAT_JSON);
}
END_TEST

START_TEST(a_wrong_value_is_named_with_what_would_be_right) {
    static const struct {
        const char *key, *value, *right;
    } wrong[] = {
        {"node.name", "emqx@s1", "not fully qualified"},
        {"node.name", "emqx", "no @"},
        {"node.data_dir", "", "the path of a directory"},
        {"node.dist_base_port", "4370x", "1 to 65535"},
        {"node.port_policy", "random", "range, derived or any"},
        {"epmd.port", "0", "1 to 65535"},
        {"epmd.port", "65536", "1 to 65535"},
        {"epmd.port", "-1", "1 to 65535"},
        {"epmd.port", "", "1 to 65535"},
        {"epmd.packet_timeout", "0", "above 0"},
        {"epmd.packet_timeout", "soon", "such as 60"},
        {"epmd.remote_names", "maybe", "on, off or members"},
        {"epmd.peer_connections", "4294967296", "a number from 0"},
        {"limits.user_share", "0%", "1% to 100%"},
        {"limits.user_share", "101", "1% to 100%"},
        {"limits.user_share", "%", "1% to 100%"},
        {"limits.user_share", "25 %", "1% to 100%"},
        {"limits.user_share", "a quarter", "1% to 100%"},
        {"control.socket", "portolan.sock", "absolute path"},
        {"log.level", "loud", "debug"},
        {"log.to", "stdout", "console, syslog"},
        {"log.format", "xml", "text or json"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!set(wrong[i].key, wrong[i].value), "%s=%s", wrong[i].key, wrong[i].value);
        assert_error("--set: cannot set ");
        assert_error(wrong[i].key);
        assert_error(wrong[i].value);
        assert_error(wrong[i].right);
        config_report_free(&report);
    }
}
END_TEST

START_TEST(a_wrong_value_leaves_the_old_one) {
    ck_assert(set("epmd.port", "5601"));
    ck_assert(set("log.to", "syslog"));

    ck_assert(!set("epmd.port", "70000"));
    ck_assert(!set("log.to", "nowhere"));

    ck_assert_uint_eq(config.epmd_port, 5601);
    ck_assert_str_eq(config.log_to, "syslog");
}
END_TEST

START_TEST(an_unknown_key_is_named_with_the_nearest) {
    ck_assert(!set("epmd.prot", "1"));
    assert_error("cannot set epmd.prot: unknown key; did you mean epmd.port?");
    ck_assert(!set("", "1"));
    ck_assert(!set("EPMD.PORT", "1"));
    ck_assert(!set("something.else", "1"));
    assert_error("--print-config lists all");
    ck_assert(!set("node.process_limit", "1"));
    assert_error("this key of EMQX");
}
END_TEST

START_TEST(an_overlong_key_or_value_is_cut_in_the_error) {
    char long_text[20000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';

    ck_assert(!set(long_text, "1"));
    ck_assert(!set("epmd.port", long_text));
    assert_error("xxx...': not a valid port; expected a port from 1 to 65535");
    ck_assert(!set("control.socket",
                   "/a/path/that/is/longer/than/a/socket/can/have/"
                   "0123456789012345678901234567890123456789012345678901234567890123"));
    assert_error("too long for a socket");
    ck_assert(!config_set_pair(&config, long_text, "--set", &report));
    assert_error("KEY=VALUE");
}
END_TEST

START_TEST(control_characters_of_a_value_do_not_reach_the_terminal) {
    ck_assert(!set("epmd.port", "\x1b[31m"));
    assert_error("'\\u001b[31m'");
}
END_TEST

START_TEST(a_pair_is_parted_at_its_first_equals_sign) {
    ck_assert(config_set_pair(&config, "epmd.port=5601", "--set", &report));
    ck_assert_uint_eq(config.epmd_port, 5601);
    ck_assert(config_set_pair(&config, "epmd.address=a=b", "--set", &report));
    ck_assert_str_eq(config.epmd_address, "a=b");
    ck_assert(config_set_pair(&config, "epmd.address=", "--set", &report));
    ck_assert_str_eq(config.epmd_address, "");

    ck_assert(!config_set_pair(&config, "epmd.port", "--set", &report));
    assert_error("KEY=VALUE");
    ck_assert(!config_set_pair(&config, "=5601", "--set", &report));
}
END_TEST

START_TEST(a_relative_directory_starts_where_the_program_was_started) {
    free(config.directory);
    config.directory = strdup("/opt/emqx");
    ck_assert(set("node.data_dir", "data"));
    ck_assert_str_eq(config.data_dir, "/opt/emqx/data");
    ck_assert(config_use_file(&config, "etc/emqx.conf"));
    ck_assert_str_eq(config.file, "/opt/emqx/etc/emqx.conf");
}
END_TEST

START_TEST(a_stronger_source_wins_whenever_it_speaks) {
    const struct config_origin sources[] = {{CONFIG_FROM_FILE, "x.conf:1"},
                                            {CONFIG_FROM_ENVIRONMENT, "PORTOLAN_EPMD__PORT"},
                                            {CONFIG_FROM_FLAG, "-port"}};
    static const char *const values[] = {"1001", "1002", "1003"};
    for (size_t first = 0; first < 3; first++) {
        for (size_t second = 0; second < 3; second++) {
            size_t winner = second >= first ? second : first;
            config_fixture_become(CONFIG_AS_PORTOLAND);
            ck_assert(config_set(&config, "epmd.port", values[first], &sources[first], &report));
            ck_assert(config_set(&config, "epmd.port", values[second], &sources[second], &report));
            ck_assert_uint_eq(config.epmd_port, 1001 + winner);
        }
    }
}
END_TEST

START_TEST(a_weaker_source_is_judged_all_the_same) {
    const struct config_origin file = {CONFIG_FROM_FILE, "x.conf:7"};
    ck_assert(set("epmd.port", "5601"));
    ck_assert(!config_set(&config, "epmd.port", "none", &file, &report));
    assert_error("x.conf:7: cannot set epmd.port to 'none'");
}
END_TEST

/* --- what no key can know alone --- */

START_TEST(the_defaults_go_with_one_another) {
    ck_assert(config_check(&config, &report));
    config_fixture_become(CONFIG_AS_EPMD);
    ck_assert(config_check(&config, &report));
}
END_TEST

START_TEST(a_range_that_ends_before_it_begins_is_refused_with_both_keys) {
    ck_assert(set("node.dist_listen_min", "8000"));
    ck_assert(!config_check(&config, &report));
    assert_error("node.dist_listen_min is 8000 (--set) and node.dist_listen_max is 7369 "
                 "(the default)");
}
END_TEST

START_TEST(a_range_of_one_port_is_a_range) {
    ck_assert(set("node.dist_listen_min", "7369"));
    ck_assert(config_check(&config, &report));
}
END_TEST

START_TEST(an_address_that_is_none_is_refused) {
    ck_assert(set("front.address", " 127.0.0.1,, ::1\t[::1],"));
    ck_assert(config_check(&config, &report));
    ck_assert(set("front.address", "127.0.0.1,localhost"));
    ck_assert(!config_check(&config, &report));
    assert_error("cannot set front.address: 'localhost' is not an IP address");
}
END_TEST

START_TEST(a_front_port_over_65535_is_refused_with_the_sum) {
    ck_assert(set("node.name", "n59999@192.0.2.1"));
    ck_assert(set("node.dist_base_port", "6000"));
    ck_assert(!config_check(&config, &report));
    assert_error("6000 (--set) plus the offset 59999 is 65999");

    config_report_free(&report);
    ck_assert(set("front.enable", "off") && set("epmd.enable", "on"));
    ck_assert(config_check(&config, &report));
}
END_TEST

START_TEST(a_daemon_without_any_port_is_refused) {
    ck_assert(set("front.enable", "off"));
    ck_assert(!config_check(&config, &report));
    assert_error("no port to open: epmd.enable (the default) and front.enable (--set)");
}
END_TEST

/* --- defaults of the place --- */

START_TEST(state_and_socket_go_where_systemd_says) {
    setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
    setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
    config_fixture_become(CONFIG_AS_PORTOLAND);

    ck_assert_str_eq(config.data_dir, "/var/lib/one");
    ck_assert_str_eq(config.control_socket, "/run/one/portolan.sock");
    unsetenv("STATE_DIRECTORY");
    unsetenv("RUNTIME_DIRECTORY");
}
END_TEST

START_TEST(state_and_socket_go_to_the_places_of_the_user) {
    const char *kept_home = getenv("HOME");
    char home[256];
    strcpy(home, kept_home == NULL ? "" : kept_home);
    uid_t user = geteuid();
    ck_assert(user != 0 || seteuid(65534) == 0);

    setenv("HOME", "/home/someone", 1);
    setenv("XDG_STATE_HOME", "/home/someone/state", 1);
    setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
    struct config with, without;
    bool first = config_init(&with, CONFIG_AS_PORTOLAND);
    unsetenv("XDG_STATE_HOME");
    unsetenv("XDG_RUNTIME_DIR");
    bool second = config_init(&without, CONFIG_AS_PORTOLAND);

    ck_assert(user != 0 || seteuid(0) == 0);
    setenv("HOME", home, 1);
    ck_assert(first && second);
    ck_assert_str_eq(with.data_dir, "/home/someone/state/portolan");
    ck_assert_str_eq(with.control_socket, "/run/user/1000/portolan.sock");
    ck_assert_str_eq(without.data_dir, "/home/someone/.local/state/portolan");
    if (user == 0) /* it became nobody, who has no directory in /run/user */
        ck_assert_str_eq(without.control_socket, "/tmp/portolan-65534/portolan.sock");
    config_free(&with);
    config_free(&without);
}
END_TEST

/* --- without memory --- */

START_TEST(without_memory_there_are_no_defaults_and_nothing_leaks) {
    config_free(&config);

    for (unsigned n = 1;; n++) {
        fail_nth_allocation(n);
        bool made = config_init(&config, CONFIG_AS_EPMD);
        bool failed = allocation_failed();
        ck_assert_int_eq(made, !failed);
        if (!failed)
            break;
        config_free(&config);
    }
}
END_TEST

START_TEST(without_memory_a_text_keeps_its_value) {
    ck_assert(set("epmd.address", "192.0.2.1"));

    for (unsigned n = 1; n <= 2; n++) {
        fail_nth_allocation(n);
        bool changed = set("epmd.address", "192.0.2.2");

        ck_assert(allocation_failed());
        ck_assert(!changed);
        ck_assert_str_eq(config.epmd_address, "192.0.2.1");
        assert_error("out of memory");
    }
}
END_TEST

START_TEST(without_memory_a_file_is_an_error_and_nothing_leaks) {
    char text[] = "epmd.address = 192.0.2.1\nnode.dist_base_port = 4371\n";
    for (unsigned n = 1;; n++) {
        config_fixture_become(CONFIG_AS_PORTOLAND);
        FILE *stream = fmemopen(text, strlen(text), "r");
        fail_nth_allocation(n);
        bool read = config_file_parse(&config, stream, "test.conf", &report);
        bool failed = allocation_failed();
        fclose(stream);
        ck_assert_int_eq(read, !failed);
        if (!failed)
            break;
    }
}
END_TEST

/* --- help --- */

START_TEST(help_describes_every_key_with_its_default) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    config_print_help(CONFIG_AS_PORTOLAND, out);
    fclose(out);

    ck_assert_ptr_nonnull(strstr(text, "epmd.port (4369)\n"));
    ck_assert_ptr_nonnull(strstr(text, "epmd.packet_timeout (1m)\n"));
    ck_assert_ptr_nonnull(strstr(text, "epmd.address\n"));
    ck_assert_ptr_nonnull(strstr(text, "log.format (text)\n"));
    free(text);
}
END_TEST

Suite *config_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("config", &tests);
    tcase_add_checked_fixture(tests, config_fixture_begin, config_fixture_end);
    tcase_add_test(tests, defaults_are_those_of_the_manual);
    tcase_add_test(tests, under_the_name_epmd_it_does_what_epmd_does_and_nothing_else);
    tcase_add_test(tests, every_key_is_set_from_its_text);
    tcase_add_test(tests, a_wrong_value_is_named_with_what_would_be_right);
    tcase_add_test(tests, a_wrong_value_leaves_the_old_one);
    tcase_add_test(tests, an_unknown_key_is_named_with_the_nearest);
    tcase_add_test(tests, an_overlong_key_or_value_is_cut_in_the_error);
    tcase_add_test(tests, control_characters_of_a_value_do_not_reach_the_terminal);
    tcase_add_test(tests, a_pair_is_parted_at_its_first_equals_sign);
    tcase_add_test(tests, a_relative_directory_starts_where_the_program_was_started);
    tcase_add_test(tests, a_stronger_source_wins_whenever_it_speaks);
    tcase_add_test(tests, a_weaker_source_is_judged_all_the_same);
    tcase_add_test(tests, the_defaults_go_with_one_another);
    tcase_add_test(tests, a_range_that_ends_before_it_begins_is_refused_with_both_keys);
    tcase_add_test(tests, a_range_of_one_port_is_a_range);
    tcase_add_test(tests, an_address_that_is_none_is_refused);
    tcase_add_test(tests, a_front_port_over_65535_is_refused_with_the_sum);
    tcase_add_test(tests, a_daemon_without_any_port_is_refused);
    tcase_add_test(tests, state_and_socket_go_where_systemd_says);
    tcase_add_test(tests, state_and_socket_go_to_the_places_of_the_user);
    tcase_add_test(tests, without_memory_there_are_no_defaults_and_nothing_leaks);
    tcase_add_test(tests, without_memory_a_text_keeps_its_value);
    tcase_add_test(tests, without_memory_a_file_is_an_error_and_nothing_leaks);
    tcase_add_test(tests, help_describes_every_key_with_its_default);
    return suite;
}
