#include "config/reload.h"

#include "config_fixture.h"
#include "names/epmd_service.h"
#include "scratch.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>

static struct scratch scratch;
static struct config fresh;
static char applied[512], restart[512];

static void write_file(const char *text) {
    scratch_write(&scratch, "portolan.conf", bytes_of_text(text));
}

static void begin(void) {
    scratch_make(&scratch);
    config_fixture_begin();
    write_file("epmd.port = 5601\nlog.level = info\n");
    ck_assert(config_use_file(&config, scratch_path(&scratch, "portolan.conf")));
    ck_assert(config_load(&config, &report));
    applied[0] = restart[0] = '\0';
}

static void end(void) {
    config_free(&fresh);
    config_fixture_end();
    scratch_remove(&scratch);
}

static void on_changed(void *context, const char *key, bool now) {
    ck_assert_ptr_eq(context, &scratch);
    strcat(strcat(now ? applied : restart, key), " ");
}

static bool reload(void) {
    if (!config_reload_read(&config, &fresh, &report))
        return false;
    config_reload(&config, &fresh, on_changed, &scratch);
    return true;
}

START_TEST(nothing_changes_when_nothing_has_changed) {
    ck_assert(reload());
    ck_assert_str_eq(applied, "");
    ck_assert_str_eq(restart, "");
}
END_TEST

START_TEST(what_can_be_is_applied_and_the_rest_is_named) {
    write_file("epmd.port = 5602\nlog.level = debug\nnode.dist_listen_max = 6400\n"
               "node.name = a@b.c\nepmd.packet_timeout = 5s\nlog.to = /tmp/x\n");
    ck_assert(reload());

    ck_assert_str_eq(applied, "node.dist_listen_max epmd.packet_timeout log.level log.to ");
    ck_assert_str_eq(restart, "node.name epmd.port ");
    ck_assert_int_eq(config.log_level, LOG_LEVEL_DEBUG);
    ck_assert_uint_eq(config.dist_listen_max, 6400);
    ck_assert_str_eq(config.log_to, "/tmp/x");
    ck_assert_uint_eq(config.epmd_port, 5601);
    ck_assert_str_eq(config.node_name, "portolan@127.0.0.1");
}
END_TEST

START_TEST(what_left_the_file_has_its_default_again) {
    write_file("epmd.remote_names = on\nepmd.port = 5601\n");
    ck_assert(reload());
    ck_assert_int_eq(config.remote_names, REMOTE_NAMES_ON);

    config_free(&fresh);
    write_file("epmd.port = 5601\n");
    ck_assert(reload());
    ck_assert_int_eq(config.remote_names, REMOTE_NAMES_MEMBERS);
    ck_assert_str_eq(applied, "epmd.remote_names epmd.remote_names ");
}
END_TEST

START_TEST(flags_and_the_environment_stay_stronger_than_the_file) {
    setenv("PORTOLAN_LOG__FORMAT", "json", 1);
    ck_assert(set("log.level", "trace"));
    ck_assert(config_load(&config, &report));

    write_file("epmd.port = 5601\nlog.level = error\nlog.format = text\n");
    ck_assert(reload());

    ck_assert_str_eq(applied, "");
    ck_assert_int_eq(config.log_level, LOG_LEVEL_TRACE);
    ck_assert_int_eq(config.log_format, LOG_FORMAT_JSON);
}
END_TEST

START_TEST(a_file_with_an_error_changes_nothing) {
    write_file("log.level = debug\nepmd.port = none\n");
    ck_assert(!reload());
    assert_error("portolan.conf:2: cannot set epmd.port to 'none'");
    ck_assert_int_eq(config.log_level, LOG_LEVEL_INFO);
}
END_TEST

START_TEST(values_that_do_not_go_with_one_another_change_nothing) {
    write_file("node.dist_listen_min = 9000\n");
    ck_assert(!reload());
    assert_error("cannot use the range of ports");
    ck_assert_uint_eq(config.dist_listen_min, 6369);
}
END_TEST

START_TEST(relative_paths_start_where_the_program_was_started) {
    free(config.directory);
    config.directory = strdup("/opt/emqx");
    write_file("epmd.port = 5601\nnode.data_dir = data\n");
    ck_assert(reload());
    ck_assert_str_eq(fresh.data_dir, "/opt/emqx/data");
}
END_TEST

Suite *config_reload_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("config_reload", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, nothing_changes_when_nothing_has_changed);
    tcase_add_test(tests, what_can_be_is_applied_and_the_rest_is_named);
    tcase_add_test(tests, what_left_the_file_has_its_default_again);
    tcase_add_test(tests, flags_and_the_environment_stay_stronger_than_the_file);
    tcase_add_test(tests, a_file_with_an_error_changes_nothing);
    tcase_add_test(tests, values_that_do_not_go_with_one_another_change_nothing);
    tcase_add_test(tests, relative_paths_start_where_the_program_was_started);
    return suite;
}
