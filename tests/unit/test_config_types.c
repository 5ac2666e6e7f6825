/* The types of values: what each takes, at its very edges, why not, and how it is printed again. */
#include "config/types.h"
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X250 X50 X50 X50 X50 X50
#define SOCKET_107 "/" X50 X50 "xxxxxx"
#define LABEL_63 X50 X10 "xxx"
#define HOST_253 LABEL_63 "." LABEL_63 "." LABEL_63 "." X50 X10 "x"

static const struct {
    enum config_type type;
    const char *text;
    const char *why;   /* NULL: it is taken */
    const char *again; /* how it is printed then; NULL: as it was */
} values[] = {
    {CONFIG_NODE, "portolan@192.0.2.1", NULL, NULL},
    {CONFIG_NODE, "a_b-1@s1.example.com", NULL, NULL},
    {CONFIG_NODE, "a@2001:db8::1", NULL, NULL},
    {CONFIG_NODE, "", "no @ in it", NULL},
    {CONFIG_NODE, "portolan", "no @ in it", NULL},
    {CONFIG_NODE, "a@b@c.d", "more than one @ in it", NULL},
    {CONFIG_NODE, "@s1.example.com", "invalid name before the @", NULL},
    {CONFIG_NODE, "a.b@s1.example.com", "invalid name before the @", NULL},
    {CONFIG_NODE, "a@", "no host after the @", NULL},
    {CONFIG_NODE, "a@192.0.2", "its host is not a valid IP address", NULL},
    {CONFIG_NODE, "a@192.0.2.256", "its host is not a valid IP address", NULL},
    {CONFIG_NODE, "a@" HOST_253, NULL, NULL},
    {CONFIG_NODE, "a@" HOST_253 "x", "its host name is too long", NULL},
    {CONFIG_NODE, "a@" LABEL_63 ".com", NULL, NULL},
    {CONFIG_NODE, "a@" LABEL_63 "x.com", "its host is not a valid host name", NULL},
    {CONFIG_NODE, "a@s1..com", "its host is not a valid host name", NULL},
    {CONFIG_NODE, "a@s1.ex ample", "its host is not a valid host name", NULL},
    {CONFIG_NODE, "a@s1", "its host name is not fully qualified, so other hosts cannot find it",
     NULL},
    {CONFIG_NODES, "", NULL, NULL},
    {CONFIG_NODES, "a@s1.x, b@s2.x", NULL, NULL},
    {CONFIG_NODES, "a@s1.x, b", "no @ in it", NULL},
    {CONFIG_SECRET, "", NULL, NULL},
    {CONFIG_SECRET, "~!", NULL, NULL},
    {CONFIG_SECRET, X250 "xxxxx", NULL, NULL},
    {CONFIG_SECRET, X250 "xxxxxx", "it is longer than 255 bytes", NULL},
    {CONFIG_SECRET, "a b", "it contains a blank or a control character", NULL},
    {CONFIG_SECRET, "a\x7f", "it contains a blank or a control character", NULL},
    {CONFIG_SECRET, "a\x1f", "it contains a blank or a control character", NULL},
    {CONFIG_WORD, "emqx_cl-1.2", NULL, NULL},
    {CONFIG_WORD, X250 "xxxxx", NULL, NULL},
    {CONFIG_WORD, X250 "xxxxxx", "it is longer than 255 bytes", NULL},
    {CONFIG_WORD, "", "it is empty", NULL},
    {CONFIG_WORD, "a/b", "it contains another character", NULL},
    {CONFIG_PATH, "", NULL, NULL},
    {CONFIG_PATH, "/etc/x", NULL, NULL},
    {CONFIG_PATH, "x/y", NULL, "/here/x/y"},
    {CONFIG_DIRECTORY, "/var/lib", NULL, NULL},
    {CONFIG_DIRECTORY, "data", NULL, "/here/data"},
    {CONFIG_DIRECTORY, "", "it is empty", NULL},
    {CONFIG_SOCKET, "", NULL, NULL},
    {CONFIG_SOCKET, "Off", NULL, ""},
    {CONFIG_SOCKET, SOCKET_107, NULL, NULL},
    {CONFIG_SOCKET, SOCKET_107 "x", "the path is too long for a socket", NULL},
    {CONFIG_SOCKET, "run/x", "not an absolute path", NULL},
    {CONFIG_ADDRESSES, "", NULL, NULL},
    {CONFIG_ADDRESSES, "127.0.0.1, ::1", NULL, NULL},
    {CONFIG_LOG_TARGET, "console", NULL, NULL},
    {CONFIG_LOG_TARGET, "syslog", NULL, NULL},
    {CONFIG_LOG_TARGET, "/var/log/x", NULL, NULL},
    {CONFIG_LOG_TARGET, "x.log", "not a valid log target", NULL},
    {CONFIG_LOG_TARGET, "", "not a valid log target", NULL},
    {CONFIG_PORT, "1", NULL, NULL},
    {CONFIG_PORT, "65535", NULL, NULL},
    {CONFIG_PORT, "0", "not a valid port", NULL},
    {CONFIG_PORT, "65536", "not a valid port", NULL},
    {CONFIG_DURATION, "60", NULL, "1m"},
    {CONFIG_DURATION, "1ms", NULL, NULL},
    {CONFIG_DURATION, "365d", NULL, NULL},
    {CONFIG_DURATION, "0", "not a valid time", NULL},
    {CONFIG_DURATION, "366d", "not a valid time", NULL},
    {CONFIG_DURATION, "off", "not a valid time", NULL},
    {CONFIG_INTERVAL, "5m", NULL, NULL},
    {CONFIG_INTERVAL, "off", NULL, NULL},
    {CONFIG_INTERVAL, "0", NULL, "off"},
    {CONFIG_INTERVAL, "on", "not a valid time", NULL},
    {CONFIG_SWITCH, "on", NULL, NULL},
    {CONFIG_SWITCH, "off", NULL, NULL},
    {CONFIG_SWITCH, "TRUE", NULL, "on"},
    {CONFIG_SWITCH, "maybe", "neither on nor off", NULL},
    {CONFIG_COUNT, "0", NULL, NULL},
    {CONFIG_COUNT, "4294967295", NULL, NULL},
    {CONFIG_COUNT, "4294967296", "not a valid number", NULL},
    {CONFIG_COUNT, "-1", "not a valid number", NULL},
    {CONFIG_PERCENT, "1", NULL, "1%"},
    {CONFIG_PERCENT, "100%", NULL, NULL},
    {CONFIG_PERCENT, "0%", "not a valid percentage", NULL},
    {CONFIG_PERCENT, "101", "not a valid percentage", NULL},
    {CONFIG_PERCENT, "%", "not a valid percentage", NULL},
    {CONFIG_PERCENT, "", "not a valid percentage", NULL},
    {CONFIG_PERCENT, "0100%", "not a valid percentage", NULL},
    {CONFIG_POLICY, "range", NULL, NULL},
    {CONFIG_POLICY, "Derived", NULL, "derived"},
    {CONFIG_POLICY, "any", NULL, NULL},
    {CONFIG_POLICY, "none", "not a valid choice", NULL},
    {CONFIG_LISTERS, "yes", NULL, "on"},
    {CONFIG_LISTERS, "false", NULL, "off"},
    {CONFIG_LISTERS, "members", NULL, NULL},
    {CONFIG_LISTERS, "none", "not a valid choice", NULL},
    {CONFIG_DISCOVERY, "manual", NULL, NULL},
    {CONFIG_DISCOVERY, "static", NULL, NULL},
    {CONFIG_DISCOVERY, "mcast", "this strategy is not implemented yet", NULL},
    {CONFIG_DISCOVERY, "dns", "this strategy is not implemented yet", NULL},
    {CONFIG_DISCOVERY, "etcd", "this strategy is not implemented yet", NULL},
    {CONFIG_DISCOVERY, "k8s", "this strategy is not implemented yet", NULL},
    {CONFIG_DISCOVERY, "magic", "not a valid choice", NULL},
    {CONFIG_LOG_LEVEL, "error", NULL, NULL},
    {CONFIG_LOG_LEVEL, "warn", NULL, NULL},
    {CONFIG_LOG_LEVEL, "info", NULL, NULL},
    {CONFIG_LOG_LEVEL, "debug", NULL, NULL},
    {CONFIG_LOG_LEVEL, "trace", NULL, NULL},
    {CONFIG_LOG_LEVEL, "emergency", NULL, "error"},
    {CONFIG_LOG_LEVEL, "alert", NULL, "error"},
    {CONFIG_LOG_LEVEL, "critical", NULL, "error"},
    {CONFIG_LOG_LEVEL, "Warning", NULL, "warn"},
    {CONFIG_LOG_LEVEL, "notice", NULL, "info"},
    {CONFIG_LOG_LEVEL, "all", NULL, "trace"},
    {CONFIG_LOG_LEVEL, "loud", "not a valid level", NULL},
    {CONFIG_LOG_FORMAT, "text", NULL, NULL},
    {CONFIG_LOG_FORMAT, "json", NULL, NULL},
    {CONFIG_LOG_FORMAT, "xml", "not a valid choice", NULL},
};

START_TEST(each_type_takes_what_it_says_and_prints_it_again) {
    const char *text = values[_i].text, *again = values[_i].again;
    enum config_type type = values[_i].type;
    union config_value parsed = {.count = 0}, place = {.count = 0};
    char buffer[CONFIG_TEXT_SIZE];

    const char *why = config_type_parse(type, text, "/here", &parsed);
    if (values[_i].why != NULL) {
        ck_assert_str_eq(why, values[_i].why);
        return;
    }
    ck_assert_msg(why == NULL, "%s: %s", text, why);
    config_type_store(type, &place, parsed);
    ck_assert_str_eq(config_type_format(type, &place, buffer), again == NULL ? text : again);
    if (config_type_is_text(type))
        config_type_free_text(type, place.text);
}
END_TEST

START_TEST(only_so_many_names_are_taken) {
    char list[256 * 8 + 16] = "";
    union config_value value;
    for (int i = 0; i < 256; i++)
        strcat(list, i == 0 ? "a@s1.x" : ",a@s1.x");
    ck_assert_ptr_null(config_type_parse(CONFIG_NODES, list, "/", &value));
    config_type_free_text(CONFIG_NODES, value.text);
    strcat(list, ",a@s1.x");
    ck_assert_str_eq(config_type_parse(CONFIG_NODES, list, "/", &value), "it has too many names");
}
END_TEST

/* 255 bytes: a longer one would be cut, and be another name. */
START_TEST(the_longest_name_of_a_list_is_taken_whole) {
    union config_value value;
    ck_assert_ptr_null(config_type_parse(CONFIG_NODES, "a@" HOST_253, "/", &value));
    ck_assert_str_eq(value.text, "a@" HOST_253);
    config_type_free_text(CONFIG_NODES, value.text);
    ck_assert_str_eq(config_type_parse(CONFIG_NODES, "aa@" HOST_253, "/", &value),
                     "it is longer than 255 bytes");
    ck_assert_str_eq(config_type_parse(CONFIG_NODES, "aaa@" HOST_253, "/", &value),
                     "it is longer than 255 bytes");
}
END_TEST

START_TEST(a_secret_is_not_shown) {
    ck_assert_str_eq(config_type_shown(CONFIG_SECRET, "secret"), "(set)");
    ck_assert_str_eq(config_type_shown(CONFIG_SECRET, ""), "");
    ck_assert_str_eq(config_type_shown(CONFIG_WORD, "word"), "word");
}
END_TEST

START_TEST(a_text_that_is_stored_takes_the_place_of_another) {
    char *place = NULL;
    char buffer[CONFIG_TEXT_SIZE];
    ck_assert_str_eq(config_type_format(CONFIG_SECRET, &place, buffer), "");
    config_type_store(CONFIG_SECRET, &place, (union config_value){.text = strdup("one")});
    config_type_store(CONFIG_SECRET, &place, (union config_value){.text = strdup("two")});
    ck_assert_str_eq(place, "two");
    config_type_free_text(CONFIG_SECRET, place);
    config_type_free_text(CONFIG_SECRET, NULL);
}
END_TEST

Suite *config_types_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("config_types", &tests);
    tcase_add_loop_test(tests, each_type_takes_what_it_says_and_prints_it_again, 0,
                        sizeof values / sizeof values[0]);
    tcase_add_test(tests, only_so_many_names_are_taken);
    tcase_add_test(tests, the_longest_name_of_a_list_is_taken_whole);
    tcase_add_test(tests, a_secret_is_not_shown);
    tcase_add_test(tests, a_text_that_is_stored_takes_the_place_of_another);
    return suite;
}
