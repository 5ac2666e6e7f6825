#include "names/epmd_service.h"

#include "assertions.h"
#include "erlang/node_name.h"
#include "failing_allocation.h"
#include "some_pool.h"
#include "some_registry.h"
#include "suites.h"

#include <string.h>

static struct some_registry some;
static struct epmd_service service;
static uint8_t buffer[EPMD_SHORT_REPLY_MAX];
static struct writer reply;

static void begin(void) {
    some = some_registry_new();
    service = (struct epmd_service){.registry = some.registry};
}

static void end(void) {
    some_registry_free(&some);
}

static struct epmd_answer ask(bool local, const struct epmd_request *request) {
    const struct epmd_caller caller = {.local = local, .holder = &reply, .holder_number = 12};
    reply = writer_of(buffer, sizeof buffer);
    struct epmd_answer answer = epmd_service_answer(&service, request, &caller, &reply);
    ck_assert(!reply.failed);
    return answer;
}

static struct epmd_answer ask_simple(bool local, enum epmd_operation operation, const char *name) {
    const struct epmd_request request = {.operation = operation, .name = bytes_of_text(name)};
    return ask(local, &request);
}

static struct epmd_answer ask_register(bool local, const struct epmd_node *node) {
    const struct epmd_request request = {.operation = EPMD_ALIVE2, .node = *node};
    return ask(local, &request);
}

/* Closed without a reply, and somebody can read why. */
static void assert_closed(struct epmd_answer answer) {
    ck_assert_int_eq(answer.action, EPMD_ACTION_CLOSE);
    ck_assert_uint_eq(reply.len, 0);
    ck_assert_ptr_nonnull(answer.reason);
}

START_TEST(a_node_of_this_host_is_registered_and_held) {
    const struct epmd_node node = some_node("rabbit", 25672);

    struct epmd_answer answer = ask_register(true, &node);

    ck_assert_int_eq(answer.action, EPMD_ACTION_HOLD);
    ck_assert_ptr_eq(answer.registration, registry_find(some.registry, node.name));
    ck_assert_ptr_eq(answer.registration->holder, &reply);
    ck_assert_uint_eq(answer.registration->holder_number, 12);
    assert_bytes(writer_bytes(&reply), LITERAL("v\x00\x69\xa4\x12\xee")); /* 1772360430 */
}
END_TEST

START_TEST(an_older_node_gets_a_narrow_creation) {
    struct epmd_node node = some_node("rabbit", 25672);
    node.highest_version = 5;

    ck_assert_int_eq(ask_register(true, &node).action, EPMD_ACTION_HOLD);

    ck_assert_uint_eq(reply.len, 4);
    ck_assert_uint_eq(buffer[0], 'y');
    ck_assert(buffer[3] >= 1 && buffer[3] <= 3);
}
END_TEST

START_TEST(a_node_of_another_host_is_not_registered) {
    const struct epmd_node node = some_node("rabbit", 25672);

    assert_closed(ask_register(false, &node));
    ck_assert_uint_eq(registry_count(some.registry), 0);
}
END_TEST

START_TEST(a_refused_node_is_told_so_in_its_own_version) {
    struct epmd_node node = some_node("rabbit", 25672);
    ask_register(true, &node);

    struct epmd_answer answer = ask_register(true, &node);
    ck_assert_int_eq(answer.action, EPMD_ACTION_REFUSE);
    ck_assert_str_eq(answer.reason, registry_reason(REGISTRY_NAME_TAKEN));
    assert_bytes(writer_bytes(&reply), LITERAL("v\x01\x00\x00\x00\x63"));

    node.highest_version = 5;
    ck_assert_int_eq(ask_register(true, &node).action, EPMD_ACTION_REFUSE);
    assert_bytes(writer_bytes(&reply), LITERAL("y\x01\x00\x63"));
}
END_TEST

START_TEST(a_helper_of_a_server_may_use_its_port_from_loopback_only) {
    struct port_pool_options options = {.first = 6369, .last = 6370, .enforce = true};
    struct some_host host = {.asked = 0};
    const struct port_probe probe = some_host_probe(&host);
    const struct epmd_request request = {.operation = EPMD_ALIVE2,
                                         .node = some_node("rabbit_prelaunch_7", 6369)};
    struct epmd_caller caller = {.local = true, .holder = &reply};
    uint16_t port;
    service.pool = port_pool_new(&options);
    ck_assert_int_eq(
        port_pool_lease(service.pool, bytes_of_text("rabbit"), USER_ROOT, 1, &probe, &port),
        PORT_OK);

    reply = writer_of(buffer, sizeof buffer);
    struct epmd_answer answer = epmd_service_answer(&service, &request, &caller, &reply);
    ck_assert_int_eq(answer.action, EPMD_ACTION_REFUSE);
    ck_assert_str_eq(answer.reason, port_verdict_reason(PORT_LEASED_TO_OTHER));

    caller.loopback = true;
    reply = writer_of(buffer, sizeof buffer);
    answer = epmd_service_answer(&service, &request, &caller, &reply);
    ck_assert_int_eq(answer.action, EPMD_ACTION_HOLD);
    ck_assert_uint_eq(port_pool_count(service.pool), 1);
    port_pool_free(service.pool);
    service.pool = NULL;
}
END_TEST

START_TEST(a_registration_without_memory_is_closed_and_may_come_again) {
    const struct epmd_node node = some_node("rabbit", 25672);
    const struct epmd_request request = {.operation = EPMD_ALIVE2, .node = node};
    const struct epmd_caller caller = {.local = true};

    for (unsigned n = 1;; n++) {
        reply = writer_of(buffer, sizeof buffer);
        fail_nth_allocation(n);
        struct epmd_answer answer = epmd_service_answer(&service, &request, &caller, &reply);
        if (!allocation_failed()) {
            ck_assert_uint_gt(n, 1);
            ck_assert_int_eq(answer.action, EPMD_ACTION_HOLD);
            return;
        }
        assert_closed(answer);
        ck_assert_uint_eq(registry_count(some.registry), 0);
    }
}
END_TEST

START_TEST(anybody_may_look_a_name_up) {
    const struct epmd_node node = some_node("rabbit", 25672);
    ask_register(true, &node);

    for (int local = 0; local < 2; local++) {
        ck_assert_int_eq(ask_simple(local == 1, EPMD_PORT_PLEASE2, "rabbit").action,
                         EPMD_ACTION_REPLY);
        assert_bytes(writer_bytes(&reply), LITERAL("w\x00\x64\x48\x4d\x00\x00\x06\x00\x05"
                                                   "\x00\x06rabbit\x00\x00"));
        ck_assert_int_eq(ask_simple(local == 1, EPMD_PORT_PLEASE2, "hare").action,
                         EPMD_ACTION_REPLY);
        assert_bytes(writer_bytes(&reply), LITERAL("w\x01"));
    }
}
END_TEST

START_TEST(the_longest_node_is_looked_up_whole) {
    static const char extra[EPMD_EXTRA_MAX];
    char name[ALIVE_NAME_MAX_BYTES + 1] = "";
    for (size_t i = 0; i < ALIVE_NAME_MAX_BYTES; i++)
        name[i] = "\xf0\x9d\x84\x9e"[i % 4];
    struct epmd_node node = some_node(name, 1);
    node.extra = bytes_of(extra, sizeof extra);
    ck_assert_int_eq(ask_register(true, &node).action, EPMD_ACTION_HOLD);

    ask_simple(false, EPMD_PORT_PLEASE2, name);
    ck_assert_uint_eq(reply.len, EPMD_SHORT_REPLY_MAX);
}
END_TEST

START_TEST(a_name_that_left_is_unknown) {
    registry_remove(some.registry, some_registration(some.registry, "rabbit", 1));

    ask_simple(true, EPMD_PORT_PLEASE2, "rabbit");
    assert_bytes(writer_bytes(&reply), LITERAL("w\x01"));
}
END_TEST

static void assert_listed(struct epmd_answer answer, enum listing_kind kind) {
    ck_assert_int_eq(answer.action, EPMD_ACTION_LIST);
    ck_assert_int_eq(answer.listing, kind);
    ck_assert_int_eq(answer.reason != NULL, kind == LISTING_NO_NAMES);
}

START_TEST(other_hosts_list_names_only_where_they_may) {
    assert_listed(ask_simple(true, EPMD_NAMES, ""), LISTING_NAMES);
    assert_listed(ask_simple(false, EPMD_NAMES, ""), LISTING_NO_NAMES);

    service.remote_names = REMOTE_NAMES_ON;
    assert_listed(ask_simple(false, EPMD_NAMES, ""), LISTING_NAMES);
}
END_TEST

static bool is_member(void *context, struct bytes address) {
    const bool *answer = context;
    ck_assert_uint_eq(address.len, 0); /* the caller's, as it came */
    return *answer;
}

START_TEST(names_are_listed_to_hosts_of_members) {
    bool member = false;
    service.remote_names = REMOTE_NAMES_MEMBERS;
    assert_listed(ask_simple(false, EPMD_NAMES, ""), LISTING_NO_NAMES);

    service.member_hosts = (struct member_hosts_query){.has = is_member, .context = &member};
    assert_listed(ask_simple(false, EPMD_NAMES, ""), LISTING_NO_NAMES);
    assert_listed(ask_simple(true, EPMD_NAMES, ""), LISTING_NAMES);
    member = true;
    assert_listed(ask_simple(false, EPMD_NAMES, ""), LISTING_NAMES);
    service.remote_names = REMOTE_NAMES_OFF;
    assert_listed(ask_simple(false, EPMD_NAMES, ""), LISTING_NO_NAMES);
}
END_TEST

START_TEST(a_dump_is_for_this_host_alone) {
    service.remote_names = REMOTE_NAMES_ON;
    service.relaxed_commands = true;

    assert_closed(ask_simple(false, EPMD_DUMP, ""));
    struct epmd_answer answer = ask_simple(true, EPMD_DUMP, "");
    ck_assert_int_eq(answer.action, EPMD_ACTION_LIST);
    ck_assert_int_eq(answer.listing, LISTING_DUMP);
}
END_TEST

START_TEST(an_idle_epmd_may_be_killed_from_this_host_alone) {
    service.quits_when_idle = true;
    assert_closed(ask_simple(false, EPMD_KILL, ""));

    ck_assert_int_eq(ask_simple(true, EPMD_KILL, "").action, EPMD_ACTION_QUIT);
    assert_bytes(writer_bytes(&reply), LITERAL("OK"));
}
END_TEST

START_TEST(a_daemon_that_does_not_quit_when_idle_is_killed_only_when_relaxed) {
    ck_assert_int_eq(ask_simple(true, EPMD_KILL, "").action, EPMD_ACTION_REPLY);
    assert_bytes(writer_bytes(&reply), LITERAL("NO"));

    service.relaxed_commands = true;
    ck_assert_int_eq(ask_simple(true, EPMD_KILL, "").action, EPMD_ACTION_QUIT);
    assert_bytes(writer_bytes(&reply), LITERAL("OK"));
}
END_TEST

START_TEST(a_daemon_with_names_is_killed_only_when_relaxed) {
    service.quits_when_idle = true;
    some_registration(some.registry, "rabbit", 1);

    ck_assert_int_eq(ask_simple(true, EPMD_KILL, "").action, EPMD_ACTION_REPLY);
    assert_bytes(writer_bytes(&reply), LITERAL("NO"));

    service.relaxed_commands = true;
    assert_closed(ask_simple(false, EPMD_KILL, ""));
    ck_assert_int_eq(ask_simple(true, EPMD_KILL, "").action, EPMD_ACTION_QUIT);
    assert_bytes(writer_bytes(&reply), LITERAL("OK"));
}
END_TEST

START_TEST(a_name_is_stopped_only_when_relaxed_and_from_this_host) {
    struct registration *rabbit = some_registration(some.registry, "rabbit", 1);

    assert_closed(ask_simple(true, EPMD_STOP, "rabbit"));
    service.relaxed_commands = true;
    assert_closed(ask_simple(false, EPMD_STOP, "rabbit"));

    struct epmd_answer answer = ask_simple(true, EPMD_STOP, "rabbit");
    ck_assert_int_eq(answer.action, EPMD_ACTION_EVICT);
    ck_assert_ptr_eq(answer.registration, rabbit);
    assert_bytes(writer_bytes(&reply), LITERAL("STOPPED"));
    /* who evicts is the caller */
    ck_assert_uint_eq(registry_count(some.registry), 1);
}
END_TEST

START_TEST(a_name_that_is_not_there_cannot_be_stopped) {
    service.relaxed_commands = true;

    ck_assert_int_eq(ask_simple(true, EPMD_STOP, "rabbit").action, EPMD_ACTION_REPLY);
    assert_bytes(writer_bytes(&reply), LITERAL("NOEXIST"));
    ck_assert_int_eq(ask_simple(true, EPMD_STOP, "").action, EPMD_ACTION_REPLY);
    assert_bytes(writer_bytes(&reply), LITERAL("NOEXIST"));
}
END_TEST

static struct registration *obstacle(enum epmd_operation operation, const char *name,
                                     uint16_t port) {
    const struct epmd_request request = {
        .operation = operation, .name = bytes_of_text(name), .node = some_node(name, port)};
    return epmd_service_conflict(&service, &request);
}

START_TEST(the_holder_of_a_name_is_in_the_way_of_the_next_one) {
    struct registration *rabbit = some_registration(some.registry, "rabbit", 1);
    ck_assert_ptr_eq(obstacle(EPMD_ALIVE2, "rabbit", 2), rabbit);
    ck_assert_ptr_null(obstacle(EPMD_ALIVE2, "hare", 1));
    ck_assert_ptr_null(obstacle(EPMD_PORT_PLEASE2, "rabbit", 1));
    ck_assert_ptr_null(obstacle(EPMD_STOP, "rabbit", 1));
    epmd_service_end(&service, rabbit);
    ck_assert_ptr_null(obstacle(EPMD_ALIVE2, "rabbit", 2));
}
END_TEST

START_TEST(the_holder_of_a_port_is_in_the_way_where_ports_are_enforced) {
    struct port_pool_options options = {
        .policy = PORT_POLICY_ANY, .first = 6000, .last = 6001, .enforce = true};
    service.pool = port_pool_new(&options);
    const struct epmd_node node = some_node("rabbit", 6000);
    struct registration *rabbit = ask_register(true, &node).registration;
    ck_assert_ptr_nonnull(rabbit);
    ck_assert_ptr_eq(obstacle(EPMD_ALIVE2, "hare", 6000), rabbit);
    ck_assert_ptr_null(obstacle(EPMD_ALIVE2, "hare", 6001));
    options.enforce = false;
    port_pool_configure(service.pool, &options);
    ck_assert_ptr_null(obstacle(EPMD_ALIVE2, "hare", 6000));
    options.enforce = true;
    port_pool_configure(service.pool, &options);
    epmd_service_end(&service, rabbit);
    ck_assert_ptr_null(obstacle(EPMD_ALIVE2, "hare", 6000));
    port_pool_free(service.pool);
}
END_TEST

START_TEST(a_lease_without_its_node_has_no_holder_to_look_at) {
    const struct port_pool_options options = {
        .policy = PORT_POLICY_RANGE, .first = 6000, .last = 6001, .enforce = true};
    struct some_host host = {.asked = 0};
    const struct port_probe probe = some_host_probe(&host);
    uint16_t port;
    service.pool = port_pool_new(&options);
    ck_assert_int_eq(
        port_pool_lease(service.pool, bytes_of_text("rabbit"), USER_ROOT, 0, &probe, &port),
        PORT_OK);
    ck_assert_ptr_null(obstacle(EPMD_ALIVE2, "hare", port));
    port_pool_free(service.pool);
}
END_TEST

START_TEST(the_end_of_a_registration_ends_its_hold_on_the_port) {
    const struct port_pool_options options = {
        .policy = PORT_POLICY_RANGE, .first = 6000, .last = 6001, .enforce = true};
    const struct epmd_request request = {.operation = EPMD_ALIVE2,
                                         .node = some_node("rabbit", 6000)};
    struct epmd_caller caller = {.local = true, .loopback = true, .holder = &reply};
    struct port_lease lease;
    service.pool = port_pool_new(&options);
    reply = writer_of(buffer, sizeof buffer);
    struct epmd_answer answer = epmd_service_answer(&service, &request, &caller, &reply);
    ck_assert_int_eq(answer.action, EPMD_ACTION_HOLD);
    ck_assert(port_pool_find(service.pool, LITERAL("rabbit"), &lease) && lease.held);
    epmd_service_end(&service, answer.registration);
    ck_assert(!port_pool_find(service.pool, LITERAL("rabbit"), &lease) || !lease.held);
    ck_assert_ptr_null(registry_find(service.registry, LITERAL("rabbit")));
    port_pool_free(service.pool);
    service.pool = NULL;
}
END_TEST

START_TEST(any_name_is_in_the_way_of_a_kill_that_wants_none) {
    ck_assert_ptr_null(obstacle(EPMD_KILL, "", 0));
    some_registration(some.registry, "rabbit", 1);
    struct registration *newest = some_registration(some.registry, "hare", 2);
    ck_assert_ptr_null(obstacle(EPMD_KILL, "", 0));
    service.quits_when_idle = true;
    ck_assert_ptr_eq(obstacle(EPMD_KILL, "", 0), newest);
    service.relaxed_commands = true;
    ck_assert_ptr_null(obstacle(EPMD_KILL, "", 0));
}
END_TEST

START_TEST(an_operation_that_is_none_is_closed) {
    assert_closed(ask_simple(true, (enum epmd_operation)'?', ""));
    assert_closed(ask_simple(false, (enum epmd_operation)'?', ""));
}
END_TEST

static void give_the_daemon_a_name(void) {
    service.own_name = bytes_of_text("portolan1");
    service.own_front_port = 4371;
}

START_TEST(the_daemon_answers_for_its_own_name) {
    give_the_daemon_a_name();
    for (int local = 0; local < 2; local++) {
        ck_assert_int_eq(ask_simple(local == 1, EPMD_PORT_PLEASE2, "portolan1").action,
                         EPMD_ACTION_REPLY);
        assert_bytes(writer_bytes(&reply), LITERAL("w\x00\x11\x13\x48\x00\x00\x06\x00\x05"
                                                   "\x00\x09portolan1\x00\x00"));
    }
    ask_simple(true, EPMD_PORT_PLEASE2, "portolan");
    assert_bytes(writer_bytes(&reply), LITERAL("w\x01"));
}
END_TEST

START_TEST(without_a_front_port_the_daemon_has_no_answer_of_its_own) {
    give_the_daemon_a_name();
    service.own_front_port = 0;
    ask_simple(true, EPMD_PORT_PLEASE2, "portolan1");
    assert_bytes(writer_bytes(&reply), LITERAL("w\x01"));
}
END_TEST

START_TEST(the_daemons_own_name_is_no_registration) {
    struct epmd_answer answer;
    give_the_daemon_a_name();
    service.relaxed_commands = true;
    ask_simple(true, EPMD_STOP, "portolan1");
    assert_bytes(writer_bytes(&reply), LITERAL("NOEXIST"));
    service.relaxed_commands = false;
    service.quits_when_idle = true;
    ck_assert_int_eq(ask_simple(true, EPMD_KILL, "").action, EPMD_ACTION_QUIT);

    const struct epmd_node node = some_node("portolan1", 25672);
    answer = ask_register(true, &node);
    ck_assert_int_eq(answer.action, EPMD_ACTION_HOLD);
    ask_simple(false, EPMD_PORT_PLEASE2, "portolan1");
    assert_bytes(writer_bytes(&reply), LITERAL("w\x00\x64\x48\x4d\x00\x00\x06\x00\x05"
                                               "\x00\x09portolan1\x00\x00"));
    epmd_service_end(&service, answer.registration);
    ask_simple(false, EPMD_PORT_PLEASE2, "portolan1");
    ck_assert_uint_eq(buffer[3], 0x13);
}
END_TEST

START_TEST(a_registration_belongs_to_the_user_of_its_caller) {
    const struct epmd_caller caller = {.local = true, .user = 1000};
    const struct epmd_request request = {.operation = EPMD_ALIVE2,
                                         .node = some_node("rabbit", 25672)};
    reply = writer_of(buffer, sizeof buffer);

    struct epmd_answer answer = epmd_service_answer(&service, &request, &caller, &reply);

    ck_assert_int_eq(answer.action, EPMD_ACTION_HOLD);
    ck_assert_uint_eq(answer.registration->user, 1000);
}
END_TEST

Suite *epmd_service_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("epmd_service", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_node_of_this_host_is_registered_and_held);
    tcase_add_test(tests, a_registration_belongs_to_the_user_of_its_caller);
    tcase_add_test(tests, an_older_node_gets_a_narrow_creation);
    tcase_add_test(tests, a_node_of_another_host_is_not_registered);
    tcase_add_test(tests, a_refused_node_is_told_so_in_its_own_version);
    tcase_add_test(tests, a_helper_of_a_server_may_use_its_port_from_loopback_only);
    tcase_add_test(tests, a_registration_without_memory_is_closed_and_may_come_again);
    tcase_add_test(tests, anybody_may_look_a_name_up);
    tcase_add_test(tests, the_longest_node_is_looked_up_whole);
    tcase_add_test(tests, a_name_that_left_is_unknown);
    tcase_add_test(tests, other_hosts_list_names_only_where_they_may);
    tcase_add_test(tests, names_are_listed_to_hosts_of_members);
    tcase_add_test(tests, a_dump_is_for_this_host_alone);
    tcase_add_test(tests, an_idle_epmd_may_be_killed_from_this_host_alone);
    tcase_add_test(tests, a_daemon_that_does_not_quit_when_idle_is_killed_only_when_relaxed);
    tcase_add_test(tests, a_daemon_with_names_is_killed_only_when_relaxed);
    tcase_add_test(tests, a_name_is_stopped_only_when_relaxed_and_from_this_host);
    tcase_add_test(tests, a_name_that_is_not_there_cannot_be_stopped);
    tcase_add_test(tests, the_holder_of_a_name_is_in_the_way_of_the_next_one);
    tcase_add_test(tests, the_holder_of_a_port_is_in_the_way_where_ports_are_enforced);
    tcase_add_test(tests, a_lease_without_its_node_has_no_holder_to_look_at);
    tcase_add_test(tests, the_end_of_a_registration_ends_its_hold_on_the_port);
    tcase_add_test(tests, any_name_is_in_the_way_of_a_kill_that_wants_none);
    tcase_add_test(tests, an_operation_that_is_none_is_closed);
    tcase_add_test(tests, the_daemon_answers_for_its_own_name);
    tcase_add_test(tests, without_a_front_port_the_daemon_has_no_answer_of_its_own);
    tcase_add_test(tests, the_daemons_own_name_is_no_registration);
    return suite;
}
