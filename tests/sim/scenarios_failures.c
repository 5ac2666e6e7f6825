/* Stories of what breaks, and of how much is said. */
#include "scenario_tools.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- failures --- */

static void a_killed_daemon_is_known_everywhere_within_a_second(void) {
    a_cluster_of(16);
    host_crash(host(7), true);
    int64_t took_ms = time_until(has_down, 7, 1000);
    EXPECT(took_ms >= 0);
    world_run(world, 5000);
    for (int i = 0; i < 16; i++)
        EXPECT(i == 7 || host(i)->events[CLUSTER_EVENT_DOWN] == 1);
}

static void a_silent_host_is_known_everywhere_within_five_seconds(void) {
    a_cluster_of(16);
    host_die(host(7));
    int64_t took_ms = time_until(has_down, 7, 5000);
    EXPECT(took_ms >= 0);
    world_run(world, 5000);
    for (int i = 0; i < 16; i++)
        EXPECT(i == 7 || host(i)->events[CLUSTER_EVENT_DOWN] == 1);
}

static void a_silent_host_of_two_is_known_too(void) {
    a_cluster_of(2);
    host_die(host(1));
    EXPECT(time_until(has_down, 1, 5000) >= 0);
}

static void a_daemon_stopped_in_order_is_down_at_once(void) {
    a_cluster_of(5);
    host_stop(host(2));
    world_run(world, 50);
    for (int i = 0; i < 5; i++)
        EXPECT(i == 2 || state_at(i, 2) == CLUSTER_DOWN);
}

static void one_broken_path_accuses_nobody(void) {
    a_cluster_of(6);
    incarnations_stand();
    cut(1, 4, true);
    world_run(world, 60000);
    EXPECT(suspicions_and_downs() == 0);
    EXPECT(incarnations_stand());
    EXPECT(host(1)->events[CLUSTER_EVENT_PATH_BROKEN] == 1);
    EXPECT(host(4)->events[CLUSTER_EVENT_PATH_BROKEN] == 1);
    host_register(host(1), "rabbit");
    world_run(world, 100);
    EXPECT(knows_name(4, "rabbit", 1));
    cut(1, 4, false);
    world_run(world, 10000);
    EXPECT(host(1)->events[CLUSTER_EVENT_PATH_HEALED] == 1);
    EXPECT(all_are_one());
}

static void gossip_goes_round_a_broken_path(void) {
    a_cluster_of(6);
    cut(1, 4, true);
    world_run(world, 10000);
    host_leave(host(4));
    world_run(world, 2 * world->latency_max_ms);
    EXPECT(!lists(1, 4));
    EXPECT(all_agree());
}

static void a_path_broken_one_way_accuses_nobody(void) {
    a_cluster_of(6);
    world_cut(world, 1, 4, true);
    world_run(world, 60000);
    EXPECT(suspicions_and_downs() == 0);
    world_cut(world, 1, 4, false);
    world_run(world, 10000);
    EXPECT(suspicions_and_downs() == 0);
    EXPECT(all_are_one());
}

static void a_member_paused_for_two_seconds_is_not_down_and_downs_nobody(void) {
    for (int64_t phase_ms = 0; phase_ms < 1000 && broken == NULL; phase_ms += 37) {
        a_cluster_of(5);
        world_run(world, phase_ms);
        host_pause(host(2), 2000);
        world_run(world, 15000);
        for (int i = 0; i < 5; i++)
            EXPECT(host(i)->events[CLUSTER_EVENT_DOWN] == 0);
        EXPECT(all_are_one());
        if (phase_ms + 37 < 1000 && broken == NULL)
            world_free(world);
    }
}

static void a_starved_member_accuses_nobody(void) {
    a_cluster_of(5);
    host_pause(host(2), 20000);
    world_run(world, 40000);
    EXPECT(host(2)->events[CLUSTER_EVENT_DOWN] == 0);
    EXPECT(host(2)->events[CLUSTER_EVENT_SUSPECT] == 0);
    EXPECT(all_are_one());
}

static void a_restarted_member_rejoins_by_itself(void) {
    a_cluster_of(4);
    host_register(host(1), "rabbit");
    world_run(world, 1000);
    host_crash(host(1), true);
    world_run(world, 5000);
    host_start(host(1));
    world_run(world, 1000);
    EXPECT(all_are_one());
    EXPECT(!knows_name(0, "rabbit", 1)); /* of its dead life */
}

static void a_cluster_that_was_off_comes_back_whole(void) {
    a_cluster_of(5);
    for (int i = 0; i < 5; i++)
        host_crash(host(i), true);
    world_run(world, 60000);
    for (int i = 4; i >= 0; i--) {
        host_start(host(i));
        world_run(world, 4000);
    }
    world_run(world, 30000);
    EXPECT(all_are_one());
}

static void a_clock_set_back_an_hour_does_not_bring_the_dead_to_life(void) {
    a_cluster_of(4);
    host_register(host(1), "rabbit");
    world_run(world, 1000);
    host_crash(host(1), true);
    free(host(1)->disk);
    host(1)->disk = NULL;
    host(1)->disk_len = 0;
    host(1)->wall_ms -= 3600000;
    world_run(world, 2000);
    host_start(host(1));
    host_register(host(1), "emqx");
    world_run(world, 5000);
    EXPECT(all_are_one());
    EXPECT(knows_name(3, "emqx", 1) && !knows_name(3, "rabbit", 1));
}

static void a_crash_that_loses_the_join_does_not_undo_it(void) {
    some_hosts(3);
    host_join(host(1), host(0));
    world_run(world, 1000);
    world->disk_max_ms = 100000;
    host_join(host(2), host(0));
    world_run(world, 200);
    EXPECT(host(2)->joins_done == 1);
    host_crash(host(2), true);
    world->disk_max_ms = 10;
    world_run(world, 2000);
    host_start(host(2));
    world_run(world, 30000);
    EXPECT(all_are_one());
}

/* --- splits --- */

static void a_split_and_a_heal_lose_nothing(void) {
    a_cluster_of(6);
    host_register(host(0), "before");
    split_at(3, true);
    world_run(world, 30000);
    EXPECT(state_at(0, 5) == CLUSTER_DOWN && state_at(5, 0) == CLUSTER_DOWN);
    EXPECT(host(0)->events[CLUSTER_EVENT_SPLIT_SEEN] == 1);
    host_register(host(1), "left");
    host_register(host(4), "right");
    split_at(3, false);
    world_run(world, 40000);
    EXPECT(all_are_one());
    EXPECT(knows_name(5, "before", 0) && knows_name(5, "left", 1) && knows_name(0, "right", 4));
    EXPECT(host(0)->events[CLUSTER_EVENT_SPLIT_HEALED] == 1);
}

static void a_split_longer_than_autoclean_heals_too(void) {
    world = world_new(42, 6);
    world->autoclean_ms = 10000;
    for (int i = 0; i < 6; i++)
        host_start(host(i));
    for (int i = 1; i < 6; i++) {
        host_join(host(i), host(0));
        world_run(world, 100);
    }
    host_register(host(2), "rabbit");
    host_register(host(5), "emqx");
    world_run(world, 1000);
    split_at(3, true);
    world_run(world, 6 * 60 * 1000);
    EXPECT(members_of(0) == 3 && members_of(5) == 3);
    EXPECT(host(0)->events[CLUSTER_EVENT_CLEANED] == 3);
    EXPECT(host(0)->events[CLUSTER_EVENT_SPLIT_HEALED] == 0);
    split_at(3, false);
    world_run(world, 150000);
    EXPECT(all_are_one());
    EXPECT(knows_name(5, "rabbit", 2) && knows_name(0, "emqx", 5));
    EXPECT(host(0)->events[CLUSTER_EVENT_SPLIT_SEEN] == 1);
    EXPECT(host(0)->events[CLUSTER_EVENT_SPLIT_HEALED] == 1);
}

static void a_split_ends_with_the_last_that_is_awaited(void) {
    world = world_new(42, 3);
    world->autoclean_ms = 10000;
    for (int i = 0; i < 3; i++)
        host_start(host(i));
    for (int i = 1; i < 3; i++) {
        host_join(host(i), host(0));
        world_run(world, 1000);
    }
    cut(0, 1, true);
    cut(0, 2, true);
    world_run(world, 60000);
    EXPECT(members_of(0) == 1 && host(0)->events[CLUSTER_EVENT_SPLIT_SEEN] == 1);
    EXPECT(host_force_leave(host(0), host(1)));
    EXPECT(host(0)->events[CLUSTER_EVENT_SPLIT_HEALED] == 0);
    EXPECT(host_force_leave(host(0), host(2)));
    EXPECT(host(0)->events[CLUSTER_EVENT_SPLIT_HEALED] == 1);
}

static void a_split_ends_for_who_leaves_it(void) {
    a_cluster_of(3);
    isolate(2, true);
    world_run(world, 20000);
    EXPECT(host(0)->events[CLUSTER_EVENT_SPLIT_SEEN] == 1);
    EXPECT(host_leave(host(0)));
    EXPECT(host(0)->events[CLUSTER_EVENT_SPLIT_HEALED] == 1);
}

static void who_joins_in_a_split_is_told_of_it(void) {
    some_hosts(4);
    for (int i = 1; i < 3; i++) {
        host_join(host(i), host(0));
        world_run(world, 1000);
    }
    isolate(2, true);
    world_run(world, 20000);
    host_join(host(3), host(0));
    world_run(world, 1000);
    EXPECT(state_at(3, 2) == CLUSTER_DOWN);
    EXPECT(host(3)->events[CLUSTER_EVENT_SPLIT_SEEN] == 1);
    isolate(2, false);
    world_run(world, 60000);
    EXPECT(host(3)->events[CLUSTER_EVENT_SPLIT_HEALED] == 1);
}

static void a_fault_shorter_than_autoclean_costs_nobody_its_place(void) {
    for (uint64_t seed = 1; seed <= 40 && broken == NULL; seed++) {
        a_cluster_of(2);
        world->random = random_of(seed);
        host_crash(host(0), false);
        host_crash(host(1), false);
        world->autoclean_ms = 10000;
        host_start(host(0));
        host_start(host(1));
        world_run(world, 5000);
        cut(0, 1, true);
        world_run(world, 9900);
        cut(0, 1, false);
        world_run(world, 20000);
        EXPECT(host(0)->events[CLUSTER_EVENT_CLEANED] + host(1)->events[CLUSTER_EVENT_CLEANED] ==
               0);
        EXPECT(all_are_one());
        if (seed < 40 && broken == NULL)
            world_free(world);
    }
}

static void without_autoheal_a_split_stays(void) {
    world = world_new(42, 4);
    world->autoheal = false;
    for (int i = 0; i < 4; i++)
        host_start(host(i));
    for (int i = 1; i < 4; i++) {
        host_join(host(i), host(0));
        world_run(world, 100);
    }
    world_run(world, 1000);
    split_at(2, true);
    world_run(world, 20000);
    split_at(2, false);
    world_run(world, 120000);
    EXPECT(state_at(0, 3) == CLUSTER_DOWN);
}

static void a_dead_member_is_cleaned_after_five_minutes(void) {
    a_cluster_of(4);
    host_die(host(3));
    world_run(world, 290000);
    EXPECT(lists(0, 3));
    EXPECT(time_until(lists_not, 3, 30000) >= 0);
    EXPECT(members_of(0) == 3);
    host_start(host(3));
    world_run(world, 10000);
    EXPECT(all_are_one());
}

static void the_last_call_does_not_make_an_absence_shorter(void) {
    some_hosts(2);
    host_join(host(1), host(0));
    world_run(world, 500);
    host_crash(host(0), false);
    world->autoclean_ms = 2000;
    host_start(host(0));
    world_run(world, 5000);
    host_die(host(1));
    EXPECT(time_until(has_down, 1, 8000) >= 0);
    world_run(world, 3000);
    struct cluster_member_view view;
    EXPECT(lists(0, 1)); /* it is called for the last time */
    EXPECT(cluster_member_find(host(0)->cluster, host(1)->name, &view));
    EXPECT(host_now(host(0)) - view.since_ms >= 3000);
    world_run(world, 12000);
    EXPECT(!lists(0, 1));
}

/* --- large and small --- */

static void forty_stand_on_a_ring_and_agree(void) {
    a_cluster_of(40);
    host_register(host(11), "rabbit");
    world_run(world, 30000);
    EXPECT(all_are_one());
    for (int i = 0; i < 40; i++) {
        EXPECT(knows_name(i, "rabbit", 11));
        EXPECT(cluster_link_count(host(i)->cluster) < 30);
    }
    host_die(host(20));
    EXPECT(time_until(has_down, 20, 8000) >= 0);
    world_run(world, 5000);
    for (int i = 0; i < 40; i++)
        EXPECT(i == 20 || host(i)->events[CLUSTER_EVENT_DOWN] == 1);
}

static void on_a_ring_too_one_broken_path_accuses_nobody(void) {
    a_cluster_of(24);
    world_run(world, 20000);
    for (int i = 0; i < 24; i++) {
        int other = (i * 7 + 5) % 24;
        struct cluster_member_view view = {.linked = false};
        while (other == i || !view.linked) {
            other = (other + 1) % 24;
            cluster_member_find(host(i)->cluster, host(other)->name, &view);
        }
        cut(i, other, true);
        world_run(world, 10000);
        EXPECT(all_are_one());
        cut(i, other, false);
        world_run(world, 10000);
    }
    EXPECT(suspicions_and_downs() == 0);
    EXPECT(all_are_one());
}

static void a_change_costs_no_more_than_members_times_links(void) {
    a_cluster_of(16);
    uint64_t before = world->frames_of[12];
    host_register(host(5), "rabbit");
    world_run(world, 2000);
    EXPECT(world->frames_of[12] - before <= 16 * 15);
    before = world->frames_of[5];
    host_leave(host(6));
    world_run(world, 2000);
    EXPECT(world->frames_of[5] - before <= 16 * 15);
}

static void sixteen_members_at_rest_say_little(void) {
    a_cluster_of(16);
    world_run(world, 10000);
    uint64_t frames = world->frames, bytes = world->bytes;
    world_run(world, 10000);
    EXPECT(world->frames - frames <= 16 * 15 * 11);
    EXPECT(world->bytes - bytes <= 16 * 15 * 10 * 8);
}

static void an_idle_daemon_that_is_alone_is_never_called(void) {
    some_hosts(1);
    EXPECT(cluster_due_ms(host(0)->cluster) == INT64_MAX);
    world_free(world);
    a_cluster_of(2);
    host_leave(host(1));
    world_run(world, 10000);
    EXPECT(cluster_due_ms(host(1)->cluster) == INT64_MAX);
}

const struct scenario failure_scenarios[] = {
    SCENARIO(a_killed_daemon_is_known_everywhere_within_a_second),
    SCENARIO(a_silent_host_is_known_everywhere_within_five_seconds),
    SCENARIO(a_silent_host_of_two_is_known_too),
    SCENARIO(a_daemon_stopped_in_order_is_down_at_once),
    SCENARIO(one_broken_path_accuses_nobody),
    SCENARIO(gossip_goes_round_a_broken_path),
    SCENARIO(a_path_broken_one_way_accuses_nobody),
    SCENARIO(a_fault_shorter_than_autoclean_costs_nobody_its_place),
    SCENARIO(a_member_paused_for_two_seconds_is_not_down_and_downs_nobody),
    SCENARIO(a_starved_member_accuses_nobody),
    SCENARIO(a_restarted_member_rejoins_by_itself),
    SCENARIO(a_cluster_that_was_off_comes_back_whole),
    SCENARIO(a_clock_set_back_an_hour_does_not_bring_the_dead_to_life),
    SCENARIO(a_crash_that_loses_the_join_does_not_undo_it),
    SCENARIO(a_split_and_a_heal_lose_nothing),
    SCENARIO(a_split_longer_than_autoclean_heals_too),
    SCENARIO(a_split_ends_with_the_last_that_is_awaited),
    SCENARIO(a_split_ends_for_who_leaves_it),
    SCENARIO(who_joins_in_a_split_is_told_of_it),
    SCENARIO(without_autoheal_a_split_stays),
    SCENARIO(a_dead_member_is_cleaned_after_five_minutes),
    SCENARIO(the_last_call_does_not_make_an_absence_shorter),
    SCENARIO(forty_stand_on_a_ring_and_agree),
    SCENARIO(on_a_ring_too_one_broken_path_accuses_nobody),
    SCENARIO(a_change_costs_no_more_than_members_times_links),
    SCENARIO(sixteen_members_at_rest_say_little),
    SCENARIO(an_idle_daemon_that_is_alone_is_never_called),
    SCENARIOS_END,
};
