/*
 * The registry against a model that cannot be wrong for being clever: names in arrays, searched
 * from end to end. Random histories play both, with walks that pause while names come and go.
 */
#include "registry_model.h"

#include "assertions.h"
#include "seeded.h"
#include "some_registry.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 2500
#define WALKS 4

/* A life is a registration, known by its number: holder_number carries it. */
struct life {
    uint32_t number;
    unsigned name;
    uint32_t creation;
};

struct lives {
    size_t count;
    struct life at[NAMES_MAX];
};

/* A walk in progress, and the lives it must still see, in order, if they stay. */
struct walk {
    bool open;
    enum registry_part part;
    struct registry_cursor cursor;
    size_t seen;
    struct lives ahead;
};

struct play {
    struct seeded random;
    unsigned names;
    uint32_t next_number;
    struct some_registry some;
    struct lives live;     /* the newest last */
    struct lives departed; /* the longest gone first */
    struct walk walks[WALKS];
};

static size_t position_of_name(const struct lives *lives, unsigned name) {
    size_t i = 0;
    while (i < lives->count && lives->at[i].name != name)
        i++;
    return i;
}

static struct life remove_at(struct lives *lives, size_t position) {
    struct life taken = lives->at[position];
    lives->count--;
    memmove(&lives->at[position], &lives->at[position + 1],
            (lives->count - position) * sizeof lives->at[0]);
    return taken;
}

static bool has_number(const struct lives *lives, uint32_t number) {
    for (size_t i = 0; i < lives->count; i++) {
        if (lives->at[i].number == number)
            return true;
    }
    return false;
}

static struct epmd_node node_of(unsigned name, char *text, size_t size) {
    snprintf(text, size, "node%u", name);
    return some_node(text, (uint16_t)name);
}

/* --- steps --- */

static void register_one(struct play *play) {
    char text[16];
    unsigned name = (unsigned)seeded_below(&play->random, play->names);
    const struct epmd_node node = node_of(name, text, sizeof text);
    bool taken = position_of_name(&play->live, name) < play->live.count;
    struct life life = {.number = play->next_number++, .name = name};
    struct registration *made = NULL;
    enum registry_verdict verdict =
        registry_register(play->some.registry, &node, play, life.number, &made);

    ck_assert_int_eq(verdict, taken ? REGISTRY_NAME_TAKEN : REGISTRY_OK);
    if (taken)
        return;
    life.creation = made->creation;
    play->live.at[play->live.count++] = life;
    size_t earlier = position_of_name(&play->departed, name);
    if (earlier < play->departed.count)
        remove_at(&play->departed, earlier);
}

static void remove_one(struct play *play) {
    if (play->live.count == 0)
        return;
    char text[16];
    struct life life = remove_at(&play->live, seeded_below(&play->random, play->live.count));
    struct bytes name = node_of(life.name, text, sizeof text).name;
    registry_remove(play->some.registry, registry_find(play->some.registry, name));
    play->departed.at[play->departed.count++] = life;
    if (play->departed.count > REGISTRY_DEPARTED_MAX)
        remove_at(&play->departed, 0);
}

static void find_one(struct play *play) {
    char text[16];
    unsigned name = (unsigned)seeded_below(&play->random, play->names);
    const struct epmd_node node = node_of(name, text, sizeof text);
    const struct registration *found = registry_find(play->some.registry, node.name);
    size_t position = position_of_name(&play->live, name);

    ck_assert_int_eq(found != NULL, position < play->live.count);
    if (found == NULL)
        return;
    ck_assert_uint_eq(found->holder_number, play->live.at[position].number);
    ck_assert_uint_eq(found->creation, play->live.at[position].creation);
    ck_assert_uint_eq(found->node.port, name);
    assert_bytes(found->node.name, node.name);
}

/* --- walks --- */

static const struct lives *lives_of(const struct play *play, enum registry_part part) {
    return part == REGISTRY_LIVE ? &play->live : &play->departed;
}

static void begin_walk(struct play *play, struct walk *walk) {
    walk->open = true;
    walk->part = seeded_chance(&play->random, 50) ? REGISTRY_LIVE : REGISTRY_DEPARTED;
    walk->seen = 0;
    walk->ahead = *lives_of(play, walk->part);
    registry_cursor_begin(&walk->cursor, play->some.registry, walk->part);
    if (walk->part == REGISTRY_DEPARTED)
        return;
    for (size_t i = 0; i < walk->ahead.count / 2; i++) {
        struct life *one = &walk->ahead.at[i], *other = &walk->ahead.at[walk->ahead.count - 1 - i];
        struct life swapped = *one;
        *one = *other;
        *other = swapped;
    }
}

static void end_walk(struct walk *walk) {
    registry_cursor_end(&walk->cursor);
    walk->open = false;
}

/*
 * One step: it shows the next of those that were there at the beginning and still are. Behind
 * them, a walk over the departed may go on to those that left meanwhile.
 */
static void step_walk(struct play *play, struct walk *walk) {
    const struct lives *now = lives_of(play, walk->part);
    while (walk->seen < walk->ahead.count && !has_number(now, walk->ahead.at[walk->seen].number))
        walk->seen++;
    const struct registration *shown = registry_cursor_peek(&walk->cursor);
    if (walk->seen < walk->ahead.count) {
        ck_assert_ptr_nonnull(shown);
        ck_assert_uint_eq(shown->holder_number, walk->ahead.at[walk->seen].number);
        walk->seen++;
    } else if (walk->part == REGISTRY_LIVE || shown == NULL) {
        ck_assert_ptr_null(shown);
        end_walk(walk);
        return;
    } else {
        ck_assert(has_number(now, shown->holder_number));
    }
    registry_cursor_advance(&walk->cursor);
}

static void walk_on(struct play *play) {
    struct walk *walk = &play->walks[seeded_below(&play->random, WALKS)];
    if (!walk->open)
        begin_walk(play, walk);
    else if (seeded_chance(&play->random, 2))
        end_walk(walk);
    else
        step_walk(play, walk);
}

static void assert_same_whole(struct play *play) {
    struct walk *walk = calloc(1, sizeof *walk);
    ck_assert_ptr_nonnull(walk);
    for (int part = 0; part < 6; part++) {
        begin_walk(play, walk);
        while (walk->open)
            step_walk(play, walk);
        ck_assert_uint_eq(walk->seen, walk->ahead.count);
    }
    free(walk);
    ck_assert_uint_eq(registry_count(play->some.registry), play->live.count);
}

/* --- the play --- */

static void play_history(int round, unsigned names, int steps, unsigned arrivals_percent) {
    struct play *play = calloc(1, sizeof *play);
    ck_assert_ptr_nonnull(play);
    play->random = seeded_stream("registry");
    play->random.state += (uint64_t)round;
    play->names = names;
    play->some = some_registry_new();

    for (int step = 0; step < steps; step++) {
        if (seeded_chance(&play->random, 60))
            walk_on(play);
        else if (seeded_chance(&play->random, 10))
            find_one(play);
        else if (seeded_chance(&play->random, arrivals_percent))
            register_one(play);
        else
            remove_one(play);
        ck_assert_uint_eq(registry_count(play->some.registry), play->live.count);
        if (step % 16 == 0)
            ck_assert_ptr_null(registry_check(play->some.registry));
        if (step % (steps / 5) == 0)
            assert_same_whole(play);
    }
    assert_same_whole(play);
    for (int i = 0; i < WALKS; i++)
        end_walk(&play->walks[i]);
    some_registry_free(&play->some);
    free(play);
}

START_TEST(it_behaves_as_its_model_with_few_names) {
    for (int round = 0; round < 40; round++)
        play_history(round, 12, 2000, 50);
}
END_TEST

START_TEST(it_behaves_as_its_model_with_many_names) {
    for (int round = 0; round < 3; round++)
        play_history(round, NAMES_MAX - 1, 20000, 52);
}
END_TEST

void registry_model_add(TCase *tests) {
    tcase_add_test(tests, it_behaves_as_its_model_with_few_names);
    tcase_add_test(tests, it_behaves_as_its_model_with_many_names);
}
