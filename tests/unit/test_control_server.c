/* How the control socket serves its callers: by turns, in pieces, with what they cost known. */
#include "base/clock.h"
#include "control/inner.h"
#include "loop/loop.h"
#include "scratch.h"
#include "sockets_fixture.h"
#include "suites.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PART_SIZE 1000

static struct scratch scratch;
static struct event_base *base;
static struct control_server *server;

/* --- a handler whose replies are as long as "parts" says --- */

static size_t made[8], ended, handled;

struct long_reply {
    struct control_stream stream;
    size_t caller, parts;
};

static enum control_step write_part(struct control_stream *stream, struct writer *out) {
    struct long_reply *reply = (struct long_reply *)stream;
    char part[PART_SIZE];
    memset(part, 'a' + (int)reply->caller, sizeof part);
    if (reply->parts == 0)
        return CONTROL_STEP_END;
    write_bytes(out, bytes_of(part, sizeof part));
    if (out->failed)
        return CONTROL_STEP_MORE;
    reply->parts--;
    made[reply->caller]++;
    return CONTROL_STEP_MORE;
}

static void end_reply(struct control_stream *stream) {
    ended++;
    free(stream);
}

static struct control_stream *handle(void *context, struct control_conn *conn,
                                     const json_t *request) {
    struct long_reply *reply = calloc(1, sizeof *reply);
    ck_assert_ptr_eq(context, made);
    handled++;
    if (json_is_true(json_object_get(request, "watch")))
        control_conn_watch(conn);
    reply->stream = (struct control_stream){.write = write_part, .end = end_reply};
    reply->caller = (size_t)json_integer_value(json_object_get(request, "caller"));
    reply->parts = (size_t)json_integer_value(json_object_get(request, "parts"));
    return &reply->stream;
}

static void begin(void) {
    const struct control_server_options options = {.user_share = 25, .waiting_max = 16};
    scratch_make(&scratch);
    memset(made, 0, sizeof made);
    ended = handled = 0;
    base = event_base_new();
    int listener = control_listen(scratch_path(&scratch, "socket"));
    ck_assert_int_ge(listener, 0);
    server = control_server_new(base, listener, scratch.path, &options, handle, made);
    ck_assert_ptr_nonnull(server);
}

static void end(void) {
    control_server_free(server);
    event_base_free(base);
    scratch_remove(&scratch);
}

/* --- callers --- */

static int dial(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, scratch_path(&scratch, "socket"));
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void ask(int fd, size_t caller, size_t parts, const char *more) {
    char line[128];
    int len =
        snprintf(line, sizeof line, "{\"caller\":%zu,\"parts\":%zu%s}\n", caller, parts, more);
    ck_assert_int_eq(send(fd, line, (size_t)len, MSG_NOSIGNAL), len);
}

static void turn(unsigned count) {
    while (count-- > 0)
        sockets_turn(base);
}

/* Reads what is there, and says how much. */
static size_t drain(int fd) {
    static char data[1 << 20];
    size_t len = 0;
    ssize_t got;
    while ((got = recv(fd, data, sizeof data, MSG_DONTWAIT)) > 0)
        len += (size_t)got;
    return len;
}

START_TEST(for_one_who_does_not_read_a_piece_is_made_and_no_more) {
    int fd = dial();
    ask(fd, 0, 1000000, "");
    turn(200);
    size_t before = made[0];
    ck_assert_uint_gt(before, 0);
    turn(200);
    ck_assert_uint_eq(made[0], before); /* the socket is full */
    size_t got = drain(fd);
    ck_assert_uint_le(before * PART_SIZE, got + CONTROL_PIECE_SIZE);
    turn_until(base, made[0] > before); /* and it goes on */
    close(fd);
    turn_until(base, ended == 1);
}
END_TEST

START_TEST(a_reply_comes_whole_however_long_it_is) {
    int fd = dial();
    size_t got = 0;
    ask(fd, 0, 5000, "");
    ask(fd, 1, 1, "");
    turn_until(base, (got += drain(fd)) == 5001 * PART_SIZE + 2);
    ck_assert_uint_eq(ended, 2);
    close(fd);
}
END_TEST

START_TEST(callers_are_served_by_turns) {
    int fds[4];
    size_t got = 0;
    for (size_t i = 0; i < 4; i++) {
        fds[i] = dial();
        for (int request = 0; request < 100; request++)
            ask(fds[i], i, 1000, "");
    }
    turn_until(base, handled >= 4);
    for (int round = 0; round < 500; round++) {
        turn(1);
        for (size_t i = 0; i < 4; i++)
            got += drain(fds[i]);
    }
    ck_assert_uint_gt(got, 1000 * PART_SIZE);
    for (size_t i = 0; i < 4; i++) { /* nobody has twice as much as another */
        for (size_t other = 0; other < 4; other++)
            ck_assert_uint_le(made[i], 2 * made[other] + 64);
    }
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
}
END_TEST

START_TEST(an_event_is_kept_once_for_all_who_watch) {
    int fds[8];
    char text[64];
    for (size_t i = 0; i < 8; i++) {
        fds[i] = dial();
        ask(fds[i], i, 0, ",\"watch\":true");
    }
    turn_until(base, server->watchers == 8);
    turn(10);
    uint64_t before = server->events.end;
    control_server_publish(server, json_pack("{s:s}", "event", "leased"));
    ck_assert_uint_eq(server->events.end - before, strlen("{\"event\":\"leased\"}\n"));
    turn(10);
    for (size_t i = 0; i < 8; i++) {
        ssize_t len = recv(fds[i], text, sizeof text, MSG_DONTWAIT);
        ck_assert_int_eq(len, 20);
        ck_assert(memcmp(text, "\n{\"event\":\"leased\"}\n", 20) == 0);
        close(fds[i]);
    }
    turn_until(base, server->watchers == 0);
    ck_assert_ptr_null(server->events.ring); /* which is given back */
}
END_TEST

START_TEST(who_watches_and_does_not_read_is_closed_when_it_is_too_far_behind) {
    int slow = dial(), quick = dial();
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ask(slow, 0, 0, ",\"watch\":true");
    ask(quick, 1, 0, ",\"watch\":true");
    turn_until(base, server->watchers == 2);
    for (int i = 0; i < 4000; i++) {
        control_server_publish(server, json_pack("{s:s}", "event", text));
        turn(1);
        drain(quick);
    }
    ck_assert_uint_eq(server->watchers,
                      2); /* the slow one is not looked at while it does not read */
    drain(slow);
    turn_until(base, server->watchers == 1);
    close(slow);
    close(quick);
}
END_TEST

/* --- the ring --- */

START_TEST(the_ring_hands_out_whole_lines_and_tells_who_is_behind) {
    struct control_events events = {.ring = NULL};
    char out_bytes[50];
    uint64_t position = 0;
    ck_assert(control_events_open(&events));
    control_events_add(&events, bytes_of_text("first\n"));
    control_events_add(&events, bytes_of_text("a line that does not fit any more\n"));
    struct writer out = writer_of(out_bytes, 20);
    ck_assert(control_events_read(&events, &position, &out));
    ck_assert_uint_eq(out.len, 6);
    out = writer_of(out_bytes, sizeof out_bytes);
    ck_assert(control_events_read(&events, &position, &out));
    ck_assert_uint_eq(position, events.end);
    for (int i = 0; i < CONTROL_EVENTS_SIZE / 10 + 1; i++)
        control_events_add(&events, bytes_of_text("ten bytes\n"));
    ck_assert(!control_events_read(&events, &position, &out));
    position = events.end - 30; /* over the end of the ring's memory, somewhere */
    out = writer_of(out_bytes, sizeof out_bytes);
    ck_assert(control_events_read(&events, &position, &out));
    ck_assert(memcmp(out_bytes, "ten bytes\nten bytes\nten bytes\n", 30) == 0);
    control_events_close(&events);
}
END_TEST

/* --- the socket --- */

static unsigned chmods;

/* In the place of libc's: a path may lead elsewhere by the time it is called. */
int chmod(const char *path, mode_t mode) {
    chmods++;
    return fchmodat(AT_FDCWD, path, mode, 0);
}

START_TEST(the_socket_is_open_to_all_from_its_first_moment) {
    struct stat status;
    mode_t before = umask(0077);
    chmods = 0;
    int fd = control_listen(scratch_path(&scratch, "other"));
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(umask(before), 0077);
    ck_assert_int_eq(stat(scratch.path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0666);
    ck_assert_uint_eq(chmods, 0);
    control_unlisten(fd, scratch.path);
}
END_TEST

/* --- the loop --- */

static void use_processor(evutil_socket_t fd, short what, void *context) {
    int64_t used_ms = *(const int *)context;
    struct timespec time, start;
    (void)fd;
    (void)what;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    } while ((time.tv_sec - start.tv_sec) * 1000 + (time.tv_nsec - start.tv_nsec) / 1000000 <
             used_ms);
    event_base_loopbreak(base);
}

static struct loop_turns measure(int used_ms) {
    struct loop_turns turns = {.longest_us = 0};
    struct event *event = event_new(base, -1, 0, use_processor, &used_ms);
    ck_assert(loop_set_timer(event, 5));
    ck_assert(loop_run(base, &turns));
    event_free(event);
    return turns;
}

START_TEST(a_long_turn_is_counted) {
    struct loop_turns turns = measure(12);
    ck_assert_int_ge(turns.longest_us, 12000);
    ck_assert_uint_eq(turns.long_turns, 1);
}
END_TEST

START_TEST(a_short_turn_is_not) {
    struct loop_turns turns = measure(3);
    ck_assert_int_ge(turns.longest_us, 3000);
    ck_assert_uint_eq(turns.long_turns, 0);
}
END_TEST

Suite *control_server_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("control_server", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, for_one_who_does_not_read_a_piece_is_made_and_no_more);
    tcase_add_test(tests, a_reply_comes_whole_however_long_it_is);
    tcase_add_test(tests, callers_are_served_by_turns);
    tcase_add_test(tests, an_event_is_kept_once_for_all_who_watch);
    tcase_add_test(tests, who_watches_and_does_not_read_is_closed_when_it_is_too_far_behind);
    tcase_add_test(tests, the_ring_hands_out_whole_lines_and_tells_who_is_behind);
    tcase_add_test(tests, the_socket_is_open_to_all_from_its_first_moment);
    tcase_add_test(tests, a_long_turn_is_counted);
    tcase_add_test(tests, a_short_turn_is_not);
    return suite;
}
