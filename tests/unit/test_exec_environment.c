/* What `portolan exec` sets, refuses and warns of: the words of the warnings whole. */
#include "cli/exec_environment.h"
#include "scratch.h"
#include "suites.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct scratch scratch;
static int standard_error;
static char told[4096];

static const char *const variables[] = {
    "ERL_EPMD_PORT",         "ERL_AFLAGS",    "ERL_ZFLAGS",         "RABBITMQ_DIST_PORT",
    "RABBITMQ_NODENAME",     "RELEASE_NODE",  "PORTOLAN_EXEC_NODE", "RABBITMQ_USE_LONGNAME",
    "RELEASE_DISTRIBUTION",  "ERL_DIST_PORT", "WITH_EPMD",          "EPMD_ARGS",
    "RABBITMQ_CONF_ENV_FILE"};

static void setup(void) {
    scratch_make(&scratch);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    fflush(stderr);
    standard_error = dup(STDERR_FILENO);
    int file = open(scratch_path(&scratch, "told"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(file, STDERR_FILENO);
    close(file);
}

static void teardown(void) {
    fflush(stderr);
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    scratch_remove(&scratch);
}

/* What was said on standard error since the last call, with a file's path as FILE. */
static const char *said(const char *file) {
    static char text[4096];
    static const char none[] = "\x01";
    size_t len = 0;
    fflush(stderr);
    struct bytes read = scratch_read(&scratch, "told", text, sizeof text - 1);
    text[read.len] = '\0';
    ck_assert_int_eq(ftruncate(STDERR_FILENO, 0), 0);
    for (const char *at = text; *at != '\0';) {
        if (strncmp(at, file == NULL ? none : file, strlen(file == NULL ? none : file)) == 0) {
            len += (size_t)snprintf(told + len, sizeof told - len, "FILE");
            at += strlen(file);
        } else {
            told[len++] = *at++;
        }
    }
    told[len] = '\0';
    return told;
}

static const struct exec_port port = {
    .node = "a@s1", .port = 6369, .last = 6369, .epmd_port = 4370, .interface = ""};

static const char *warn(const char *file, char **words) {
    exec_environment_warn(&port, words);
    return said(file);
}

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

static const char *write_file(const char *name, const char *text) {
    static char path[256];
    scratch_write(&scratch, name, bytes_of_text(text));
    snprintf(path, sizeof path, "%s", scratch_path(&scratch, name));
    return path;
}

#define EJABBERD_PORTS                                                                             \
    "portolan: FILE sets ERL_DIST_PORT to 5210, which overrides the leased port 6369: the server " \
    "will listen there, and the lease will not be used; remove the line\n"                         \
    "portolan: FILE sets ERL_EPMD_PORT to 4369, which overrides the leased port 4370: the server " \
    "will register at another daemon; remove the line\n"
#define EJABBERD_NODE                                                                              \
    "portolan: FILE sets ERLANG_NODE to ejabberd@s1, which overrides a@s1: the lease will not be " \
    "used; remove the line, or lease a port for that node\n"

START_TEST(ejabberd_is_warned_of_by_the_file_that_it_will_read) {
    const char *text = "ERL_DIST_PORT=5210\nERL_EPMD_PORT=4369\nERLANG_NODE=ejabberd@s1\n";
    char *file = strdup(write_file("ejabberdctl.cfg", text));
    char *program = "/usr/sbin/ejabberdctl";
    ck_assert_str_eq(warn(file, WORDS(program, "--ctl-config", file)),
                     EJABBERD_PORTS EJABBERD_NODE);
    ck_assert_str_eq(warn(file, WORDS(program, "-c", file, "live")), EJABBERD_PORTS EJABBERD_NODE);
    ck_assert_str_eq(warn(file, WORDS(program, "--config-dir", scratch.directory)),
                     EJABBERD_PORTS EJABBERD_NODE);
    ck_assert_str_eq(warn(file, WORDS(program, "-d", "/none", "-d", scratch.directory)),
                     EJABBERD_PORTS EJABBERD_NODE);
    ck_assert_str_eq(warn(file, WORDS(program, "-d", scratch.directory, "--node", "b")),
                     EJABBERD_PORTS);
    ck_assert_str_eq(warn(file, WORDS(program, "-d", scratch.directory, "-n", "b")),
                     EJABBERD_PORTS);
    ck_assert_str_eq(warn(file, WORDS(program, "-d", scratch.directory, "-n")),
                     EJABBERD_PORTS EJABBERD_NODE);
    ck_assert_str_eq(warn(file, WORDS("other", "-c", file)), "");
    free(file);
}
END_TEST

START_TEST(a_file_that_agrees_is_not_warned_of) {
    char *file =
        strdup(write_file("conf", "ERL_DIST_PORT=6369\nERL_EPMD_PORT=4370\nERLANG_NODE=a\n"));
    ck_assert_str_eq(warn(file, WORDS("ejabberdctl", "-c", file)), "");
    free(file);
}
END_TEST

START_TEST(rabbitmq_is_warned_of_by_its_file) {
    char *file = strdup(write_file("rabbit", "RABBITMQ_DIST_PORT=25672\n"
                                             "RABBITMQ_NODENAME=rabbit\nERL_EPMD_PORT=4369\n"));
    setenv("RABBITMQ_CONF_ENV_FILE", file, 1);
    ck_assert_str_eq(
        warn(file, WORDS("rabbitmq-server")),
        "portolan: FILE sets RABBITMQ_DIST_PORT to 25672, which overrides the leased port 6369: "
        "the server will listen there, and the lease will not be used; remove the line\n"
        "portolan: FILE sets RABBITMQ_NODENAME to rabbit, which overrides a@s1: the lease will not "
        "be used; remove the line, or lease a port for that node\n"
        "portolan: FILE sets ERL_EPMD_PORT to 4369, which overrides the leased port 4370: the "
        "server will register at another daemon; remove the line\n");
    free(file);
}
END_TEST

START_TEST(emqx_is_warned_of_unless_it_is_told_to_register) {
    const char *warning =
        "portolan: emqx chooses its own port from the digits of its name and does not register: "
        "the lease of a@s1 will not be used; set WITH_EPMD=1 (EMQX 4), or EPMD_ARGS='-start_epmd "
        "true -proto_dist inet_tcp' (EMQX 5)\n";
    ck_assert_str_eq(warn(NULL, WORDS("/opt/emqx/bin/emqx", "start")), warning);
    setenv("WITH_EPMD", "", 1);
    ck_assert_str_eq(warn(NULL, WORDS("emqx")), warning);
    setenv("WITH_EPMD", "1", 1);
    ck_assert_str_eq(warn(NULL, WORDS("emqx")), "");
    unsetenv("WITH_EPMD");
    setenv("EPMD_ARGS", "-start_epmd true", 1);
    ck_assert_str_eq(warn(NULL, WORDS("emqx")), "");
}
END_TEST

START_TEST(a_port_of_the_environment_is_warned_of) {
    setenv("ERL_DIST_PORT", "6370", 1);
    ck_assert_str_eq(warn(NULL, WORDS("x")),
                     "portolan: ERL_DIST_PORT is set to 6370: ejabberdctl and releases built with "
                     "relx will listen there, not on the leased port 6369; unset it\n");
    setenv("ERL_DIST_PORT", "6369", 1);
    ck_assert_str_eq(warn(NULL, WORDS("x")), "");
}
END_TEST

static void assert_refused(const char *variable, const char *value, const char *node,
                           const char *why) {
    setenv(variable, value, 1);
    ck_assert_int_eq(exec_environment_agrees(node), why == NULL);
    ck_assert_str_eq(said(NULL), why == NULL ? "" : why);
    unsetenv(variable);
}

START_TEST(an_environment_that_names_another_node_is_refused) {
    assert_refused("RABBITMQ_NODENAME", "b@s1", "a@s1",
                   "portolan: cannot start a@s1: RABBITMQ_NODENAME is set to another node, b@s1; "
                   "unset it, or name that node\n");
    assert_refused("RELEASE_NODE", "a@s2", "a@s1",
                   "portolan: cannot start a@s1: RELEASE_NODE is set to another node, a@s2; unset "
                   "it, or name that node\n");
    assert_refused("RELEASE_NODE", "ab", "a@s1",
                   "portolan: cannot start a@s1: RELEASE_NODE is set to another node, ab; unset "
                   "it, or name that node\n");
    assert_refused("RELEASE_NODE", "a", "a@s1", NULL);
    assert_refused("RELEASE_NODE", "", "a@s1", NULL);
    assert_refused("RABBITMQ_USE_LONGNAME", "false", "a@s1.x",
                   "portolan: cannot start a@s1.x: RABBITMQ_USE_LONGNAME is false, and that host "
                   "takes long names only; unset it\n");
    assert_refused("RELEASE_DISTRIBUTION", "sname", "a@::1",
                   "portolan: cannot start a@::1: RELEASE_DISTRIBUTION is sname, and that host "
                   "takes long names only; unset it\n");
    assert_refused("RELEASE_DISTRIBUTION", "none", "a@s1",
                   "portolan: cannot start a@s1: RELEASE_DISTRIBUTION is none, and the server "
                   "would have no name; unset it\n");
    assert_refused("RELEASE_DISTRIBUTION", "sname", "a@s1", NULL);
    assert_refused("RELEASE_DISTRIBUTION", "name", "a@s1", NULL);
}
END_TEST

START_TEST(what_an_exec_around_this_one_has_set_is_not_the_users) {
    exec_environment_set(&port);
    const struct exec_port other = {
        .node = "b@s1.x", .port = 6370, .last = 6375, .epmd_port = 4371, .interface = " -x"};
    ck_assert(exec_environment_agrees("b@s1.x"));
    exec_environment_set(&other);
    ck_assert_str_eq(getenv("RABBITMQ_NODENAME"), "b@s1.x");
    ck_assert_str_eq(getenv("RABBITMQ_USE_LONGNAME"), "true");
    ck_assert_str_eq(getenv("RELEASE_DISTRIBUTION"), "name");
    ck_assert_str_eq(getenv("RABBITMQ_DIST_PORT"), "6370");
    ck_assert_str_eq(getenv("ERL_EPMD_PORT"), "4371");
    ck_assert_str_eq(getenv("ERL_AFLAGS"),
                     "-kernel inet_dist_listen_min 6370 inet_dist_listen_max 6375 -x -kernel "
                     "inet_dist_listen_min 6369 inet_dist_listen_max 6369");
    ck_assert_str_eq(getenv("ERL_ZFLAGS"),
                     "-kernel inet_dist_listen_min 6369 inet_dist_listen_max 6369 -kernel "
                     "inet_dist_listen_min 6370 inet_dist_listen_max 6375 -x");
    ck_assert_str_eq(said(NULL), "");
}
END_TEST

Suite *exec_environment_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("exec_environment", &tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, ejabberd_is_warned_of_by_the_file_that_it_will_read);
    tcase_add_test(tests, a_file_that_agrees_is_not_warned_of);
    tcase_add_test(tests, rabbitmq_is_warned_of_by_its_file);
    tcase_add_test(tests, emqx_is_warned_of_unless_it_is_told_to_register);
    tcase_add_test(tests, a_port_of_the_environment_is_warned_of);
    tcase_add_test(tests, an_environment_that_names_another_node_is_refused);
    tcase_add_test(tests, what_an_exec_around_this_one_has_set_is_not_the_users);
    return suite;
}
