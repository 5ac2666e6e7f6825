/* The client library where this host lacks something, wherever it can; and after fork. */
#include "client_fixture.h"
#include "failing_allocation.h"
#include "failing_call.h"
#include "line_server.h"
#include "suites.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t open_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    size_t found = 0;
    while (readdir(directory) != NULL)
        found++;
    closedir(directory);
    return found;
}

/* Those of the servers, which are in this process too, go when the servers notice. */
static void assert_descriptors(size_t expected) {
    for (int i = 0; i < TOLERANCE_MS && open_descriptors() != expected; i++)
        usleep(1000);
    ck_assert_uint_eq(open_descriptors(), expected);
}

/* --- every call of the library, with all that is to go well --- */

static struct fake_server node_epmd, name_epmd, list_epmd;
static struct line_server leasing, resolving;
static char leasing_path[108], resolving_path[108];

static void start_servers(void) {
    fake_server_start(&node_epmd, (struct fake_script){.answer = FOUND});
    fake_server_start(&name_epmd, (struct fake_script){.answer = REGISTERED, .end = FAKE_HOLDS});
    fake_server_start(&list_epmd, (struct fake_script){.answer = LISTING});
    snprintf(leasing_path, sizeof leasing_path, "/tmp/portolan-test-l%d.sock", (int)getpid());
    snprintf(resolving_path, sizeof resolving_path, "/tmp/portolan-test-r%d.sock", (int)getpid());
    leasing = (struct line_server){
        .path = leasing_path,
        .format = "{\"v\":1,\"ok\":true,\"port\":7,\"epmd_port\":1,\"held\":true}\n"};
    resolving = (struct line_server){.path = resolving_path,
                                     .format = "{\"v\":1,\"ok\":true,\"port\":7}\n"};
    line_server_start(&leasing);
    line_server_start(&resolving);
}

static void stop_servers(void) {
    fake_server_stop(&node_epmd);
    fake_server_stop(&name_epmd);
    fake_server_stop(&list_epmd);
    line_server_stop(&leasing);
    line_server_stop(&resolving);
}

static struct portolan_options plain(uint16_t epmd_port) {
    struct portolan_options options = options_for(epmd_port, 0);
    options.address[0] = '\0';
    options.deadline_ms = TOLERANCE_MS;
    return options;
}

static enum portolan_code resolve_blocking(void) {
    struct portolan_options options = plain(node_epmd.port);
    struct portolan_endpoint endpoint;
    options.sources = 7;
    return portolan_resolve("rabbit@localhost", &options, &endpoint, &last_error);
}

static enum portolan_code resolve_looked_up(void) {
    struct portolan_options options = plain(0);
    struct portolan_endpoint endpoint;
    strcpy(options.control_socket, resolving_path);
    options.sources = 7;
    return portolan_resolve("rabbit@s1", &options, &endpoint, &last_error);
}

/* Steps without poll, which is one of the calls that fail. */
static enum portolan_code run_stepping(struct portolan_operation *operation) {
    enum portolan_code code;
    while ((code = portolan_operation_step(operation)) == PORTOLAN_PENDING)
        usleep(500);
    strcpy(last_error.message, portolan_operation_message(operation));
    portolan_operation_free(operation);
    return code;
}

static enum portolan_code resolve_stepping(void) {
    struct portolan_options options = plain(node_epmd.port);
    struct portolan_operation *operation;
    options.sources = 7;
    enum portolan_code code =
        portolan_resolve_start("rabbit@localhost", &options, &operation, &last_error);
    return code != PORTOLAN_OK ? code : run_stepping(operation);
}

static enum portolan_code list_stepping(void) {
    struct portolan_options options = plain(list_epmd.port);
    struct portolan_operation *operation;
    enum portolan_code code = portolan_names_start("localhost", &options, &operation, &last_error);
    return code != PORTOLAN_OK ? code : run_stepping(operation);
}

static enum portolan_code list_blocking(void) {
    struct portolan_options options = plain(list_epmd.port);
    struct portolan_listing *listing;
    enum portolan_code code = portolan_names("localhost", &options, &listing, &last_error);
    portolan_listing_free(listing);
    return code;
}

static enum portolan_code register_blocking(void) {
    struct portolan_registration *registration;
    enum portolan_code code = register_at(&name_epmd, &registration);
    portolan_unregister(registration);
    return code;
}

static enum portolan_code lease_blocking(void) {
    struct portolan_options options = plain(0);
    struct portolan_leased_port lease;
    strcpy(options.control_socket, leasing_path);
    return portolan_lease("rabbit", &options, &lease, &last_error);
}

static enum portolan_code lease_over_session(void) {
    struct portolan_options options = plain(0);
    struct portolan_operation *operation;
    strcpy(options.control_socket, leasing_path);
    enum portolan_code code = portolan_session_new(&options, &options.session, &last_error);
    if (code == PORTOLAN_OK)
        code = portolan_lease_start("rabbit", &options, &operation, &last_error);
    if (code == PORTOLAN_OK)
        code = run_stepping(operation);
    portolan_session_free(options.session);
    return code;
}

static enum portolan_code watch_stepping(void) {
    struct portolan_options options = plain(0);
    struct portolan_watch *watch;
    const struct portolan_event *event;
    strcpy(options.control_socket, leasing_path);
    enum portolan_code code = portolan_watch_start(&options, &watch, &last_error);
    if (code != PORTOLAN_OK)
        return code;
    while ((code = portolan_watch_next(watch, &event, &last_error)) == PORTOLAN_PENDING &&
           !portolan_watch_has_begun(watch))
        usleep(500);
    portolan_watch_free(watch);
    return code == PORTOLAN_PENDING ? PORTOLAN_OK : code;
}

static enum portolan_code (*const scenarios[])(void) = {
    resolve_blocking,  resolve_looked_up, resolve_stepping,   list_stepping, list_blocking,
    register_blocking, lease_blocking,    lease_over_session, watch_stepping};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

/* Without a word to any name server. */
static int find_loopback(const char *host, struct addrinfo **found) {
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    (void)host;
    return getaddrinfo("127.0.0.1", NULL, &hints, found);
}

static const struct {
    enum failing_call call;
    int error;
    enum portolan_code code; /* OK: it does not matter */
} faults[] = {
    {CALL_SOCKET, EMFILE, PORTOLAN_ERROR_SYSTEM},
    {CALL_SOCKET, ENFILE, PORTOLAN_ERROR_SYSTEM},
    {CALL_SOCKET, ENOBUFS, PORTOLAN_ERROR_SYSTEM},
    {CALL_SOCKET, ENOMEM, PORTOLAN_ERROR_MEMORY},
    {CALL_CONNECT, ENOMEM, PORTOLAN_ERROR_MEMORY},
    {CALL_SEND, ENOBUFS, PORTOLAN_ERROR_SYSTEM},
    {CALL_SEND, ENOMEM, PORTOLAN_ERROR_MEMORY},
    {CALL_SEND, EINTR, PORTOLAN_OK},
    {CALL_RECV, ENOMEM, PORTOLAN_ERROR_MEMORY},
    {CALL_RECV, EINTR, PORTOLAN_OK},
    {CALL_POLL, ENOMEM, PORTOLAN_ERROR_MEMORY},
    {CALL_POLL, EINVAL, PORTOLAN_ERROR_SYSTEM},
    {CALL_POLL, EINTR, PORTOLAN_OK},
    {CALL_EPOLL_CREATE, EMFILE, PORTOLAN_ERROR_SYSTEM},
    {CALL_EPOLL_CREATE, ENOMEM, PORTOLAN_ERROR_MEMORY},
    {CALL_EPOLL_CTL, ENOSPC, PORTOLAN_ERROR_SYSTEM},
    {CALL_EPOLL_CTL, ENOMEM, PORTOLAN_ERROR_MEMORY},
    {CALL_TIMERFD_CREATE, EMFILE, PORTOLAN_ERROR_SYSTEM},
    {CALL_TIMERFD_SETTIME, ENOMEM, PORTOLAN_ERROR_MEMORY},
    {CALL_EVENTFD, EMFILE, PORTOLAN_ERROR_SYSTEM},
    {CALL_PTHREAD_CREATE, EAGAIN, PORTOLAN_ERROR_SYSTEM},
};

static void assert_fault(int fault, size_t scenario, unsigned n, enum portolan_code code) {
    /* the last of these calls come when the operation has its result already */
    bool tolerant = faults[fault].call == CALL_EPOLL_CTL ||
                    faults[fault].call == CALL_TIMERFD_SETTIME ||
                    (faults[fault].call == CALL_RECV && n > 1);
    if (tolerant && code == PORTOLAN_OK)
        return;
    ck_assert_msg(code == faults[fault].code, "scenario %zu, call %u: %s: %s", scenario, n,
                  portolan_error_text(code), last_error.message);
}

START_TEST(every_call_that_fails_has_the_right_code) {
    unsigned failures = 0;
    start_servers();
    find_addresses_by(find_loopback);
    for (size_t i = 0; i < SCENARIOS; i++) {
        size_t before = open_descriptors();
        for (unsigned n = 1;; n++) {
            fail_nth_call(faults[_i].call, n, faults[_i].error);
            enum portolan_code code = scenarios[i]();
            if (!call_failed()) {
                ck_assert_int_eq(code, PORTOLAN_OK);
                break;
            }
            failures++;
            assert_fault(_i, i, n, code);
        }
        assert_descriptors(before);
    }
    ck_assert_uint_gt(failures, 0);
    stop_servers();
}
END_TEST

START_TEST(every_allocation_that_fails_is_told_as_that) {
    unsigned failures = 0;
    start_servers();
    find_addresses_by(find_loopback);
    for (size_t i = 0; i < SCENARIOS; i++) {
        size_t before = open_descriptors();
        for (unsigned n = 1;; n++) {
            fail_nth_allocation(n);
            enum portolan_code code = scenarios[i]();
            if (!allocation_failed()) {
                ck_assert_int_eq(code, PORTOLAN_OK);
                break;
            }
            failures++;
            ck_assert_msg(code == PORTOLAN_ERROR_MEMORY, "scenario %zu, allocation %u: %s: %s", i,
                          n, portolan_error_text(code), last_error.message);
            assert_message("cannot ");
        }
        assert_descriptors(before);
    }
    ck_assert_uint_gt(failures, SCENARIOS);
    stop_servers();
}
END_TEST

/* --- looking hosts up --- */

static const struct {
    int error, cause;
    enum portolan_code code;
    const char *message;
} lookups[] = {
    {EAI_AGAIN, 0, PORTOLAN_ERROR_TRY_AGAIN, "try again; can this host reach its name server?"},
    {EAI_NONAME, 0, PORTOLAN_ERROR_HOST, "check the name"},
    {EAI_FAIL, 0, PORTOLAN_ERROR_HOST, "check the name"},
    {EAI_NONAME, EMFILE, PORTOLAN_ERROR_SYSTEM, "Too many open files; raise the limits"},
    {EAI_AGAIN, ENFILE, PORTOLAN_ERROR_SYSTEM, "raise the limits"},
    {EAI_SYSTEM, EACCES, PORTOLAN_ERROR_SYSTEM, "the host s1: Permission denied"},
    {EAI_AGAIN, ENOMEM, PORTOLAN_ERROR_MEMORY, "Cannot allocate memory"},
    {EAI_MEMORY, 0, PORTOLAN_ERROR_MEMORY, "Cannot allocate memory"},
};

static int lookup_case;

static int fail_to_find(const char *host, struct addrinfo **found) {
    (void)host, (void)found;
    errno = lookups[lookup_case].cause;
    return lookups[lookup_case].error;
}

START_TEST(a_look_up_that_fails_says_why) {
    struct portolan_options options = plain(0);
    struct portolan_endpoint endpoint;
    lookup_case = _i;
    options.sources = 7;
    find_addresses_by(fail_to_find);

    ck_assert_int_eq(resolve_rabbit(&options, &endpoint), lookups[_i].code);
    assert_message(lookups[_i].message);
}
END_TEST

/* The limit is reached in the thread of the look-up: the resolver itself says "no such name". */
static int find_out_of_descriptors(const char *host, struct addrinfo **found) {
    struct rlimit none;
    getrlimit(RLIMIT_NOFILE, &none);
    none.rlim_cur = 3;
    (void)host, (void)found;
    setrlimit(RLIMIT_NOFILE, &none);
    errno = 0;
    return EAI_NONAME;
}

START_TEST(a_look_up_without_descriptors_is_not_a_wrong_name) {
    struct portolan_options options = plain(0);
    struct portolan_endpoint endpoint;
    find_addresses_by(find_out_of_descriptors);

    struct rlimit usual;
    getrlimit(RLIMIT_NOFILE, &usual);
    enum portolan_code code = resolve_rabbit(&options, &endpoint);
    setrlimit(RLIMIT_NOFILE, &usual);

    ck_assert_int_eq(code, PORTOLAN_ERROR_SYSTEM);
    assert_message("Too many open files");
}
END_TEST

static int find_nothing(const char *host, struct addrinfo **found) {
    (void)host, (void)found;
    abort();
}

START_TEST(this_host_is_known_without_asking) {
    static const char *const nodes[] = {
        "rabbit",       "rabbit@localhost", "rabbit@LocalHost.", "rabbit@a.localhost",
        "rabbit@127.1", "rabbit@127.0.0.1"};
    struct fake_server server;
    fake_server_start(&server, (struct fake_script){.answer = FOUND});
    find_addresses_by(find_nothing);
    struct portolan_options options = plain(server.port);
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        struct portolan_endpoint endpoint;
        fail_nth_call(CALL_PTHREAD_CREATE, 1, EAGAIN);
        ck_assert_int_eq(portolan_resolve(nodes[i], &options, &endpoint, &last_error), PORTOLAN_OK);
        ck_assert(!call_failed());
        ck_assert_str_eq(endpoint.address, "127.0.0.1");
    }
    fake_server_stop(&server);
}
END_TEST

/* --- fork --- */

static pthread_mutex_t name_server = PTHREAD_MUTEX_INITIALIZER;

static int find_when_let(const char *host, struct addrinfo **found) {
    (void)host, (void)found;
    pthread_mutex_lock(&name_server);
    pthread_mutex_unlock(&name_server);
    return EAI_AGAIN;
}

#define LOOKUPS 6

START_TEST(a_child_frees_what_is_being_looked_up_and_keeps_no_descriptor) {
    struct portolan_operation *operations[LOOKUPS];
    struct portolan_options options = plain(0);
    int status;
    size_t before = open_descriptors();
    find_addresses_by(find_when_let);
    pthread_mutex_lock(&name_server);
    for (size_t i = 0; i < LOOKUPS; i++)
        ck_assert_int_eq(portolan_resolve_start("a@s1", &options, &operations[i], NULL),
                         PORTOLAN_OK);
    for (size_t i = 0; i < LOOKUPS; i += 2) /* these look-ups go on without an asker */
        portolan_operation_free(operations[i]);

    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 1; i < LOOKUPS; i += 2)
            portolan_operation_free(operations[i]);
        _exit(open_descriptors() == before ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);

    pthread_mutex_unlock(&name_server);
    for (size_t i = 1; i < LOOKUPS; i += 2)
        ck_assert_int_eq(run_stepping(operations[i]), PORTOLAN_ERROR_TRY_AGAIN);
    assert_descriptors(before);
}
END_TEST

/* --- the caller's mistakes --- */

START_TEST(options_that_nobody_made_are_refused) {
    struct portolan_options options;
    struct portolan_endpoint endpoint;
    struct portolan_session *session;
    struct portolan_watch *watch;
    memset(&options, _i, sizeof options);

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(resolve_rabbit(&options, &endpoint), PORTOLAN_ERROR_ARGUMENT);
        ck_assert_int_eq(portolan_options_from_environment(&options, &last_error),
                         PORTOLAN_ERROR_ARGUMENT);
        ck_assert_int_eq(portolan_session_new(&options, &session, NULL), PORTOLAN_ERROR_ARGUMENT);
        ck_assert_int_eq(portolan_watch_start(&options, &watch, NULL), PORTOLAN_ERROR_ARGUMENT);
        options.size = sizeof options; /* the rest is still what it was */
    }
}
END_TEST

START_TEST(an_error_is_never_stale) {
    struct portolan_operation *operation;
    struct portolan_options options = plain(0);
    struct portolan_session *session;
    memset(&last_error, 'x', sizeof last_error);

    ck_assert_int_eq(portolan_lease_start("a", &options, &operation, &last_error), PORTOLAN_OK);
    ck_assert_str_eq(last_error.message, "");
    ck_assert_int_eq(last_error.code, PORTOLAN_OK);
    portolan_operation_free(operation);
    memset(&last_error, 'x', sizeof last_error);
    ck_assert_int_eq(portolan_session_new(&options, &session, &last_error), PORTOLAN_OK);
    ck_assert_str_eq(last_error.message, "");
    portolan_session_free(session);
}
END_TEST

START_TEST(the_version_is_that_of_the_header) {
    ck_assert_str_eq(portolan_version(), PORTOLAN_VERSION);
    ck_assert_uint_eq(portolan_version_number(), PORTOLAN_VERSION_NUMBER);
    char text[32];
    snprintf(text, sizeof text, "%u.%u.%u", PORTOLAN_VERSION_NUMBER >> 16,
             PORTOLAN_VERSION_NUMBER >> 8 & 255, PORTOLAN_VERSION_NUMBER & 255);
    ck_assert_str_eq(text, PORTOLAN_VERSION);
}
END_TEST

Suite *client_faults_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("client_faults", &tests);
    tcase_add_loop_test(tests, every_call_that_fails_has_the_right_code, 0,
                        sizeof faults / sizeof faults[0]);
    tcase_add_test(tests, every_allocation_that_fails_is_told_as_that);
    tcase_add_loop_test(tests, a_look_up_that_fails_says_why, 0,
                        sizeof lookups / sizeof lookups[0]);
    tcase_add_test(tests, a_look_up_without_descriptors_is_not_a_wrong_name);
    tcase_add_test(tests, this_host_is_known_without_asking);
    tcase_add_test(tests, a_child_frees_what_is_being_looked_up_and_keeps_no_descriptor);
    tcase_add_loop_test(tests, options_that_nobody_made_are_refused, 254, 256);
    tcase_add_test(tests, an_error_is_never_stale);
    tcase_add_test(tests, the_version_is_that_of_the_header);
    return suite;
}
