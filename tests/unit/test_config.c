#include "daemon/config.h"

#include "failing_allocation.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static char error[CONFIG_ERROR_SIZE];

/* Nothing of the environment that the tests run in may be taken for a setting. */
static void clear_environment(void) {
    static const char *const variables[] = {
        "ERL_EPMD_PORT",
        "ERL_EPMD_ADDRESS",
        "ERL_EPMD_RELAXED_COMMAND_CHECK",
        "STATE_DIRECTORY",
        "PORTOLAN_NODE__DATA_DIR",
        "PORTOLAN_EPMD__PORT",
        "PORTOLAN_EPMD__PACKET_TIMEOUT",
        "PORTOLAN_LOG__LEVEL",
    };
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
}

static void begin(void) {
    clear_environment();
    ck_assert(config_init(&config, CONFIG_AS_PORTOLAND));
    memset(error, 0, sizeof error);
}

static void end(void) {
    config_free(&config);
    clear_environment();
}

static bool set(const char *key, const char *value) {
    return config_set(&config, key, value, error);
}

/* The error names what was tried, and says what would be right. */
static void assert_error(const char *part) {
    ck_assert_msg(strstr(error, part) != NULL, "'%s' does not say '%s'", error, part);
}

START_TEST(defaults_are_those_of_the_manual) {
    ck_assert_uint_eq(config.epmd_port, 4369);
    ck_assert_str_eq(config.epmd_address, "");
    ck_assert_int_eq(config.packet_timeout_ms, 60000);
    ck_assert(!config.relaxed_commands);
    ck_assert_uint_eq(config.peer_connections, 512);
    ck_assert_int_eq(config.log_level, LOG_LEVEL_INFO);
    ck_assert_str_eq(config.log_to, "console");
    ck_assert_int_eq(config.log_format, LOG_FORMAT_TEXT);
}
END_TEST

START_TEST(only_an_epmd_tells_its_names_to_other_hosts_unasked) {
    ck_assert(!config.remote_names);

    config_free(&config);
    ck_assert(config_init(&config, CONFIG_AS_EPMD));
    ck_assert(config.remote_names);
}
END_TEST

START_TEST(every_key_is_set_from_its_text) {
    ck_assert(set("node.data_dir", "/var/lib/x"));
    ck_assert(set("epmd.port", "5601"));
    ck_assert(set("epmd.address", "192.0.2.1,::1"));
    ck_assert(set("epmd.packet_timeout", "1500ms"));
    ck_assert(set("epmd.relaxed_command_check", "on"));
    ck_assert(set("epmd.remote_names", "yes"));
    ck_assert(set("epmd.peer_connections", "0"));
    ck_assert(set("log.level", "TRACE"));
    ck_assert(set("log.to", "/var/log/x"));
    ck_assert(set("log.format", "json"));

    ck_assert_str_eq(config.data_dir, "/var/lib/x");
    ck_assert_uint_eq(config.epmd_port, 5601);
    ck_assert_str_eq(config.epmd_address, "192.0.2.1,::1");
    ck_assert_int_eq(config.packet_timeout_ms, 1500);
    ck_assert(config.relaxed_commands);
    ck_assert(config.remote_names);
    ck_assert_uint_eq(config.peer_connections, 0);
    ck_assert_int_eq(config.log_level, LOG_LEVEL_TRACE);
    ck_assert_str_eq(config.log_to, "/var/log/x");
    ck_assert_int_eq(config.log_format, LOG_FORMAT_JSON);
}
END_TEST

START_TEST(a_wrong_value_is_named_with_what_would_be_right) {
    static const struct {
        const char *key, *value, *right;
    } wrong[] = {
        {"node.data_dir", "lib/x", "absolute path"},
        {"node.data_dir", "", "absolute path"},
        {"epmd.port", "0", "1 to 65535"},
        {"epmd.port", "65536", "1 to 65535"},
        {"epmd.port", "-1", "1 to 65535"},
        {"epmd.port", "", "1 to 65535"},
        {"epmd.packet_timeout", "0", "over 0"},
        {"epmd.packet_timeout", "soon", "such as 60"},
        {"epmd.remote_names", "maybe", "on or off"},
        {"epmd.peer_connections", "4294967296", "number"},
        {"log.level", "loud", "debug"},
        {"log.to", "stdout", "console, syslog"},
        {"log.format", "xml", "text or json"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!set(wrong[i].key, wrong[i].value), "%s=%s", wrong[i].key, wrong[i].value);
        assert_error(wrong[i].key);
        assert_error(wrong[i].value);
        assert_error(wrong[i].right);
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

START_TEST(an_unknown_key_is_named) {
    ck_assert(!set("epmd.prot", "1"));
    assert_error("epmd.prot");
    ck_assert(!set("", "1"));
    ck_assert(!set("EPMD.PORT", "1"));
}
END_TEST

START_TEST(an_overlong_key_or_value_is_cut_in_the_error) {
    char long_text[2000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';

    ck_assert(!set(long_text, "1"));
    ck_assert_uint_lt(strlen(error), sizeof error);
    ck_assert(!set("epmd.port", long_text));
    assert_error("1 to 65535");
    ck_assert(!config_set_pair(&config, long_text, error));
    assert_error("KEY=VALUE");
}
END_TEST

START_TEST(a_pair_is_parted_at_its_first_equals_sign) {
    ck_assert(config_set_pair(&config, "epmd.port=5601", error));
    ck_assert_uint_eq(config.epmd_port, 5601);
    ck_assert(config_set_pair(&config, "epmd.address=a=b", error));
    ck_assert_str_eq(config.epmd_address, "a=b");
    ck_assert(config_set_pair(&config, "epmd.address=", error));
    ck_assert_str_eq(config.epmd_address, "");

    ck_assert(!config_set_pair(&config, "epmd.port", error));
    assert_error("KEY=VALUE");
    ck_assert(!config_set_pair(&config, "=5601", error));
}
END_TEST

START_TEST(the_environment_of_epmd_counts) {
    setenv("ERL_EPMD_PORT", "5601", 1);
    setenv("ERL_EPMD_ADDRESS", "192.0.2.1", 1);
    setenv("ERL_EPMD_RELAXED_COMMAND_CHECK", "", 1); /* set at all means on */

    ck_assert(config_load_environment(&config, error));

    ck_assert_uint_eq(config.epmd_port, 5601);
    ck_assert_str_eq(config.epmd_address, "192.0.2.1");
    ck_assert(config.relaxed_commands);
}
END_TEST

START_TEST(a_variable_of_our_own_beats_one_of_epmd) {
    setenv("ERL_EPMD_PORT", "5601", 1);
    setenv("PORTOLAN_EPMD__PORT", "5602", 1);
    setenv("PORTOLAN_EPMD__PACKET_TIMEOUT", "5s", 1);
    setenv("PORTOLAN_LOG__LEVEL", "debug", 1);

    ck_assert(config_load_environment(&config, error));

    ck_assert_uint_eq(config.epmd_port, 5602);
    ck_assert_int_eq(config.packet_timeout_ms, 5000);
    ck_assert_int_eq(config.log_level, LOG_LEVEL_DEBUG);
}
END_TEST

START_TEST(an_empty_environment_changes_nothing) {
    ck_assert(config_load_environment(&config, error));

    ck_assert_uint_eq(config.epmd_port, 4369);
    ck_assert(!config.relaxed_commands);
}
END_TEST

START_TEST(a_wrong_variable_is_an_error) {
    setenv("PORTOLAN_EPMD__PORT", "none", 1);
    ck_assert(!config_load_environment(&config, error));
    assert_error("epmd.port");

    unsetenv("PORTOLAN_EPMD__PORT");
    setenv("ERL_EPMD_PORT", "none", 1);
    ck_assert(!config_load_environment(&config, error));
    assert_error("epmd.port");
}
END_TEST

START_TEST(state_goes_where_systemd_says) {
    setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
    config_free(&config);

    ck_assert(config_init(&config, CONFIG_AS_PORTOLAND));
    ck_assert_str_eq(config.data_dir, "/var/lib/one");
}
END_TEST

START_TEST(state_goes_to_the_place_of_the_user) {
    const char *kept_home = getenv("HOME"), *kept_state = getenv("XDG_STATE_HOME");
    char home[256], state[256];
    strcpy(home, kept_home == NULL ? "" : kept_home);
    strcpy(state, kept_state == NULL ? "" : kept_state);
    uid_t user = geteuid();
    ck_assert(user != 0 || seteuid(65534) == 0);
    config_free(&config);

    setenv("HOME", "/home/someone", 1);
    setenv("XDG_STATE_HOME", "/home/someone/state", 1);
    bool first = config_init(&config, CONFIG_AS_PORTOLAND);
    char *with_state_home = config.data_dir;
    config.data_dir = NULL;
    config_free(&config);
    unsetenv("XDG_STATE_HOME");
    bool second = config_init(&config, CONFIG_AS_PORTOLAND);

    ck_assert(user != 0 || seteuid(0) == 0);
    setenv("HOME", home, 1);
    if (kept_state != NULL)
        setenv("XDG_STATE_HOME", state, 1);
    ck_assert(first && second);
    ck_assert_str_eq(with_state_home, "/home/someone/state/portolan");
    ck_assert_str_eq(config.data_dir, "/home/someone/.local/state/portolan");
    free(with_state_home);
}
END_TEST

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

    fail_nth_allocation(1);
    bool changed = set("epmd.address", "192.0.2.2");

    ck_assert(allocation_failed());
    ck_assert(!changed);
    ck_assert_str_eq(config.epmd_address, "192.0.2.1");
}
END_TEST

START_TEST(help_describes_every_key_with_its_default) {
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    config_describe(out);
    fclose(out);

    ck_assert_ptr_nonnull(strstr(text, "epmd.port (4369)\n"));
    ck_assert_ptr_nonnull(strstr(text, "epmd.packet_timeout (60s)\n"));
    ck_assert_ptr_nonnull(strstr(text, "node.data_dir\n"));
    ck_assert_ptr_nonnull(strstr(text, "log.format (text)\n"));
    free(text);
}
END_TEST

Suite *config_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("config", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, defaults_are_those_of_the_manual);
    tcase_add_test(tests, only_an_epmd_tells_its_names_to_other_hosts_unasked);
    tcase_add_test(tests, every_key_is_set_from_its_text);
    tcase_add_test(tests, a_wrong_value_is_named_with_what_would_be_right);
    tcase_add_test(tests, a_wrong_value_leaves_the_old_one);
    tcase_add_test(tests, an_unknown_key_is_named);
    tcase_add_test(tests, an_overlong_key_or_value_is_cut_in_the_error);
    tcase_add_test(tests, a_pair_is_parted_at_its_first_equals_sign);
    tcase_add_test(tests, the_environment_of_epmd_counts);
    tcase_add_test(tests, a_variable_of_our_own_beats_one_of_epmd);
    tcase_add_test(tests, an_empty_environment_changes_nothing);
    tcase_add_test(tests, a_wrong_variable_is_an_error);
    tcase_add_test(tests, state_goes_where_systemd_says);
    tcase_add_test(tests, state_goes_to_the_place_of_the_user);
    tcase_add_test(tests, without_memory_there_are_no_defaults_and_nothing_leaks);
    tcase_add_test(tests, without_memory_a_text_keeps_its_value);
    tcase_add_test(tests, help_describes_every_key_with_its_default);
    return suite;
}
