#include "config/environment.h"
#include "config_fixture.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>

static bool load(void) {
    return config_environment_load(&config, &report);
}

static void become_epmd(void) {
    config_fixture_become(CONFIG_AS_EPMD);
}

START_TEST(an_empty_environment_changes_nothing) {
    ck_assert(load());

    ck_assert_uint_eq(config.epmd_port, 4369);
    ck_assert(!config.relaxed_commands);
    ck_assert(!config.epmd_enable);
}
END_TEST

START_TEST(the_environment_of_epmd_counts) {
    setenv("ERL_EPMD_PORT", "5601", 1);
    setenv("ERL_EPMD_ADDRESS", "192.0.2.1", 1);
    setenv("ERL_EPMD_RELAXED_COMMAND_CHECK", "", 1); /* set at all means on */

    ck_assert(load());

    ck_assert_uint_eq(config.epmd_port, 5601);
    ck_assert_str_eq(config.epmd_address, "192.0.2.1");
    ck_assert(config.relaxed_commands);
}
END_TEST

START_TEST(whatever_the_relaxed_check_is_set_to_turns_it_on) {
    setenv("ERL_EPMD_RELAXED_COMMAND_CHECK", "false", 1);
    ck_assert(load());
    ck_assert(config.relaxed_commands);
}
END_TEST

START_TEST(a_variable_of_our_own_beats_emqx_s_and_epmd_s) {
    setenv("ERL_EPMD_PORT", "5601", 1);
    ck_assert(load());
    ck_assert_uint_eq(config.epmd_port, 5601);
    setenv("EMQX_EPMD_PORT", "5602", 1);
    ck_assert(load());
    ck_assert_uint_eq(config.epmd_port, 5602);
    setenv("EMQX_EPMD__PORT", "5603", 1);
    ck_assert(load());
    ck_assert_uint_eq(config.epmd_port, 5603);
    setenv("PORTOLAN_EPMD__PORT", "5604", 1);
    ck_assert(load());
    ck_assert_uint_eq(config.epmd_port, 5604);
}
END_TEST

START_TEST(every_form_of_the_name_works_for_every_part_of_a_key) {
    setenv("EMQX_NODE_NAME", "emqx-2@s2.emqx.io", 1);
    setenv("EMQX_NODE__DATA_DIR", "/opt/emqx/data", 1);
    setenv("PORTOLAN_EPMD__PACKET_TIMEOUT", "5s", 1);
    setenv("PORTOLAN_LOG__LEVEL", "debug", 1);

    ck_assert(load());

    ck_assert_str_eq(config.node_name, "emqx-2@s2.emqx.io");
    ck_assert_str_eq(config.data_dir, "/opt/emqx/data");
    ck_assert_int_eq(config.packet_timeout_ms, 5000);
    ck_assert_int_eq(config.log_level, LOG_LEVEL_DEBUG);
}
END_TEST

START_TEST(with_epmd_turns_the_port_of_epmd_on) {
    setenv("WITH_EPMD", "", 1);
    ck_assert(load());
    ck_assert(!config.epmd_enable);
    setenv("WITH_EPMD", "1", 1);
    ck_assert(load());
    ck_assert(config.epmd_enable);
}
END_TEST

START_TEST(emqx_s_log_to_is_about_its_own_files) {
    setenv("EMQX_LOG__TO", "file", 1);
    ck_assert(load());
    ck_assert_str_eq(config.log_to, "console");
    ck_assert_ptr_nonnull(strstr(remarks(CONFIG_NOTE), "EMQX_LOG__TO: log.to = file concerns"));

    setenv("PORTOLAN_LOG__TO", "file", 1);
    ck_assert(!load());
}
END_TEST

START_TEST(variables_of_emqx_s_own_keys_are_no_concern) {
    setenv("EMQX_NODE__PROCESS_LIMIT", "1", 1);
    setenv("EMQX_ALLOW_ANONYMOUS", "false", 1);
    setenv("EMQX_NODE_DIST_LISTEN", "1", 1);
    ck_assert(load());
    ck_assert_str_eq(remarks(CONFIG_WARNING), "");
}
END_TEST

START_TEST(what_kubernetes_sets_for_a_service_is_no_setting) {
    setenv("EMQX_EPMD_PORT", "tcp://10.0.0.1:4369", 1);
    ck_assert(load());
    ck_assert_uint_eq(config.epmd_port, 4369);
}
END_TEST

START_TEST(under_the_name_epmd_emqx_is_no_concern) {
    become_epmd();
    setenv("EMQX_EPMD__PORT", "5601", 1);
    setenv("EMQX_NODE_NAME", "nonsense", 1);
    setenv("WITH_EPMD", "0", 1);
    setenv("PORTOLAN_EPMD__PACKET_TIMEOUT", "5s", 1);

    ck_assert(load());

    ck_assert(config.epmd_enable);
    ck_assert_uint_eq(config.epmd_port, 4369);
    ck_assert_int_eq(config.packet_timeout_ms, 5000);
}
END_TEST

START_TEST(a_wrong_variable_is_an_error) {
    setenv("PORTOLAN_EPMD__PORT", "none", 1);
    ck_assert(!load());
    assert_error("PORTOLAN_EPMD__PORT: cannot set epmd.port to 'none'");

    unsetenv("PORTOLAN_EPMD__PORT");
    setenv("ERL_EPMD_PORT", "none", 1);
    ck_assert(!load());
    assert_error("ERL_EPMD_PORT: cannot set epmd.port to 'none'");
}
END_TEST

START_TEST(a_variable_that_is_almost_a_key_is_warned_of) {
    setenv("PORTOLAN_NODE__NMAE", "x@y.z", 1);
    setenv("PORTOLAN_BUILD", "build", 1);
    setenv("PORTOLAN_PORT_4370_TCP", "tcp://10.0.0.1:4370", 1);
    ck_assert(load());
    ck_assert_str_eq(remarks(CONFIG_WARNING), "t: PORTOLAN_NODE__NMAE: unknown key node.nmae; "
                                              "did you mean PORTOLAN_NODE__NAME?\n");
}
END_TEST

Suite *config_environment_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("config_environment", &tests);
    tcase_add_checked_fixture(tests, config_fixture_begin, config_fixture_end);
    tcase_add_test(tests, an_empty_environment_changes_nothing);
    tcase_add_test(tests, the_environment_of_epmd_counts);
    tcase_add_test(tests, whatever_the_relaxed_check_is_set_to_turns_it_on);
    tcase_add_test(tests, a_variable_of_our_own_beats_emqx_s_and_epmd_s);
    tcase_add_test(tests, every_form_of_the_name_works_for_every_part_of_a_key);
    tcase_add_test(tests, with_epmd_turns_the_port_of_epmd_on);
    tcase_add_test(tests, emqx_s_log_to_is_about_its_own_files);
    tcase_add_test(tests, variables_of_emqx_s_own_keys_are_no_concern);
    tcase_add_test(tests, what_kubernetes_sets_for_a_service_is_no_setting);
    tcase_add_test(tests, under_the_name_epmd_emqx_is_no_concern);
    tcase_add_test(tests, a_wrong_variable_is_an_error);
    tcase_add_test(tests, a_variable_that_is_almost_a_key_is_warned_of);
    return suite;
}
