#include "names/listing.h"

#include "assertions.h"
#include "erlang/node_name.h"
#include "seeded.h"
#include "some_registry.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>

#define WHOLE_MAX (1024 * 1024)
#define HERE ((struct caller_view){.local = true, .loopback = true})

static struct some_registry some;
static struct registry *registry;
static uint8_t *whole;  /* what one read into a large buffer gives */
static uint8_t *pieces; /* what many reads give together */

static void begin(void) {
    some = some_registry_new();
    registry = some.registry;
    whole = malloc(WHOLE_MAX);
    pieces = malloc(WHOLE_MAX);
    ck_assert(whole != NULL && pieces != NULL);
}

static void end(void) {
    free(pieces);
    free(whole);
    some_registry_free(&some);
}

static struct bytes read_whole(enum listing_kind kind) {
    struct listing listing;
    listing_begin(&listing, kind, registry, 4369, HERE);
    size_t len = listing_read(&listing, whole, WHOLE_MAX);
    ck_assert_uint_eq(listing_read(&listing, whole + len, WHOLE_MAX - len), 0);
    listing_end(&listing);
    return bytes_of(whole, len);
}

static bool ends_a_line(enum listing_kind kind, struct bytes piece) {
    uint8_t last = piece.data[piece.len - 1];
    return last == (kind == LISTING_NAMES ? '\n' : '\0');
}

/* Reads all in pieces of the size; `pause` is called between them. */
static struct bytes read_in_pieces(enum listing_kind kind, size_t size, void (*pause)(void)) {
    struct listing listing;
    size_t len = 0, got;
    listing_begin(&listing, kind, registry, 4369, HERE);
    while ((got = listing_read(&listing, pieces + len, size)) > 0) {
        ck_assert_uint_le(got, size);
        len += got;
        ck_assert(len == 4 || ends_a_line(kind, bytes_of(pieces, len)));
        if (pause != NULL)
            pause();
    }
    listing_end(&listing);
    return bytes_of(pieces, len);
}

/* Names of all lengths up to the longest there can be. */
static void register_random_names(struct seeded *random, int count) {
    for (int i = 0; i < count; i++) {
        uint8_t name[ALIVE_NAME_MAX_BYTES];
        size_t most = seeded_chance(random, 10) ? ALIVE_NAME_MAX_CHARACTERS : 20;
        const struct epmd_node node = {
            .port = (uint16_t)seeded_next(random),
            .highest_version = 6,
            .name = seeded_utf8(random, name, 1 + seeded_below(random, most)),
        };
        struct registration *made;
        registry_register(registry, &node, NULL, (uint32_t)seeded_next(random), &made);
    }
}

static void remove_some(struct seeded *random, unsigned percent) {
    struct registry_cursor cursor;
    registry_cursor_begin(&cursor, registry, REGISTRY_LIVE);
    for (const struct registration *at; (at = registry_cursor_peek(&cursor)) != NULL;) {
        registry_cursor_advance(&cursor);
        if (seeded_chance(random, percent))
            registry_remove(registry, registry_find(registry, at->node.name));
    }
    registry_cursor_end(&cursor);
}

START_TEST(a_listing_of_no_names_is_the_head_alone) {
    some_registration(registry, "rabbit", 25672);
    assert_bytes(read_whole(LISTING_NO_NAMES), LITERAL("\x00\x00\x11\x11"));
}
END_TEST

START_TEST(an_empty_listing_is_the_port_alone) {
    assert_bytes(read_whole(LISTING_NAMES), LITERAL("\x00\x00\x11\x11"));
    assert_bytes(read_whole(LISTING_DUMP), LITERAL("\x00\x00\x11\x11"));
}
END_TEST

START_TEST(names_lists_the_living_and_the_newest_first) {
    some_registration(registry, "rabbit", 25672);
    some_registration(registry, "emqx", 4370);
    registry_remove(registry, some_registration(registry, "gone", 1));

    assert_bytes(read_whole(LISTING_NAMES), LITERAL("\x00\x00\x11\x11"
                                                    "name emqx at port 4370\n"
                                                    "name rabbit at port 25672\n"));
}
END_TEST

START_TEST(a_name_that_would_be_several_lines_has_none) {
    static const char *const names[] = {"evil at port 1\nname rabbit at port 666\nname z",
                                        "\x1b[2Jclear", "tab\there", "del\x7f"};
    some_registration(registry, "rabbit", 25672);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        some_registration(registry, names[i], 1);
        registry_remove(registry, some_registration(registry, names[i] + 1, 1));
    }
    some_registration(registry, "a b", 2);

    assert_bytes(read_whole(LISTING_NAMES), LITERAL("\x00\x00\x11\x11"
                                                    "name a b at port 2\n"
                                                    "name rabbit at port 25672\n"));
    ck_assert(!bytes_contain(read_whole(LISTING_DUMP), '\x1b'));
}
END_TEST

START_TEST(dump_lists_the_departed_after_the_living) {
    some_registration(registry, "rabbit", 25672);
    registry_remove(registry, some_registration(registry, "gone", 1));
    registry_remove(registry, some_registration(registry, "away", 2));

    assert_bytes(read_whole(LISTING_DUMP),
                 LITERAL("\x00\x00\x11\x11"
                         "active name     <rabbit> at port 25672, fd = 25672\n\0"
                         "old/unused name <gone>, port = 1, fd = 1 \n\0"
                         "old/unused name <away>, port = 2, fd = 2 \n\0"));
}
END_TEST

START_TEST(the_longest_line_fits_the_smallest_buffer) {
    uint8_t name[ALIVE_NAME_MAX_BYTES];
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = (uint8_t) "\xf0\x9d\x84\x9e"[i % 4];
    const struct epmd_node node = {.port = UINT16_MAX, .name = bytes_of(name, sizeof name)};
    struct registration *made;
    ck_assert_int_eq(registry_register(registry, &node, NULL, UINT32_MAX, &made), REGISTRY_OK);

    assert_bytes(read_in_pieces(LISTING_NAMES, LISTING_PIECE_MIN, NULL), read_whole(LISTING_NAMES));
    assert_bytes(read_in_pieces(LISTING_DUMP, LISTING_PIECE_MIN, NULL), read_whole(LISTING_DUMP));
    registry_remove(registry, made);
    assert_bytes(read_in_pieces(LISTING_DUMP, LISTING_PIECE_MIN, NULL), read_whole(LISTING_DUMP));
}
END_TEST

START_TEST(pieces_of_every_size_make_the_whole) {
    struct seeded random = seeded_stream("pieces");
    register_random_names(&random, 150);
    remove_some(&random, 30);

    for (int kind = LISTING_NAMES; kind <= LISTING_DUMP; kind++) {
        struct bytes expected = read_whole((enum listing_kind)kind);
        for (size_t size = LISTING_PIECE_MIN; size <= expected.len + 1; size++)
            assert_bytes(read_in_pieces((enum listing_kind)kind, size, NULL), expected);
    }
}
END_TEST

static struct seeded pauses;

/* Newcomers stand in front of every walk that is under way, so none of this may show. */
static void come_and_look(void) {
    struct listing other;
    uint8_t buffer[LISTING_PIECE_MIN];
    listing_begin(&other, LISTING_DUMP, registry, 1, HERE);
    register_random_names(&pauses, (int)seeded_below(&pauses, 3));
    if (seeded_chance(&pauses, 50))
        listing_read(&other, buffer, sizeof buffer);
    listing_end(&other);
}

START_TEST(who_comes_meanwhile_does_not_change_a_listing) {
    struct seeded random = seeded_stream("newcomers");
    pauses = random;
    register_random_names(&random, 100);

    for (int i = 0; i < 100; i++) {
        size_t size = LISTING_PIECE_MIN + seeded_below(&random, 300);
        struct bytes expected = read_whole(LISTING_NAMES);
        assert_bytes(read_in_pieces(LISTING_NAMES, size, come_and_look), expected);
        remove_some(&random, 20); /* as many as came, by and large */
        register_random_names(&random, 10);
    }
}
END_TEST

static void leave(void) {
    remove_some(&pauses, 5);
}

/* Whether the lines, whose ends the kind tells, are some of those of `of`, in the same order. */
static bool is_subsequence(struct bytes lines, struct bytes of) {
    while (lines.len > 0) {
        size_t len =
            (size_t)((const uint8_t *)memchr(lines.data, '\n', lines.len) - lines.data) + 1;
        const uint8_t *found = memmem(of.data, of.len, lines.data, len);
        if (found == NULL)
            return false;
        size_t skipped = (size_t)(found - of.data) + len;
        of = bytes_of(of.data + skipped, of.len - skipped);
        lines = bytes_of(lines.data + len, lines.len - len);
    }
    return true;
}

START_TEST(who_leaves_meanwhile_takes_only_his_own_line) {
    struct seeded random = seeded_stream("leavers");
    pauses = random;

    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 300; i++) {
            char name[32];
            snprintf(name, sizeof name, "round%dnode%d", round, i);
            some_registration(registry, name, (uint16_t)i);
        }
        struct bytes before = read_whole(LISTING_NAMES);
        struct bytes seen = read_in_pieces(LISTING_NAMES, LISTING_PIECE_MIN, leave);
        ck_assert(is_subsequence(bytes_of(seen.data + 4, seen.len - 4), before));
        struct bytes after = read_whole(LISTING_NAMES);
        ck_assert(is_subsequence(bytes_of(after.data + 4, after.len - 4), seen));
        remove_some(&random, 100);
    }
}
END_TEST

START_TEST(a_dump_that_all_leave_in_the_midst_of_still_ends) {
    struct seeded random = seeded_stream("exodus");
    register_random_names(&random, 300);
    struct listing listing;
    uint8_t buffer[LISTING_PIECE_MIN];
    listing_begin(&listing, LISTING_DUMP, registry, 4369, HERE);
    listing_read(&listing, buffer, sizeof buffer);

    remove_some(&random, 100);
    int reads = 0;
    while (listing_read(&listing, buffer, sizeof buffer) > 0)
        ck_assert_int_lt(++reads, 1000);
    listing_end(&listing);
    listing_end(&listing);
}
END_TEST

START_TEST(an_unread_listing_may_be_ended) {
    struct seeded random = seeded_stream("unread");
    register_random_names(&random, 10);
    struct listing listing;
    listing_begin(&listing, LISTING_DUMP, registry, 4369, HERE);

    listing_end(&listing);
    remove_some(&random, 100); /* would follow a cursor that was left behind */
    ck_assert_uint_eq(registry_count(registry), 0);
}
END_TEST

Suite *listing_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("listing", &tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_listing_of_no_names_is_the_head_alone);
    tcase_add_test(tests, an_empty_listing_is_the_port_alone);
    tcase_add_test(tests, names_lists_the_living_and_the_newest_first);
    tcase_add_test(tests, a_name_that_would_be_several_lines_has_none);
    tcase_add_test(tests, dump_lists_the_departed_after_the_living);
    tcase_add_test(tests, the_longest_line_fits_the_smallest_buffer);
    tcase_add_test(tests, pieces_of_every_size_make_the_whole);
    tcase_add_test(tests, who_comes_meanwhile_does_not_change_a_listing);
    tcase_add_test(tests, who_leaves_meanwhile_takes_only_his_own_line);
    tcase_add_test(tests, a_dump_that_all_leave_in_the_midst_of_still_ends);
    tcase_add_test(tests, an_unread_listing_may_be_ended);
    return suite;
}
