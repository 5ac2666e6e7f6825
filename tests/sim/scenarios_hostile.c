/* Stories of members that lie, and of lists that are full. */
#include "scenario_tools.h"

#include "cluster/store.h"
#include "cluster/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST (WIRE_NUMBER_MAX - 1)
#define YEAR (UINT64_C(365) * 24 * 3600 * 1000000) /* of a number */

/* --- what a liar says --- */

static void inject_record(int from, int to, const struct wire_record *record) {
    uint8_t buffer[WIRE_HEAD + WIRE_RECORD_MAX];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = wire_begin(&writer, WIRE_RECORDS);
    wire_write_record(&writer, record);
    wire_end(&writer, begun);
    EXPECT(world_inject(world, from, to, writer_bytes(&writer)));
}

static struct wire_record record_of(int about, enum cluster_state state, uint64_t number) {
    struct wire_record record = {.state = (uint8_t)state,
                                 .port = 4370,
                                 .joined = number,
                                 .generation = number,
                                 .incarnation = number,
                                 .name = bytes_of_text(host(about)->name)};
    return record;
}

static uint64_t incarnation_of(int index) {
    return cluster_incarnation(host(index)->cluster);
}

static void numbers_that_no_clock_gives_are_refused(void) {
    const enum cluster_state states[] = {CLUSTER_ALIVE, CLUSTER_SUSPECT, CLUSTER_DOWN, CLUSTER_LEFT,
                                         CLUSTER_FORCED_OUT};
    a_cluster_of(3);
    host_register(host(2), "rabbit");
    uint64_t before = incarnation_of(2);
    for (uint64_t number = MOST; number <= WIRE_NUMBER_MAX; number++) {
        for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
            struct wire_record record = record_of(2, states[i], number);
            inject_record(0, 1, &record);
            inject_record(0, 2, &record);
        }
    }
    struct wire_record many_names = record_of(2, CLUSTER_ALIVE, before);
    many_names.joined = 0;
    many_names.names = MOST;
    inject_record(0, 1, &many_names);
    world_run(world, 5000);
    EXPECT(lists(1, 2) && lists(0, 2) && knows_name(1, "rabbit", 2));
    EXPECT(incarnation_of(2) == before);
    EXPECT(all_are_one());
}

/* What a clock might say is believed, and whoever was hurt by it goes above it. */
static void one_that_was_ended_far_ahead_joins_again(void) {
    a_cluster_of(3);
    struct wire_record end = record_of(2, CLUSTER_FORCED_OUT, incarnation_of(2) + 99 * YEAR);
    inject_record(0, 1, &end);
    world_run(world, 2000);
    EXPECT(!lists(1, 2) && members_of(2) == 1);
    host_join(host(2), host(0));
    world_run(world, 2000);
    EXPECT(host(2)->joins_done == 2);
    EXPECT(incarnation_of(2) > end.incarnation);
    EXPECT(all_are_one());
}

static void what_is_said_of_us_far_ahead_is_not_followed(void) {
    a_cluster_of(2);
    uint64_t before = incarnation_of(1);
    struct wire_hello hello = {.version = WIRE_VERSION,
                               .id = cluster_id(host(0)->cluster),
                               .joined = 0,
                               .generation = incarnation_of(0),
                               .incarnation = incarnation_of(0),
                               .known_joined = before,
                               .known_incarnation = MOST,
                               .known_state = CLUSTER_ALIVE,
                               .port = 4370,
                               .name = bytes_of_text(host(0)->name),
                               .cluster_name = bytes_of_text("sim")};
    uint8_t buffer[1024];
    struct writer writer = writer_of(buffer, sizeof buffer);
    wire_write_hello(&writer, &hello);
    EXPECT(world_inject(world, 0, 1, writer_bytes(&writer)));
    world_run(world, 5000);
    EXPECT(incarnation_of(1) == before);
    EXPECT(all_are_one());
}

/* What an earlier version believed is not believed for ever. */
static void a_store_with_numbers_far_ahead_is_no_burden(void) {
    a_cluster_of(2);
    host_crash(host(1), false);
    struct store_head head = {.name = bytes_of_text(host(1)->name),
                              .joined = MOST,
                              .reserve = WIRE_NUMBER_MAX,
                              .id = {.created_ms = 1, .random = 1}};
    struct store_record other = {.state = CLUSTER_FORCED_OUT,
                                 .name = bytes_of_text(host(0)->name),
                                 .incarnation = WIRE_NUMBER_MAX};
    uint8_t *text = malloc(4 * STORE_LINE_MAX);
    struct writer writer = writer_of(text, 4 * STORE_LINE_MAX);
    cluster_store_write_head(&writer, &head);
    cluster_store_write(&writer, &other);
    cluster_store_write_sum(&writer);
    free(host(1)->disk);
    host(1)->disk = text;
    host(1)->disk_len = writer.len;
    host(1)->saved_incarnation = 0;
    host_start(host(1));
    world_run(world, 1000);
    host_join(host(1), host(0));
    world_run(world, 2000);
    EXPECT(all_are_one());
}

/* --- full lists --- */

/* Host 0's list, but for `places`: members that host 1 tells of, and that run nowhere. */
static void fill_up(size_t places) {
    uint8_t buffer[CLUSTER_FRAME_MAX];
    size_t number = 0;
    while (members_of(0) + places < CLUSTER_MEMBERS_MAX && broken == NULL) {
        size_t missing = CLUSTER_MEMBERS_MAX - places - members_of(0);
        struct writer writer = writer_of(buffer, sizeof buffer);
        size_t begun = wire_begin(&writer, WIRE_RECORDS);
        for (size_t i = 0; i < missing && i < 500; i++) {
            char name[64];
            snprintf(name, sizeof name, "q%zu@full.example.org", 1000 + number++);
            struct wire_record record = {.state = CLUSTER_DOWN,
                                         .joined = 1,
                                         .generation = 1,
                                         .incarnation = 1,
                                         .name = bytes_of_text(name)};
            wire_write_record(&writer, &record);
        }
        wire_end(&writer, begun);
        EXPECT(world_inject(world, 1, 0, writer_bytes(&writer)));
        world_run(world, 10);
    }
    EXPECT(members_of(0) + places == CLUSTER_MEMBERS_MAX);
}

static void a_full_list_is_told_and_the_joiner_keeps_what_it_had(void) {
    some_hosts(4);
    host_join(host(1), host(0));
    host_join(host(3), host(2));
    world_run(world, 500);
    fill_up(0);
    host_join(host(3), host(0));
    world_run(world, 1000);
    EXPECT(host(3)->joins_failed == 1 && host(3)->join_cause == CLUSTER_CAUSE_FULL);
    EXPECT(members_of(3) == 2 && lists(3, 2) && lists(2, 3));
    EXPECT(!lists(0, 3));
}

/* The last place is taken while two are on their way to it: one is in, the other is out. */
static void of_two_that_join_for_one_place_one_is_out(void) {
    some_hosts(4);
    host_join(host(1), host(0));
    world_run(world, 500);
    fill_up(1);
    host_join(host(2), host(0));
    host_join(host(3), host(0));
    world_run(world, 1000);
    int in = lists(0, 2) ? 2 : 3, out = 5 - in;
    EXPECT(lists(0, in) && !lists(0, out));
    EXPECT(host(in)->joins_done == 1);
    EXPECT(host(out)->joins_failed == 1 && host(out)->join_cause == CLUSTER_CAUSE_FULL);
    EXPECT(members_of(out) == 1);
    EXPECT(!cluster_is_in(host(out)->cluster) && !cluster_is_joining(host(out)->cluster));
}

/* A tombstone that comes to life again takes a place too. */
static void who_left_a_full_list_finds_no_place_in_it(void) {
    some_hosts(3);
    host_join(host(1), host(0));
    host_join(host(2), host(0));
    world_run(world, 500);
    host_leave(host(2));
    world_run(world, 500);
    fill_up(0);
    host_join(host(2), host(0));
    world_run(world, 1000);
    EXPECT(host(2)->joins_failed == 1 && host(2)->join_cause == CLUSTER_CAUSE_FULL);
    EXPECT(members_of(0) == CLUSTER_MEMBERS_MAX && members_of(2) == 1);
}

const struct scenario hostile_scenarios[] = {
    SCENARIO(numbers_that_no_clock_gives_are_refused),
    SCENARIO(one_that_was_ended_far_ahead_joins_again),
    SCENARIO(what_is_said_of_us_far_ahead_is_not_followed),
    SCENARIO(a_store_with_numbers_far_ahead_is_no_burden),
    SCENARIO(a_full_list_is_told_and_the_joiner_keeps_what_it_had),
    SCENARIO(of_two_that_join_for_one_place_one_is_out),
    SCENARIO(who_left_a_full_list_finds_no_place_in_it),
    SCENARIOS_END,
};
