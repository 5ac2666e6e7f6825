#include "names/creations.h"

#include "assertions.h"
#include "failing_allocation.h"
#include "saved_creations.h"
#include "seeded.h"
#include "suites.h"

#include <stdio.h>
#include <string.h>

#define NOW INT64_C(1772360430)
#define WIDE 6 /* the highest distribution version of a node with 32-bit creations */
#define OLD 5

static uint32_t next(struct creations *creations, const char *name, uint16_t version) {
    return creations_next(creations, bytes_of_text(name), version);
}

START_TEST(the_first_number_is_the_tick_of_the_start) {
    struct creations *creations = creations_at(NOW);

    ck_assert_uint_eq(next(creations, "a", WIDE), NOW);
    ck_assert_uint_eq(next(creations, "b", WIDE), NOW + 1);
    ck_assert_uint_eq(next(creations, "a", WIDE), NOW + 2);
    creations_free(creations);
}
END_TEST

START_TEST(no_creation_is_below_four_whatever_the_clock_says) {
    for (int64_t clock_s = 0; clock_s < 6; clock_s++) {
        struct creations *creations = creations_at(clock_s);
        ck_assert_uint_ge(next(creations, "a", WIDE), 4);
        creations_free(creations);
    }
}
END_TEST

START_TEST(after_the_last_number_comes_the_first) {
    struct creations *creations = creations_at(UINT32_MAX - 1);

    ck_assert_uint_eq(next(creations, "a", WIDE), UINT32_MAX - 1);
    ck_assert_uint_eq(next(creations, "a", WIDE), UINT32_MAX);
    ck_assert_uint_eq(next(creations, "a", WIDE), 4);
    ck_assert_uint_eq(next(creations, "a", WIDE), 5);
    creations_free(creations);
}
END_TEST

START_TEST(an_older_node_gets_one_to_three_and_never_the_same_twice_running) {
    struct creations *creations = creations_at(NOW);
    uint32_t last = 0;

    for (int life = 0; life < 20; life++) {
        uint32_t creation = next(creations, "old", OLD);
        ck_assert_uint_ge(creation, 1);
        ck_assert_uint_le(creation, 3);
        ck_assert_uint_ne(creation, last);
        last = creation;
        next(creations, "other", OLD);
        next(creations, "new", WIDE);
    }
    creations_free(creations);
}
END_TEST

static void use_names(struct creations *creations, const char *prefix, int count) {
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "%.4s%d", prefix, i);
        next(creations, name, OLD);
    }
}

/* Whether the name follows on the last it had, with the counter where one forgotten would not. */
static bool is_remembered(struct creations *creations, const char *name, uint32_t last) {
    uint32_t number;
    do
        number = next(creations, "new", WIDE);
    while ((number + 1) % 3 + 1 != last);
    return next(creations, name, OLD) != last;
}

START_TEST(the_last_thousand_older_names_are_remembered) {
    for (int others = CREATIONS_OLD_NAMES - 1; others <= CREATIONS_OLD_NAMES; others++) {
        struct creations *creations = creations_at(NOW);
        uint32_t last = next(creations, "old", OLD);
        use_names(creations, "n", others);
        ck_assert_int_eq(is_remembered(creations, "old", last), others < CREATIONS_OLD_NAMES);
        creations_free(creations);
    }
}
END_TEST

START_TEST(a_name_that_comes_back_is_remembered_from_then_on) {
    struct creations *creations = creations_at(NOW);
    next(creations, "old", OLD);
    use_names(creations, "n", CREATIONS_OLD_NAMES - 1);
    uint32_t last = next(creations, "old", OLD);

    use_names(creations, "m", CREATIONS_OLD_NAMES - 1);

    ck_assert(is_remembered(creations, "old", last));
    creations_free(creations);
}
END_TEST

static struct saved_creations taken;

START_TEST(a_new_counter_wants_to_be_saved_and_then_rests_for_most_of_a_block) {
    struct creations *creations = creations_at(NOW);
    ck_assert(creations_unsaved(creations));

    saved_creations_take(&taken, creations);
    for (int i = 1; i < CREATIONS_BLOCK - CREATIONS_BLOCK_LEFT; i++) {
        ck_assert(!creations_unsaved(creations));
        next(creations, "a", WIDE);
    }
    next(creations, "a", WIDE);
    ck_assert(creations_unsaved(creations));
    creations_free(creations);
}
END_TEST

START_TEST(an_older_nodes_creation_is_saved_at_once) {
    struct creations *creations = creations_at(NOW);
    saved_creations_take(&taken, creations);

    next(creations, "old", OLD);
    ck_assert(creations_unsaved(creations));

    saved_creations_take(&taken, creations);
    ck_assert(!creations_unsaved(creations));
    creations_free(creations);
}
END_TEST

START_TEST(a_saved_state_reads_as_documented) {
    struct creations *creations = creations_at(NOW);
    static struct saved_creations saved;
    next(creations, "\x01z", OLD);
    saved_creations_take(&saved, creations);

    struct bytes text = bytes_of(saved.text, saved.len);
    assert_bytes(text, LITERAL("portolan creations 1\n"
                               "next 1772376815\n"
                               "last 1 017a\n"
                               "sum 2b02b4d246f683f1\n"));
    creations_free(creations);
}
END_TEST

START_TEST(a_later_clock_beats_an_earlier_state) {
    static struct saved_creations saved;
    saved_creations_of(&saved, "portolan creations 1\nnext 1000\n");
    struct creations *creations = creations_at(NOW);

    ck_assert(saved_creations_restore(&saved, creations));
    ck_assert_uint_eq(next(creations, "a", WIDE), NOW);
    creations_free(creations);
}
END_TEST

START_TEST(a_clock_that_was_set_back_does_not_set_back_the_counter) {
    static struct saved_creations saved;
    saved_creations_of(&saved, "portolan creations 1\nnext 2000000000\n");
    struct creations *creations = creations_at(0);

    ck_assert(saved_creations_restore(&saved, creations));
    ck_assert_uint_eq(next(creations, "a", WIDE), 2000000000);
    creations_free(creations);
}
END_TEST

START_TEST(a_state_that_is_torn_or_changed_is_refused) {
    struct creations *creations = creations_at(NOW);
    static struct saved_creations saved;
    next(creations, "old", OLD);
    next(creations, "older", OLD);
    saved_creations_take(&saved, creations);
    creations_free(creations);

    for (size_t i = 0; i < saved.len; i++) {
        struct creations *fresh = creations_at(NOW);
        ck_assert(!creations_restore(fresh, bytes_of(saved.text, i)));
        saved.text[i] ^= 1;
        ck_assert(!saved_creations_restore(&saved, fresh));
        saved.text[i] ^= 1;
        creations_free(fresh);
    }
}
END_TEST

START_TEST(a_text_of_another_form_is_refused_though_its_sum_is_right) {
    static const char *const wrong[] = {
        "",
        "portolan creations 1\n",
        "portolan creations 2\nnext 2000000000\n",
        "portolan creations 10\nnext 2000000000\n",
        "portolan creations 1\nnext 3\n",
        "portolan creations 1\nnext 2000000000",
        "portolan creations 1\nnext -1\n",
        "portolan creations 1\nnext 2000000000 \n",
        "portolan creations 1\nlast 1 61\n",
        "portolan creations 1\nnext 2000000000\nlast 0 61\n",
        "portolan creations 1\nnext 2000000000\nlast 4 61\n",
        "portolan creations 1\nnext 2000000000\nlast 1 \n",
        "portolan creations 1\nnext 2000000000\nlast 1 6\n",
        "portolan creations 1\nnext 2000000000\nlast 1 6G\n",
        "portolan creations 1\nnext 2000000000\nlast 1 6A\n",
        "portolan creations 1\nnext 2000000000\nlast 1  61\n",
        "portolan creations 1\nnext 2000000000\nlast 1 61\nlast 2 61\n",
        "portolan creations 1\nnext 2000000000\nlast 1 61\nnext 2000000001\n",
        "portolan creations 1\nnext 2000000000\n\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        static struct saved_creations saved;
        struct creations *creations = creations_at(NOW);
        saved_creations_of(&saved, wrong[i]);
        ck_assert_msg(!saved_creations_restore(&saved, creations), "accepted: %s", wrong[i]);
        creations_free(creations);
    }
}
END_TEST

START_TEST(a_full_state_fits_the_room_that_is_promised) {
    struct creations *creations = creations_at(UINT32_MAX - 3 * CREATIONS_OLD_NAMES);
    static struct saved_creations saved;
    uint8_t name[1020];
    memset(name, 0xf0, sizeof name);
    for (int i = 0; i < CREATIONS_OLD_NAMES + 5; i++) {
        memcpy(name, &i, sizeof i);
        creations_next(creations, bytes_of(name, sizeof name), OLD);
    }

    saved_creations_take(&saved, creations);
    struct creations *restored = creations_at(NOW);
    ck_assert(saved_creations_restore(&saved, restored));

    char small[100];
    struct writer writer = writer_of(small, sizeof small);
    ck_assert(!creations_encode(creations, &writer));
    creations_free(restored);
    creations_free(creations);
}
END_TEST

START_TEST(without_memory_a_creation_is_given_all_the_same) {
    struct creations *creations = creations_at(NOW);

    for (int i = 0; i < 500; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        for (unsigned n = 1;; n++) {
            fail_nth_allocation(n);
            uint32_t creation = next(creations, name, OLD);
            bool failed = allocation_failed();
            ck_assert_uint_ge(creation, 1);
            ck_assert_uint_le(creation, 3);
            if (!failed)
                break;
        }
        /* the time that went well is remembered */
        uint32_t creation = next(creations, name, OLD);
        ck_assert_uint_ne(next(creations, name, OLD), creation);
    }
    creations_free(creations);
}
END_TEST

START_TEST(without_memory_there_are_no_creations) {
    fail_nth_allocation(1);
    struct creations *creations = creations_new(NOW);

    ck_assert(allocation_failed());
    ck_assert_ptr_null(creations);
    creations_free(NULL);
}
END_TEST

START_TEST(a_creation_is_kept_once_its_block_or_its_name_is_saved) {
    struct creations *creations = creations_at(NOW);
    next(creations, "new", WIDE);
    ck_assert(!creations_is_kept(creations, WIDE)); /* of no block that was reserved */
    saved_creations_take(&taken, creations);
    for (int i = 0; i < CREATIONS_BLOCK; i++) {
        next(creations, "new", WIDE);
        ck_assert(creations_is_kept(creations, WIDE));
    }
    next(creations, "new", WIDE);
    ck_assert(!creations_is_kept(creations, WIDE));

    next(creations, "old", OLD);
    ck_assert(!creations_is_kept(creations, OLD));
    saved_creations_take(&taken, creations);
    ck_assert(creations_is_kept(creations, OLD));
    creations_free(creations);
}
END_TEST

START_TEST(what_changes_while_a_state_is_being_saved_is_unsaved) {
    static uint8_t text[CREATIONS_TEXT_MAX];
    struct creations *creations = creations_at(NOW);
    struct writer writer = writer_of(text, sizeof text);
    next(creations, "old", OLD);
    ck_assert(creations_encode(creations, &writer));
    next(creations, "older", OLD);
    creations_saved(creations);
    ck_assert(creations_unsaved(creations));
    ck_assert(!creations_is_kept(creations, OLD));
    creations_free(creations);
}
END_TEST

Suite *creations_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("creations", &tests);
    tcase_add_test(tests, the_first_number_is_the_tick_of_the_start);
    tcase_add_test(tests, no_creation_is_below_four_whatever_the_clock_says);
    tcase_add_test(tests, after_the_last_number_comes_the_first);
    tcase_add_test(tests, an_older_node_gets_one_to_three_and_never_the_same_twice_running);
    tcase_add_test(tests, the_last_thousand_older_names_are_remembered);
    tcase_add_test(tests, a_name_that_comes_back_is_remembered_from_then_on);
    tcase_add_test(tests, a_new_counter_wants_to_be_saved_and_then_rests_for_most_of_a_block);
    tcase_add_test(tests, an_older_nodes_creation_is_saved_at_once);
    tcase_add_test(tests, a_creation_is_kept_once_its_block_or_its_name_is_saved);
    tcase_add_test(tests, what_changes_while_a_state_is_being_saved_is_unsaved);
    tcase_add_test(tests, a_saved_state_reads_as_documented);
    tcase_add_test(tests, a_later_clock_beats_an_earlier_state);
    tcase_add_test(tests, a_clock_that_was_set_back_does_not_set_back_the_counter);
    tcase_add_test(tests, a_state_that_is_torn_or_changed_is_refused);
    tcase_add_test(tests, a_text_of_another_form_is_refused_though_its_sum_is_right);
    tcase_add_test(tests, a_full_state_fits_the_room_that_is_promised);
    tcase_add_test(tests, without_memory_a_creation_is_given_all_the_same);
    tcase_add_test(tests, without_memory_there_are_no_creations);
    creations_lives_add(tests);
    return suite;
}
