#include "base/hash_table.h"

#include "assertions.h"
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMES 600
#define NAME_SIZE 24

struct entry {
    UT_hash_handle hh;
    char name[NAME_SIZE];
};

/* uthash's own hash, which everybody can compute. */
static unsigned known_hash(const char *name) {
    unsigned hash;
    HASH_JEN(name, strlen(name), hash);
    return hash;
}

/* The next name after *number that shares the bucket of "rabbit" in a table of 1,024. */
static void next_name(unsigned *number, char name[NAME_SIZE]) {
    unsigned wanted = known_hash("rabbit") % 1024;
    do
        snprintf(name, NAME_SIZE, "n%ux", (*number)++);
    while (known_hash(name) % 1024 != wanted);
}

static struct entry *names_of_one_bucket(void) {
    struct entry *table = NULL;
    unsigned number = 0;
    for (int i = 0; i < NAMES; i++) {
        struct entry *entry = calloc(1, sizeof *entry);
        ck_assert_ptr_nonnull(entry);
        next_name(&number, entry->name);
        HASH_ADD_STR(table, name, entry);
        ck_assert_ptr_nonnull(entry->hh.tbl);
    }
    return table;
}

static unsigned longest_chain(const struct entry *table) {
    const struct UT_hash_table *all = table->hh.tbl;
    unsigned longest = 0;
    for (unsigned i = 0; i < all->num_buckets; i++)
        longest = all->buckets[i].count > longest ? all->buckets[i].count : longest;
    return longest;
}

static void free_all(struct entry *table) {
    struct entry *entry, *following;
    HASH_ITER(hh, table, entry, following) {
        HASH_DEL(table, entry);
        free(entry);
    }
}

START_TEST(names_that_share_a_bucket_elsewhere_do_not_here) {
    struct entry *table = names_of_one_bucket();
    ck_assert_uint_lt(longest_chain(table), 20);
    free_all(table);
}
END_TEST

START_TEST(another_key_is_another_hash) {
    unsigned before = hash_of("rabbit", 6);
    hash_set_key(1, 0);
    unsigned first = hash_of("rabbit", 6);
    hash_set_key(0, 1);
    unsigned second = hash_of("rabbit", 6);
    hash_set_key(0, 0);
    ck_assert_uint_ne(first, before);
    ck_assert_uint_ne(second, before);
    ck_assert_uint_ne(first, second);
    ck_assert_uint_eq(hash_of("rabbit", 6), before);
}
END_TEST

/* The vectors of Rust's standard library. */
START_TEST(it_is_siphash_1_3) {
    uint8_t text[16];
    for (uint8_t i = 0; i < sizeof text; i++)
        text[i] = i;
    hash_set_key(UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908));
    ck_assert_uint_eq(hash_of_64(text, 0), UINT64_C(0xabac0158050fc4dc));
    ck_assert_uint_eq(hash_of_64(text, 1), UINT64_C(0xc9f49bf37d57ca93));
    ck_assert_uint_eq(hash_of_64(text, 2), UINT64_C(0x82cb9b024dc7d44d));
    hash_set_key(0, 0);
}
END_TEST

Suite *hash_table_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("hash_table", &tests);
    tcase_add_test(tests, names_that_share_a_bucket_elsewhere_do_not_here);
    tcase_add_test(tests, another_key_is_another_hash);
    tcase_add_test(tests, it_is_siphash_1_3);
    return suite;
}
