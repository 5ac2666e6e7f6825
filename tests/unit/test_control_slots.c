/* Callers of the control socket that get a place, and that wait for one: of many users, as root. */
#include "base/clock.h"
#include "control/inner.h"
#include "scratch.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FIRST_SUBORDINATE 100000
#define SHARE (CONTROL_CONNS_MAX / 4)
#define LATE_CALLERS 32

static struct scratch scratch;
static struct event_base *base;
static struct subordinate_users *owners;
static struct control_server *server;
static int callers[CONTROL_WAITING_MAX + CONTROL_CONNS_MAX + LATE_CALLERS];
static size_t caller_count;

static void gone(void *context) {
    (void)context;
}

/* No caller is ever idle, however slow the machine is. */
static struct control_stream *handle(void *context, struct control_conn *conn,
                                     const json_t *request) {
    (void)context;
    (void)request;
    control_conn_hold(conn, gone, NULL);
    return NULL;
}

static void begin(void) {
    scratch_make(&scratch);
    ck_assert_int_eq(chmod(scratch.directory, 0711), 0); /* for all who dial */
    scratch_write(&scratch, "subuid", bytes_of_text("4000:100000:65536\n"));
    owners = subordinate_users_read(scratch_path(&scratch, "subuid"));
    ck_assert_uint_eq(subordinate_users_count(owners), 1);
    const struct control_server_options options = {
        .user_share = 25, .waiting_max = CONTROL_WAITING_MAX, .owners = owners};
    base = event_base_new();
    int listener = control_listen(scratch_path(&scratch, "socket"));
    ck_assert_int_ge(listener, 0);
    server = control_server_new(base, listener, scratch.path, &options, handle, NULL);
    ck_assert_ptr_nonnull(server);
    caller_count = 0;
}

static void end(void) {
    while (caller_count > 0)
        close(callers[--caller_count]);
    control_server_free(server);
    event_base_free(base);
    subordinate_users_free(owners);
    scratch_remove(&scratch);
}

static void dial_as(uid_t user) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, scratch_path(&scratch, "socket"));
    ck_assert_int_eq(seteuid(user), 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(send(fd, "{}\n", 3, MSG_NOSIGNAL), 3);
    callers[caller_count++] = fd;
}

static void accept_all(void) {
    turn_until(base, control_server_counters(server).accepted == caller_count);
}

START_TEST(subordinate_users_share_the_places_of_their_owner) {
    if (geteuid() != 0)
        return;
    for (uid_t i = 0; i < SHARE + 1; i++)
        dial_as(FIRST_SUBORDINATE + i);
    accept_all();
    ck_assert_uint_eq(control_server_counters(server).connected, SHARE);
    ck_assert_uint_eq(control_server_counters(server).waiting, 1);
    dial_as(4000); /* the owner is the same one */
    accept_all();
    ck_assert_uint_eq(control_server_counters(server).waiting, 2);
    dial_as(4001);
    accept_all();
    ck_assert_uint_eq(control_server_counters(server).connected, SHARE + 1);
}
END_TEST

START_TEST(whoever_got_a_place_may_wait_again) {
    const struct control_server_options options = {.user_share = 25, .waiting_max = 4};
    if (geteuid() != 0)
        return;
    control_server_configure(server, &options);
    for (uid_t i = 0; i < CONTROL_CONNS_MAX; i++)
        dial_as(5000 + i % 4);
    accept_all();
    for (uid_t i = 0; i < 4; i++)
        dial_as(6000 + i);
    accept_all();
    ck_assert_uint_eq(control_server_counters(server).waiting, 4);
    close(callers[0]); /* 6000 has its place */
    callers[0] = dup(callers[1]);
    turn_until(base, control_server_counters(server).waiting == 3);
    dial_as(6004);
    dial_as(6000); /* one of the other four gives way */
    accept_all();
    ck_assert_uint_eq(control_server_counters(server).busy, 1);
    char told;
    ck_assert_int_lt(recv(callers[caller_count - 1], &told, 1, MSG_DONTWAIT), 0);
}
END_TEST

static bool can_open(rlim_t descriptors) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < descriptors && limit.rlim_max >= descriptors)
        limit.rlim_cur = descriptors;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= descriptors;
}

static int64_t processor_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

START_TEST(a_caller_costs_little_however_many_wait) {
    if (geteuid() != 0 || !can_open(2 * sizeof callers / sizeof callers[0] + 100))
        return;
    for (uid_t i = 0; i < CONTROL_CONNS_MAX + CONTROL_WAITING_MAX; i++) {
        dial_as(200000 + i);
        if (i % 64 == 0)
            accept_all();
    }
    accept_all();
    ck_assert_uint_eq(control_server_counters(server).waiting, CONTROL_WAITING_MAX);
    for (uid_t i = 0; i < LATE_CALLERS; i++)
        dial_as(300000 + i);
    int64_t before_us = processor_us();
    accept_all();
    ck_assert_int_lt(processor_us() - before_us, LATE_CALLERS * 1000);
}
END_TEST

Suite *control_slots_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("control_slots", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, subordinate_users_share_the_places_of_their_owner);
    tcase_add_test(tests, whoever_got_a_place_may_wait_again);
    tcase_add_test(tests, a_caller_costs_little_however_many_wait);
    return suite;
}
