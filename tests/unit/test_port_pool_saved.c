/* The port pool: what of it outlives the daemon. */
#include "assertions.h"
#include "base/checksum.h"
#include "failing_allocation.h"
#include "port_pool_fixture.h"
#include "suites.h"

#include <inttypes.h>
#include <stdio.h>

START_TEST(leases_and_memories_survive_a_restart) {
    lease_at("a", NOW);
    registers("b", lease("b"));
    lease("c");
    release("c");
    registers("d", 40000);
    restart(NOW + 20000, 777);

    ck_assert_str_eq(all(), "a 6369, b 6370"); /* nodes register again */
    ck_assert_int_eq(find("a").expires_ms, 777 + 40000);
    ck_assert_int_eq(find("b").expires_ms, 777 + PORT_LEASE_MS);
    ck_assert_uint_eq(lease("x"), FIRST + 2);
    release("x");
    ck_assert_uint_eq(lease("c"), FIRST + 2);
}
END_TEST

START_TEST(of_two_nodes_on_one_port_the_first_is_saved) {
    lease("a");
    registers("a", FIRST);
    registers("b", FIRST);
    lease("b");
    restart(NOW, NOW);
    ck_assert_str_eq(all(), "a 6369");
}
END_TEST

START_TEST(the_next_is_to_be_saved_when_the_first_has_left) {
    registers("a", FIRST); /* without a lease: of it there is nothing to save */
    registers("b", FIRST);
    lease("b");
    some_pool_text(pool, NOW);
    port_pool_saved(pool);
    leaves("a");
    ck_assert(port_pool_unsaved(pool));
    restart(NOW, NOW);
    ck_assert_str_eq(all(), "b 6369");
}
END_TEST

START_TEST(a_lease_whose_time_was_over_ends_after_the_restart) {
    int64_t next_ms;
    lease_at("a", NOW);
    restart(NOW + PORT_LEASE_MS + 5, 0);
    ck_assert_str_eq(expired(0, &next_ms), "a 6369 expired");
}
END_TEST

START_TEST(a_pool_knows_what_it_has_to_save) {
    ck_assert(!port_pool_unsaved(pool));
    registers("a", 40000);
    leaves("a");
    ck_assert(!port_pool_unsaved(pool)); /* a registration promises nothing */
    lease("a");
    ck_assert(port_pool_unsaved(pool));
    some_pool_text(pool, NOW);
    port_pool_saved(pool);
    ck_assert(!port_pool_unsaved(pool));
    release("a");
    ck_assert(port_pool_unsaved(pool));
}
END_TEST

START_TEST(a_saved_state_reads_as_documented) {
    lease_for(1234, "a");
    struct bytes text = some_pool_text(pool, NOW + 1000);
    const struct bytes lines =
        LITERAL("portolan ports 2\nlease 6369 59000 61 1234\nlast 6369 0 61\nsum ");
    ck_assert_uint_gt(text.len, lines.len);
    assert_bytes(bytes_of(text.data, lines.len), lines);
}
END_TEST

static bool restores(const char *body) {
    char text[512];
    int len = snprintf(text, sizeof text, "%ssum %016" PRIx64 "\n", body,
                       checksum_of(bytes_of_text(body)));
    struct port_pool *fresh = port_pool_new(&options);
    bool restored = port_pool_restore(fresh, bytes_of(text, (size_t)len), NOW);
    port_pool_free(fresh);
    return restored;
}

START_TEST(a_text_of_another_form_is_refused_though_its_sum_is_right) {
    static const char *const wrong[] = {
        "",
        "portolan ports 3\n",
        "portolan creations 1\nnext 5\n",
        "portolan ports 2\nlease\n",
        "portolan ports 2\nlease 6369 0\n",
        "portolan ports 2\nlease 0 0 61 0\n",
        "portolan ports 2\nlease 65536 0 61 0\n",
        "portolan ports 2\nlease 6369 60001 61 0\n",
        "portolan ports 2\nlease 6369 -1 61 0\n",
        "portolan ports 2\nlease 6369 0 61 0 \n",
        "portolan ports 2\nlease 6369 0 61 0 62\n",
        "portolan ports 2\nlease  6369 0 61\n",
        "portolan ports 2\n lease 6369 0 61 0\n",
        "portolan ports 2\nlease 6369 0 6 0\n",
        "portolan ports 2\nlease 6369 0 6G 0\n",
        "portolan ports 2\nlease 6369 0 ff 0\n",
        "portolan ports 2\nlease 6369 0 00 0\n",
        "portolan ports 2\nheld 6369 0 61\n",
        "portolan ports 2\nlease 6369 0 61 0\nlease 6369 0 62 0\n",
        "portolan ports 2\nlease 6369 0 61 0",
        "portolan ports 2\n\n",
        "portolan ports 2\nlease 6369 0 61\n",
        "portolan ports 2\nlease 6369 0 61 \n",
        "portolan ports 2\nlease 6369 0 61 root\n",
        "portolan ports 2\nlease 6369 0 61 -1\n",
        "portolan ports 2\nlease 6369 0 61 4294967296\n",
        "portolan ports 2\nlast 6369 0 61 0\n",
        "portolan ports 1\nlease 6369 0 61 0\n",
    };
    ck_assert(restores("portolan ports 2\n"));
    ck_assert(restores("portolan ports 2\nlease 6369 0 61 4294967295\n"));
    ck_assert(restores("portolan ports 1\nlease 6369 60000 61\nlast 1 0 62\n"));
    ck_assert(restores("portolan ports 2\nlease 6369 60000 61 0\nlast 1 0 62\n"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!restores(wrong[i]), "accepted: %s", wrong[i]);
}
END_TEST

START_TEST(a_line_with_a_word_missing_is_refused) {
    static const char *const wrong[] = {
        "portolan ports 2\n 6369 0 61\n",
        "portolan ports 2\nlease  0 61\n",
        "portolan ports 2\nlease 6369  61\n",
        "portolan ports 2\nlease 6369 0 \n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!restores(wrong[i]), "accepted: %s", wrong[i]);
}
END_TEST

START_TEST(the_owner_of_a_lease_survives_a_restart) {
    lease_for(1234, "a");
    registers_as(1234, "b", lease("b"));
    lease("c");
    restart(NOW, NOW);
    ck_assert_int_eq(admits_as(1235, "a", FIRST), PORT_LEASED_TO_USER);
    ck_assert_int_eq(admits_as(1234, "a", FIRST), PORT_OK);
    ck_assert_uint_eq(find("b").user, 1234);
    ck_assert_uint_eq(find("c").user, USER_ROOT);
}
END_TEST

START_TEST(a_lease_of_a_file_that_knew_no_users_is_anybodys) {
    const char *body = "portolan ports 1\nlease 6369 60000 61\n";
    char text[128];
    int len = snprintf(text, sizeof text, "%ssum %016" PRIx64 "\n", body,
                       checksum_of(bytes_of_text(body)));
    ck_assert(port_pool_restore(pool, bytes_of(text, (size_t)len), NOW));
    ck_assert_uint_eq(find("a").user, USER_NOBODY);
    ck_assert_int_eq(admits_as(1234, "a", FIRST), PORT_OK);
    ck_assert_int_eq(admits_as(USER_NOBODY, "a", FIRST), PORT_OK);
    registers_as(1234, "a", FIRST);
    ck_assert_uint_eq(find("a").user, 1234);
}
END_TEST

START_TEST(a_torn_state_is_refused) {
    lease("a");
    lease("b");
    struct bytes text = some_pool_text(pool, NOW);
    for (size_t len = 0; len < text.len; len++) {
        struct port_pool *fresh = port_pool_new(&options);
        ck_assert(!port_pool_restore(fresh, bytes_of(text.data, len), NOW));
        ck_assert_uint_eq(port_pool_count(fresh), 0);
        port_pool_free(fresh);
    }
}
END_TEST

START_TEST(a_full_state_fits_the_room_that_is_promised) {
    uint8_t name[4 + 4 * 251];
    const struct port_probe probe = some_host_probe(host);
    range(10000, 10000 + 1999);
    for (size_t at = 0; at < sizeof name; at += 4)
        memcpy(name + at, "\xf0\x9d\x84\x9e", 4);
    for (int i = 0; i < 2000; i++) {
        uint16_t port;
        char digits[8];
        snprintf(digits, sizeof digits, "%04d", i);
        memcpy(name, digits, 4);
        ck_assert_int_eq(
            port_pool_lease(pool, bytes_of(name, sizeof name), USER_ROOT, NOW, &probe, &port),
            PORT_OK);
    }
    restart(NOW, NOW);
    ck_assert_uint_eq(port_pool_count(pool), 2000);
}
END_TEST

/* One more piece of at most 256 lines; true with the last. */
static bool writes_piece(struct writer *writer) {
    return port_pool_encode_piece(pool, writer, NOW);
}

START_TEST(a_state_that_changes_between_its_pieces_is_whole_and_to_be_saved_again) {
    static uint8_t text[1 << 20];
    struct writer writer = writer_of(text, sizeof text);
    char name[8];
    range(10000, 10999);
    for (unsigned i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "n%03u", i);
        ck_assert_uint_eq(lease(name), 10000 + i);
    }
    port_pool_encode_begin(pool);
    ck_assert(!writes_piece(&writer));
    release("n000"); /* it moves from a port that is written to one that is not */
    ck_assert_uint_eq(lease("x"), 10000);
    ck_assert_uint_eq(lease("n000"), 10600);
    release("n599"); /* not yet written */
    ck_assert(!writes_piece(&writer));
    ck_assert(!writes_piece(&writer));   /* the memories have begun */
    for (unsigned i = 0; i < 400; i++) { /* the next ones go to the end */
        snprintf(name, sizeof name, "n%03u", i);
        lease(name);
    }
    while (!writes_piece(&writer)) {
    }
    ck_assert(!writer.failed);
    port_pool_saved(pool);
    ck_assert(port_pool_unsaved(pool));

    struct port_pool *fresh = port_pool_new(&options);
    struct port_lease found;
    ck_assert(port_pool_restore(fresh, writer_bytes(&writer), NOW));
    ck_assert_uint_eq(port_pool_count(fresh), 599);
    ck_assert(port_pool_find(fresh, bytes_of_text("n000"), &found));
    ck_assert_uint_eq(found.port, 10000);
    port_pool_free(fresh);
}
END_TEST

START_TEST(without_memory_a_restart_forgets_some_but_never_gives_a_port_twice) {
    for (char name[] = "a"; name[0] <= 'j'; name[0]++)
        lease(name);
    struct bytes text = some_pool_text(pool, NOW);
    for (unsigned n = 1;; n++) {
        struct port_pool *fresh = port_pool_new(&options);
        fail_nth_allocation(n);
        bool restored = port_pool_restore(fresh, text, NOW);
        bool failed = allocation_failed();
        ck_assert(restored);
        ck_assert_uint_ge(port_pool_count(fresh), failed ? 9 : 10);
        port_pool_free(fresh);
        if (!failed)
            break;
    }
}
END_TEST

Suite *port_pool_saved_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("port_pool_saved", &tests);
    tcase_add_checked_fixture(tests, port_pool_fixture_begin, port_pool_fixture_end);
    tcase_add_test(tests, leases_and_memories_survive_a_restart);
    tcase_add_test(tests, of_two_nodes_on_one_port_the_first_is_saved);
    tcase_add_test(tests, the_next_is_to_be_saved_when_the_first_has_left);
    tcase_add_test(tests, a_lease_whose_time_was_over_ends_after_the_restart);
    tcase_add_test(tests, a_pool_knows_what_it_has_to_save);
    tcase_add_test(tests, a_saved_state_reads_as_documented);
    tcase_add_test(tests, a_text_of_another_form_is_refused_though_its_sum_is_right);
    tcase_add_test(tests, a_line_with_a_word_missing_is_refused);
    tcase_add_test(tests, the_owner_of_a_lease_survives_a_restart);
    tcase_add_test(tests, a_lease_of_a_file_that_knew_no_users_is_anybodys);
    tcase_add_test(tests, a_torn_state_is_refused);
    tcase_add_test(tests, a_full_state_fits_the_room_that_is_promised);
    tcase_add_test(tests, a_state_that_changes_between_its_pieces_is_whole_and_to_be_saved_again);
    tcase_add_test(tests, without_memory_a_restart_forgets_some_but_never_gives_a_port_twice);
    return suite;
}
