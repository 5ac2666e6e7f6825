/* Stories of joining, leaving and being found. */
#include "scenario_tools.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- joining --- */

static void two_that_join_share_a_name(void) {
    some_hosts(2);
    host_register(host(0), "rabbit");
    host_join(host(1), host(0));
    world_run(world, 200);
    EXPECT(host(1)->joins_done == 1);
    EXPECT(knows_name(1, "rabbit", 0));
    host_register(host(1), "emqx");
    world_run(world, 10);
    EXPECT(knows_name(0, "emqx", 1));
    host_unregister(host(1), 0);
    world_run(world, 10);
    EXPECT(!knows_name(0, "emqx", 1));
    EXPECT(all_are_one());
}

static void two_that_join_each_other_form_one(void) {
    for (uint64_t seed = 1; seed < 30 && broken == NULL; seed++) {
        some_hosts(2);
        world->random = random_of(seed);
        host_join(host(0), host(1));
        host_join(host(1), host(0));
        world_run(world, 1000);
        EXPECT(all_are_one());
        EXPECT(host(0)->joins_done == 1 && host(1)->joins_done == 1);
        if (seed < 29 && broken == NULL)
            world_free(world);
    }
}

static void two_of_two_clusters_that_join_each_other_form_one(void) {
    some_hosts(4);
    host_join(host(2), host(0));
    host_join(host(3), host(1));
    world_run(world, 500);
    host_join(host(0), host(1));
    host_join(host(1), host(0));
    world_run(world, 1000);
    EXPECT(lists(0, 1) && lists(1, 0));
    EXPECT(all_agree());
}

static void joining_oneself_is_ignored_and_joining_a_member_refused(void) {
    a_cluster_of(3);
    EXPECT(verdict_of_join(0, 0) == CLUSTER_IGNORED);
    EXPECT(verdict_of_join(1, 2) == CLUSTER_ALREADY_IN);
    EXPECT(cluster_force_leave(host(0)->cluster, host(0)->name, host_now(host(0))) ==
           CLUSTER_IGNORED);
    EXPECT(cluster_force_leave(host(0)->cluster, "x@nowhere.example", host_now(host(0))) ==
           CLUSTER_NOT_IN);
}

static void joining_a_closed_port_fails_and_keeps_the_old_cluster(void) {
    some_hosts(3);
    host_join(host(1), host(0));
    world_run(world, 500);
    host_crash(host(2), true);
    host_join(host(1), host(2));
    world_run(world, 500);
    EXPECT(host(1)->joins_failed == 1);
    EXPECT(host(1)->join_cause == CLUSTER_CAUSE_REFUSED);
    EXPECT(lists(1, 0) && lists(0, 1));
}

static void joining_elsewhere_leaves_first(void) {
    some_hosts(4);
    host_join(host(1), host(0));
    host_join(host(3), host(2));
    world_run(world, 1000);
    host_register(host(1), "rabbit");
    host_register(host(0), "old");
    world_run(world, 100);
    host_join(host(1), host(3));
    world_run(world, 1000);
    EXPECT(!lists(0, 1) && lists(2, 1) && lists(3, 1));
    EXPECT(knows_name(2, "rabbit", 1));
    EXPECT(!knows_name(1, "old", 0) && !knows_name(0, "rabbit", 1));
    EXPECT(members_of(0) == 1 && members_of(1) == 3);
    EXPECT(all_agree());
}

/* Whenever the one whose names are being pulled leaves: what was asked for is not waited for. */
static void a_leave_in_the_midst_of_a_join_does_not_hold_it_up(void) {
    for (int after_ms = 0; after_ms < 60 && broken == NULL; after_ms++) {
        some_hosts(4);
        host_join(host(1), host(0));
        host_join(host(2), host(0));
        host_register(host(2), "rabbit");
        world_run(world, 1000);
        host_join(host(3), host(0));
        world_run(world, after_ms);
        host_leave(host(2));
        world_run(world, 1000);
        EXPECT(host(3)->joins_done == 1);
        EXPECT(all_agree());
        if (after_ms < 59 && broken == NULL)
            world_free(world);
    }
}

static void a_large_directory_is_taken_over_whole(void) {
    some_hosts(2);
    struct directory_name node = {.port = 6369, .type = 77};
    char name[32];
    for (int i = 0; i < 15000; i++) {
        snprintf(name, sizeof name, "node-with-a-long-name-%d", i);
        node.name = bytes_of_text(name);
        cluster_name_registered(host(0)->cluster, &node, host_now(host(0)));
    }
    host_join(host(1), host(0));
    world_run(world, 500);
    EXPECT(host(1)->joins_done == 1);
    EXPECT(directory_count(cluster_directory(host(1)->cluster)) == 15000);
    EXPECT(world->longest_frame <= CLUSTER_FRAME_MAX && world->longest_frame > 60000);
}

static void sixteen_have_formed_0_3_s_after_the_last_join(void) {
    some_hosts(16);
    for (int i = 1; i < 16; i++)
        host_join(host(i), host(0));
    world_run(world, 300);
    EXPECT(all_are_one());
}

static void a_daemon_of_another_cluster_name_is_refused(void) {
    some_hosts(2);
    host_crash(host(1), false);
    host(1)->cluster_name = "another";
    host_start(host(1));
    host_join(host(1), host(0));
    world_run(world, 500);
    EXPECT(host(1)->joins_failed == 1);
    EXPECT(host(1)->join_cause == CLUSTER_CAUSE_WRONG_CLUSTER_NAME);
    EXPECT(members_of(0) == 1 && members_of(1) == 1);
}

static void a_daemon_with_the_certificate_of_another_is_refused_and_told_why(void) {
    some_hosts(2);
    host(1)->misnamed = true;
    host_join(host(1), host(0));
    world_run(world, 500);
    EXPECT(host(1)->joins_failed == 1);
    EXPECT(host(1)->join_cause == CLUSTER_CAUSE_CERTIFICATE);
    host_join(host(0), host(1));
    world_run(world, 500);
    EXPECT(host(0)->joins_failed == 1);
    EXPECT(host(0)->join_cause == CLUSTER_CAUSE_CERTIFICATE);
    EXPECT(members_of(0) == 1 && members_of(1) == 1);
}

static void forget_disk(struct host *host) {
    free(host->disk);
    host->disk = NULL;
    host->disk_len = 0;
}

static void a_name_that_a_running_member_has_is_refused(void) {
    some_hosts(3);
    host_join(host(1), host(0));
    world_run(world, 1000);
    host_crash(host(2), false);
    forget_disk(host(2));
    snprintf(host(2)->name, sizeof host(2)->name, "%s", host(0)->name);
    uint64_t before = cluster_incarnation(host(0)->cluster);
    host_start(host(2));
    host_join(host(2), host(1));
    world_run(world, 3000);
    EXPECT(host(2)->joins_failed == 1);
    EXPECT(host(2)->join_cause == CLUSTER_CAUSE_NAME_IN_USE);
    EXPECT(lists(1, 0) && state_at(1, 0) == CLUSTER_ALIVE);
    EXPECT(cluster_incarnation(host(0)->cluster) == before);
}

static enum cluster_start start_with(const char *name, const uint8_t *stored, size_t len) {
    struct cluster_options options = cluster_options_default();
    struct cluster *made = NULL;
    options.name = name;
    options.stored = bytes_of(stored, len);
    options.io = host(0)->io;
    options.io_context = host(0);
    enum cluster_start started = cluster_new(&options, 0, &made);
    cluster_free(made);
    return started;
}

static void the_name_of_a_member_stands_and_a_damaged_store_is_refused(void) {
    a_cluster_of(2);
    host_crash(host(1), false);
    uint8_t *stored = host(1)->disk;
    size_t len = host(1)->disk_len;
    EXPECT(start_with(host(1)->name, stored, len) == CLUSTER_STARTED);
    EXPECT(start_with("new@h.example.org", stored, len) == CLUSTER_START_NAME_CHANGED);
    stored[len / 2] ^= 1;
    EXPECT(start_with(host(1)->name, stored, len) == CLUSTER_START_STORE_DAMAGED);
    stored[len / 2] ^= 1;
    EXPECT(start_with("short", stored, len) == CLUSTER_START_BAD_NAME);
    host_start(host(1));
    host_leave(host(1));
    host_crash(host(1), false);
    EXPECT(start_with("new@h.example.org", host(1)->disk, host(1)->disk_len) == CLUSTER_STARTED);
}

/* --- leaving --- */

static void a_leave_is_known_everywhere_at_once(void) {
    a_cluster_of(5);
    EXPECT(host_leave(host(3)));
    EXPECT(members_of(3) == 1);
    world_run(world, world->latency_max_ms);
    for (int i = 0; i < 5; i++)
        EXPECT(i == 3 || !lists(i, 3));
    EXPECT(!host_leave(host(3)));
    EXPECT(all_agree());
}

static void who_left_does_not_come_back_through_one_who_had_not_heard(void) {
    a_cluster_of(4);
    isolate(2, true);
    world_run(world, 10000);
    host_leave(host(3));
    world_run(world, 1000);
    isolate(2, false);
    world_run(world, 60000);
    EXPECT(!lists(0, 3) && !lists(1, 3) && !lists(2, 3));
    EXPECT(members_of(0) == 3 && members_of(3) == 1);
    EXPECT(all_agree());
}

static void a_forced_out_member_that_was_away_stays_out(void) {
    a_cluster_of(4);
    isolate(3, true);
    world_run(world, 10000);
    EXPECT(host_force_leave(host(0), host(3)));
    world_run(world, 1000);
    isolate(3, false);
    world_run(world, 60000);
    EXPECT(members_of(3) == 1 && cluster_is_discovery_paused(host(3)->cluster));
    EXPECT(host(3)->events[CLUSTER_EVENT_FORCED_OUT] == 1);
    EXPECT(!lists(0, 3) && !lists(1, 3) && !lists(2, 3));
    EXPECT(all_agree());
}

static void a_forced_out_member_that_was_off_stays_out_after_restarts(void) {
    a_cluster_of(4);
    host_crash(host(3), false);
    world_run(world, 3000);
    EXPECT(host_force_leave(host(0), host(3)));
    world_run(world, 1000);
    for (int i = 0; i < 3; i++)
        host_crash(host(i), false);
    for (int i = 0; i < 3; i++)
        host_start(host(i));
    world_run(world, 5000);
    host_start(host(3));
    world_run(world, 30000);
    EXPECT(members_of(0) == 3 && members_of(3) == 1);
    host_crash(host(3), false);
    host_start(host(3));
    world_run(world, 30000);
    EXPECT(members_of(0) == 3 && members_of(3) == 1);
    EXPECT(all_agree());
}

/* A host that is replaced, with an empty disk and a clock behind that of who forced it out. */
static void a_forced_out_seed_whose_clock_is_behind_is_back_with_its_second_start(void) {
    with_seeds(3);
    host(0)->wall_ms = 3600000;
    for (int i = 0; i < 3; i++)
        host_start(host(i));
    world_run(world, 20000);
    EXPECT(all_are_one());
    host_die(host(2));
    world_run(world, 10000);
    EXPECT(host_force_leave(host(0), host(2)));
    world_run(world, 1000);
    forget_disk(host(2));
    host_start(host(2));
    world_run(world, 20000);
    EXPECT(members_of(2) == 1 && members_of(0) == 2);
    EXPECT(cluster_is_discovery_paused(host(2)->cluster) &&
           cluster_was_forced_out(host(2)->cluster));
    host_crash(host(2), false);
    host_start(host(2));
    world_run(world, 20000);
    EXPECT(all_are_one());
}

static void a_forced_out_member_with_an_ally_goes_when_the_ally_hears(void) {
    a_cluster_of(4);
    split_at(2, true);
    world_run(world, 10000);
    EXPECT(host_force_leave(host(0), host(3)));
    world_run(world, 1000);
    cut(0, 2, false);
    world_run(world, 40000);
    EXPECT(lists(0, 2) && lists(2, 0));
    EXPECT(!lists(2, 3) && members_of(3) == 1);
}

static void a_forced_out_member_comes_back_when_told_to_join(void) {
    a_cluster_of(4);
    EXPECT(host_force_leave(host(0), host(3)));
    world_run(world, 500);
    EXPECT(members_of(3) == 1);
    host_join(host(3), host(1));
    world_run(world, 1000);
    EXPECT(host(3)->joins_done >= 1);
    EXPECT(all_are_one());
}

/* --- discovery --- */

static void the_same_seeds_form_one_cluster(void) {
    with_seeds(16);
    for (int i = 0; i < 16; i++)
        host_start(host(i));
    world_run(world, 2000);
    EXPECT(all_are_one());
}

static void seeds_that_come_minutes_later_are_found(void) {
    with_seeds(6);
    host_start(host(3));
    host_start(host(5));
    world_run(world, 120000);
    host_start(host(0));
    world_run(world, 60000);
    for (int i = 0; i < 6; i++) {
        if (!host_runs(host(i)))
            host_start(host(i));
    }
    world_run(world, 10000);
    EXPECT(all_are_one());
}

static void clusters_that_formed_apart_merge_when_they_meet(void) {
    with_seeds(6);
    split_at(3, true);
    for (int i = 0; i < 6; i++) {
        host_start(host(i));
        host_register(host(i), "node");
    }
    world_run(world, 20000);
    EXPECT(members_of(0) == 3 && members_of(5) == 3);
    split_at(3, false);
    world_run(world, 30000);
    EXPECT(all_are_one());
}

static void after_leave_discovery_rests_until_a_restart(void) {
    with_seeds(3);
    for (int i = 0; i < 3; i++)
        host_start(host(i));
    world_run(world, 2000);
    EXPECT(all_are_one());
    host_leave(host(1));
    world_run(world, 30000);
    EXPECT(members_of(1) == 1 && members_of(0) == 2);
    host_crash(host(1), false);
    host_start(host(1));
    world_run(world, 15000);
    EXPECT(all_are_one());
}

const struct scenario membership_scenarios[] = {
    SCENARIO(two_that_join_share_a_name),
    SCENARIO(two_that_join_each_other_form_one),
    SCENARIO(two_of_two_clusters_that_join_each_other_form_one),
    SCENARIO(joining_oneself_is_ignored_and_joining_a_member_refused),
    SCENARIO(joining_a_closed_port_fails_and_keeps_the_old_cluster),
    SCENARIO(joining_elsewhere_leaves_first),
    SCENARIO(a_leave_in_the_midst_of_a_join_does_not_hold_it_up),
    SCENARIO(a_large_directory_is_taken_over_whole),
    SCENARIO(sixteen_have_formed_0_3_s_after_the_last_join),
    SCENARIO(a_daemon_of_another_cluster_name_is_refused),
    SCENARIO(a_daemon_with_the_certificate_of_another_is_refused_and_told_why),
    SCENARIO(a_name_that_a_running_member_has_is_refused),
    SCENARIO(the_name_of_a_member_stands_and_a_damaged_store_is_refused),
    SCENARIO(a_leave_is_known_everywhere_at_once),
    SCENARIO(who_left_does_not_come_back_through_one_who_had_not_heard),
    SCENARIO(a_forced_out_member_that_was_away_stays_out),
    SCENARIO(a_forced_out_member_that_was_off_stays_out_after_restarts),
    SCENARIO(a_forced_out_seed_whose_clock_is_behind_is_back_with_its_second_start),
    SCENARIO(a_forced_out_member_with_an_ally_goes_when_the_ally_hears),
    SCENARIO(a_forced_out_member_comes_back_when_told_to_join),
    SCENARIO(the_same_seeds_form_one_cluster),
    SCENARIO(seeds_that_come_minutes_later_are_found),
    SCENARIO(clusters_that_formed_apart_merge_when_they_meet),
    SCENARIO(after_leave_discovery_rests_until_a_restart),
    SCENARIOS_END,
};
