#include "names/registry.h"

#include "assertions.h"
#include "erlang/node_name.h"
#include "failing_allocation.h"
#include "registry_model.h"
#include "some_registry.h"
#include "suites.h"

#include <string.h>

static struct some_registry some;
static struct registry *registry;

static void begin(void) {
    some = some_registry_new();
    registry = some.registry;
}

static void end(void) {
    some_registry_free(&some);
}

static struct registration *find(const char *name) {
    return registry_find(registry, bytes_of_text(name));
}

static enum registry_verdict try_register(struct epmd_node node) {
    struct registration *made = NULL;
    enum registry_verdict verdict = registry_register(registry, &node, NULL, 0, &made);
    ck_assert_int_eq(made != NULL, verdict == REGISTRY_OK);
    return verdict;
}

static size_t count_part(enum registry_part part) {
    struct registry_cursor cursor;
    size_t count = 0;
    registry_cursor_begin(&cursor, registry, part);
    for (; registry_cursor_peek(&cursor) != NULL; registry_cursor_advance(&cursor))
        count++;
    registry_cursor_end(&cursor);
    return count;
}

static void assert_order(enum registry_part part, const char *expected) {
    char order[256] = "";
    struct writer writer = writer_of(order, sizeof order - 1);
    struct registry_cursor cursor;
    registry_cursor_begin(&cursor, registry, part);
    for (const struct registration *at; (at = registry_cursor_peek(&cursor)) != NULL;
         registry_cursor_advance(&cursor)) {
        write_bytes(&writer, at->node.name);
        write_u8(&writer, ' ');
    }
    registry_cursor_end(&cursor);
    order[writer.len] = '\0';
    ck_assert_str_eq(order, expected);
}

START_TEST(a_registered_name_is_found_with_all_it_said) {
    int holder;
    const struct epmd_node node = {.port = 25672,
                                   .type = EPMD_NODE_HIDDEN,
                                   .protocol = 9,
                                   .highest_version = 6,
                                   .lowest_version = 5,
                                   .name = LITERAL("rabbit"),
                                   .extra = LITERAL("\0xyz")};
    struct registration *made;
    ck_assert_int_eq(registry_register(registry, &node, &holder, 12, &made), REGISTRY_OK);

    const struct registration *found = find("rabbit");
    ck_assert_ptr_eq(found, made);
    ck_assert_ptr_eq(found->holder, &holder);
    ck_assert_uint_eq(found->holder_number, 12);
    ck_assert_uint_eq(found->creation, 1772360430);
    ck_assert_uint_eq(found->node.port, 25672);
    ck_assert_uint_eq(found->node.type, EPMD_NODE_HIDDEN);
    ck_assert_uint_eq(found->node.protocol, 9);
    assert_bytes(found->node.extra, LITERAL("\0xyz"));
}
END_TEST

START_TEST(a_registration_keeps_its_own_copy_of_name_and_extra) {
    char name[] = "rabbit", extra[] = "xyz";
    struct epmd_node node = some_node(name, 1);
    node.extra = bytes_of_text(extra);
    struct registration *made;
    registry_register(registry, &node, NULL, 0, &made);

    memset(name, '#', sizeof name);
    memset(extra, '#', sizeof extra);

    assert_bytes(made->node.name, LITERAL("rabbit"));
    assert_bytes(made->node.extra, LITERAL("xyz"));
    ck_assert_ptr_eq(find("rabbit"), made);
}
END_TEST

START_TEST(a_refused_name_keeps_its_first_holder) {
    const struct registration *first = some_registration(registry, "rabbit", 1);

    ck_assert_int_eq(try_register(some_node("rabbit", 2)), REGISTRY_NAME_TAKEN);

    ck_assert_ptr_eq(find("rabbit"), first);
    ck_assert_uint_eq(first->node.port, 1);
    ck_assert_uint_eq(registry_count(registry), 1);
}
END_TEST

START_TEST(names_that_differ_in_anything_are_two_names) {
    some_registration(registry, "rabbit", 1);

    ck_assert_int_eq(try_register(some_node("Rabbit", 2)), REGISTRY_OK);
    ck_assert_int_eq(try_register(some_node("rabbit1", 3)), REGISTRY_OK);
    ck_assert_int_eq(try_register(some_node("rabbi", 4)), REGISTRY_OK);
    ck_assert_uint_eq(registry_count(registry), 4);
    ck_assert_ptr_null(find("rabb"));
}
END_TEST

START_TEST(a_removed_name_is_gone_and_free_for_another_life) {
    struct registration *first = some_registration(registry, "rabbit", 1);
    uint32_t creation = first->creation;

    registry_remove(registry, first);
    ck_assert_ptr_null(find("rabbit"));
    ck_assert_uint_eq(registry_count(registry), 0);

    const struct registration *second = some_registration(registry, "rabbit", 2);
    ck_assert_uint_ne(second->creation, creation);
    ck_assert_uint_eq(find("rabbit")->node.port, 2);
}
END_TEST

START_TEST(an_impossible_name_is_refused) {
    struct epmd_node node = some_node("", 1);
    ck_assert_int_eq(try_register(node), REGISTRY_NAME_INVALID);
    node.name = LITERAL("rab\0bit");
    ck_assert_int_eq(try_register(node), REGISTRY_NAME_INVALID);
    node.name = LITERAL("rab\xff");
    ck_assert_int_eq(try_register(node), REGISTRY_NAME_INVALID);
    ck_assert_uint_eq(registry_count(registry), 0);
}
END_TEST

START_TEST(the_longest_name_and_extra_are_taken_and_one_more_is_not) {
    char name[ALIVE_NAME_MAX_CHARACTERS + 2] = "", extra[EPMD_EXTRA_MAX + 1] = "";
    memset(name, 'n', ALIVE_NAME_MAX_CHARACTERS + 1);
    struct epmd_node node = some_node(name, 1);
    ck_assert_int_eq(try_register(node), REGISTRY_NAME_TOO_LONG);
    node.name.len = ALIVE_NAME_MAX_CHARACTERS;
    node.extra = bytes_of(extra, EPMD_EXTRA_MAX + 1);
    ck_assert_int_eq(try_register(node), REGISTRY_EXTRA_TOO_LONG);
    node.extra.len = EPMD_EXTRA_MAX;
    ck_assert_int_eq(try_register(node), REGISTRY_OK);
}
END_TEST

START_TEST(every_verdict_has_a_reason_of_its_own) {
    for (int verdict = REGISTRY_OK; verdict <= REGISTRY_NO_MEMORY; verdict++) {
        for (int other = REGISTRY_OK; other < verdict; other++)
            ck_assert_str_ne(registry_reason((enum registry_verdict)verdict),
                             registry_reason((enum registry_verdict)other));
    }
}
END_TEST

START_TEST(the_newest_is_listed_first_and_the_longest_gone_first) {
    struct registration *a = some_registration(registry, "a", 1);
    some_registration(registry, "b", 2);
    struct registration *c = some_registration(registry, "c", 3);
    some_registration(registry, "d", 4);
    registry_remove(registry, c);
    registry_remove(registry, a);

    assert_order(REGISTRY_LIVE, "d b ");
    assert_order(REGISTRY_DEPARTED, "c a ");

    some_registration(registry, "c", 5);
    assert_order(REGISTRY_LIVE, "c d b ");
    assert_order(REGISTRY_DEPARTED, "a ");
}
END_TEST

START_TEST(a_departed_name_keeps_its_port_but_not_its_holder) {
    int holder;
    const struct epmd_node node = some_node("rabbit", 25672);
    struct registration *made;
    registry_register(registry, &node, &holder, 12, &made);
    registry_remove(registry, made);

    struct registry_cursor cursor;
    registry_cursor_begin(&cursor, registry, REGISTRY_DEPARTED);
    const struct registration *departed = registry_cursor_peek(&cursor);
    ck_assert_uint_eq(departed->node.port, 25672);
    ck_assert_uint_eq(departed->holder_number, 12);
    ck_assert_ptr_null(departed->holder);
    registry_cursor_end(&cursor);
}
END_TEST

START_TEST(the_last_thousand_departed_are_remembered) {
    some_departures(registry, "n", REGISTRY_DEPARTED_MAX + 5);

    ck_assert_uint_eq(count_part(REGISTRY_DEPARTED), REGISTRY_DEPARTED_MAX);
    struct registry_cursor cursor;
    registry_cursor_begin(&cursor, registry, REGISTRY_DEPARTED);
    assert_bytes(registry_cursor_peek(&cursor)->node.name, LITERAL("n5"));
    registry_cursor_end(&cursor);
}
END_TEST

START_TEST(a_walk_goes_on_when_the_next_name_leaves) {
    some_registration(registry, "a", 1);
    struct registration *b = some_registration(registry, "b", 2);
    some_registration(registry, "c", 3);
    struct registry_cursor cursor, beside;
    registry_cursor_begin(&cursor, registry, REGISTRY_LIVE);
    registry_cursor_begin(&beside, registry, REGISTRY_LIVE);
    registry_cursor_advance(&cursor);
    ck_assert_ptr_eq(registry_cursor_peek(&cursor), b);

    registry_remove(registry, b);

    assert_bytes(registry_cursor_peek(&cursor)->node.name, LITERAL("a"));
    assert_bytes(registry_cursor_peek(&beside)->node.name, LITERAL("c"));
    registry_cursor_end(&cursor);
    registry_cursor_end(&beside);
}
END_TEST

START_TEST(a_walk_over_the_departed_goes_on_when_one_is_forgotten) {
    some_departures(registry, "n", REGISTRY_DEPARTED_MAX);
    struct registry_cursor cursor;
    registry_cursor_begin(&cursor, registry, REGISTRY_DEPARTED);

    some_departures(registry, "late", 1); /* the oldest makes room */
    some_registration(registry, "n1", 2); /* the next comes back */

    assert_bytes(registry_cursor_peek(&cursor)->node.name, LITERAL("n2"));
    registry_cursor_end(&cursor);
}
END_TEST

START_TEST(a_cursor_may_be_ended_twice_and_at_its_end) {
    some_registration(registry, "a", 1);
    struct registry_cursor first, middle, last;
    registry_cursor_begin(&first, registry, REGISTRY_LIVE);
    registry_cursor_begin(&middle, registry, REGISTRY_LIVE);
    registry_cursor_begin(&last, registry, REGISTRY_LIVE);
    registry_cursor_advance(&middle);
    registry_cursor_advance(&middle);
    ck_assert_ptr_null(registry_cursor_peek(&middle));

    registry_cursor_end(&middle);
    registry_cursor_end(&middle);
    ck_assert_ptr_null(registry_cursor_peek(&middle));
    registry_cursor_end(&last);
    registry_remove(registry, find("a")); /* sends on those that are left, and only those */
    ck_assert_ptr_null(registry_cursor_peek(&first));
    registry_cursor_end(&first);
}
END_TEST

START_TEST(without_memory_there_is_no_registry) {
    fail_nth_allocation(1);
    struct registry *none = registry_new(some.creations);

    ck_assert(allocation_failed());
    ck_assert_ptr_null(none);
    registry_free(NULL);
}
END_TEST

/* Registers the name at every failing allocation until none fails. */
static void register_against_failures(const char *name, uint16_t port, uint16_t version) {
    struct epmd_node node = some_node(name, port);
    node.highest_version = version;
    size_t count = registry_count(registry), departed = count_part(REGISTRY_DEPARTED);
    for (unsigned n = 1;; n++) {
        struct registration *made = NULL;
        fail_nth_allocation(n);
        enum registry_verdict verdict = registry_register(registry, &node, NULL, 0, &made);
        bool failed = allocation_failed();
        if (verdict == REGISTRY_OK) {
            ck_assert_ptr_eq(find(name), made);
            ck_assert_uint_eq(registry_count(registry), count + 1);
            return;
        }
        ck_assert(failed);
        ck_assert_int_eq(verdict, REGISTRY_NO_MEMORY);
        ck_assert_ptr_null(find(name));
        ck_assert_uint_eq(registry_count(registry), count);
        ck_assert_uint_eq(count_part(REGISTRY_DEPARTED), departed);
    }
}

START_TEST(a_registration_without_memory_changes_nothing) {
    some_departures(registry, "n", 20);

    for (int i = 0; i < 1500; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        register_against_failures(name, (uint16_t)i, i % 2 == 0 ? 6 : 5);
    }
    ck_assert_uint_eq(count_part(REGISTRY_LIVE), 1500);
}
END_TEST

START_TEST(a_removal_without_memory_still_removes) {
    for (int i = 0; i < 900; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        struct registration *made = some_registration(registry, name, (uint16_t)i);
        size_t departed = count_part(REGISTRY_DEPARTED);

        fail_nth_allocation(1);
        registry_remove(registry, made);
        bool failed = allocation_failed();

        ck_assert_ptr_null(find(name));
        ck_assert_uint_eq(registry_count(registry), 0);
        ck_assert_uint_eq(count_part(REGISTRY_DEPARTED), failed ? departed : departed + 1);
        /* what could not be remembered leaves later ones to be */
        if (failed)
            some_departures(registry, "m", 1);
    }
}
END_TEST

Suite *registry_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("registry", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_registered_name_is_found_with_all_it_said);
    tcase_add_test(tests, a_registration_keeps_its_own_copy_of_name_and_extra);
    tcase_add_test(tests, a_refused_name_keeps_its_first_holder);
    tcase_add_test(tests, names_that_differ_in_anything_are_two_names);
    tcase_add_test(tests, a_removed_name_is_gone_and_free_for_another_life);
    tcase_add_test(tests, an_impossible_name_is_refused);
    tcase_add_test(tests, the_longest_name_and_extra_are_taken_and_one_more_is_not);
    tcase_add_test(tests, every_verdict_has_a_reason_of_its_own);
    tcase_add_test(tests, the_newest_is_listed_first_and_the_longest_gone_first);
    tcase_add_test(tests, a_departed_name_keeps_its_port_but_not_its_holder);
    tcase_add_test(tests, the_last_thousand_departed_are_remembered);
    tcase_add_test(tests, a_walk_goes_on_when_the_next_name_leaves);
    tcase_add_test(tests, a_walk_over_the_departed_goes_on_when_one_is_forgotten);
    tcase_add_test(tests, a_cursor_may_be_ended_twice_and_at_its_end);
    tcase_add_test(tests, without_memory_there_is_no_registry);
    tcase_add_test(tests, a_registration_without_memory_changes_nothing);
    tcase_add_test(tests, a_removal_without_memory_still_removes);
    registry_model_add(tests);
    return suite;
}
