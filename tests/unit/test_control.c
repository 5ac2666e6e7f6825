/* What the control socket says of a node that has two ports: the system tests have the rest. */
#include "base/clock.h"
#include "cluster/membership.h"
#include "control/control.h"
#include "control/names.h"
#include "control/reply.h"
#include "some_registry.h"
#include "suites.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct some_registry some;
static struct epmd_service service;
static struct config config;
static struct control_context host;
static struct registration *rabbit;
static json_t *reply;

static void setup(void) {
    some = some_registry_new();
    service = (struct epmd_service){.registry = some.registry};
    ck_assert(config_init(&config, CONFIG_AS_PORTOLAND));
    host = (struct control_context){.config = &config, .service = &service};
    rabbit = some_registration(some.registry, "rabbit", 6369);
    rabbit->since_ms = clock_monotonic_ms();
    reply = NULL;
}

static void teardown(void) {
    json_decref(reply);
    config_free(&config);
    some_registry_free(&some);
}

/* The whole reply of a stream, read in pieces as small as can be. */
static json_t *read_reply(struct control_stream *stream) {
    static char text[1 << 20], piece[1024];
    size_t len = 0;
    enum control_step step = CONTROL_STEP_MORE;
    ck_assert_ptr_nonnull(stream);
    while (step == CONTROL_STEP_MORE) {
        struct writer out = writer_of(piece, sizeof piece);
        step = stream->write(stream, &out);
        ck_assert(!out.failed && len + out.len < sizeof text);
        memcpy(text + len, piece, out.len);
        len += out.len;
    }
    ck_assert_int_eq(step, CONTROL_STEP_END);
    stream->end(stream);
    json_t *read = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(read);
    return read;
}

static void ask(const char *command, const char *node) {
    json_decref(reply);
    json_t *request = json_pack("{s:i, s:s, s:s*}", "v", 1, "command", command, "node", node);
    reply = read_reply(control_handle(&host, NULL, request));
    json_decref(request);
    ck_assert(json_is_true(json_object_get(reply, "ok")));
}

static json_int_t number(const json_t *object, const char *member) {
    return json_integer_value(json_object_get(object, member));
}

START_TEST(a_node_without_a_front_port_has_null_for_it) {
    ask("resolve", "rabbit@localhost");
    ck_assert_int_eq(number(reply, "port"), 6369);
    ck_assert_int_eq(number(reply, "own_port"), 6369);
    ck_assert(json_is_null(json_object_get(reply, "front_port")));
    ask("names", NULL);
    const json_t *name = json_array_get(json_object_get(reply, "names"), 0);
    ck_assert_int_eq(number(name, "port"), 6369);
    ck_assert(json_is_null(json_object_get(name, "front_port")));
}
END_TEST

START_TEST(a_node_of_this_host_is_reached_at_its_own_port) {
    rabbit->front_port = 4370;
    ask("resolve", "rabbit@localhost");
    ck_assert_int_eq(number(reply, "port"), 6369);
    ck_assert_int_eq(number(reply, "own_port"), 6369);
    ck_assert_int_eq(number(reply, "front_port"), 4370);
    ask("names", NULL);
    const json_t *name = json_array_get(json_object_get(reply, "names"), 0);
    ck_assert_int_eq(number(name, "port"), 6369);
    ck_assert_int_eq(number(name, "front_port"), 4370);
}
END_TEST

START_TEST(a_reply_that_memory_was_out_for_is_no_success) {
    reply = control_ok_with(NULL);
    ck_assert(json_is_false(json_object_get(reply, "ok")));
    ck_assert_ptr_nonnull(json_object_get(json_object_get(reply, "error"), "message"));
}
END_TEST

/* --- a cluster with many names --- */

#define MEMBERS 4
#define NAMES 25000 /* of each */

static void fill(struct directory *directory, struct member *member) {
    char name[64];
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(name, sizeof name, "emqx@s%d.emqx.io", i);
        struct directory_owner *owner = directory_owner_add(directory, bytes_of_text(name), member);
        for (uint64_t number = 1; number <= NAMES; number++) {
            snprintf(name, sizeof name, "node%d", (int)number);
            const struct directory_name node = {
                .name = bytes_of_text(name), .port = 6369, .type = EPMD_NODE_NORMAL};
            ck_assert_int_eq(
                directory_register(owner, (struct directory_version){0, number}, &node),
                DIRECTORY_APPLIED);
        }
    }
}

static size_t allocated(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

START_TEST(names_of_a_large_cluster_cost_the_memory_of_a_piece_and_little_time_each) {
    struct directory *directory = directory_new(NULL, NULL);
    struct member *member = calloc(1, sizeof *member + 1);
    static char piece[CONTROL_PIECE_SIZE];
    size_t items = 0, len = 0;
    int64_t longest_us = 0;
    fill(directory, member);
    size_t before = allocated();
    struct control_stream *stream = control_names_of_members(directory);
    enum control_step step = CONTROL_STEP_MORE;
    while (step == CONTROL_STEP_MORE) {
        struct writer out = writer_of(piece, sizeof piece), last = out;
        int64_t began_us = clock_monotonic_us();
        while (step == CONTROL_STEP_MORE && !out.failed) {
            last = out;
            step = stream->write(stream, &out);
        }
        int64_t took_us = clock_monotonic_us() - began_us;
        longest_us = took_us > longest_us ? took_us : longest_us;
        for (size_t i = 0; i < last.len; i++)
            items += last.start[i] == '{';
        len += last.len;
        ck_assert_uint_le(allocated(), before + 64 * 1024);
    }
    ck_assert_int_eq(step, CONTROL_STEP_END);
    ck_assert_uint_eq(items, 1 + MEMBERS * NAMES);
    ck_assert_uint_gt(len, (size_t)MEMBERS * NAMES * 100);
    ck_assert_int_lt(longest_us, 200000); /* some 300 us, but for what others do meanwhile */
    stream->end(stream);
    directory_free(directory);
    free(member);
}
END_TEST

Suite *control_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("control", &tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_node_without_a_front_port_has_null_for_it);
    tcase_add_test(tests, a_node_of_this_host_is_reached_at_its_own_port);
    tcase_add_test(tests, a_reply_that_memory_was_out_for_is_no_success);
    tcase_add_test(tests, names_of_a_large_cluster_cost_the_memory_of_a_piece_and_little_time_each);
    return suite;
}
