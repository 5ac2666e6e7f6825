/* Anti-entropy, seen from a peer that says what it likes: what a member answers, and what it asks.
 */
#include "cluster/anti_entropy.h"
#include "cluster/cluster.h"
#include "cluster/membership.h"
#include "suites.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct cluster *cluster;
static struct cluster_link *link_to_peer;
static uint8_t said[4 << 20]; /* by the member */
static size_t said_len;
static enum cluster_cause ended;
static int64_t now_ms;

static bool on_connect(void *context, const char *name) {
    (void)context;
    (void)name;
    return true;
}

static bool on_send(void *context, void *handle, struct bytes frames) {
    (void)context;
    (void)handle;
    ck_assert_uint_le(frames.len, CLUSTER_FRAME_MAX);
    ck_assert_uint_le(said_len + frames.len, sizeof said);
    memcpy(said + said_len, frames.data, frames.len);
    said_len += frames.len;
    return true;
}

static void on_disconnect(void *context, void *handle, enum cluster_cause cause) {
    (void)context;
    (void)handle;
    ended = cause;
}

static void on_persist(void *context, bool urgent) {
    (void)context;
    (void)urgent;
}

static void on_notify(void *context, const struct cluster_event *event) {
    (void)context;
    (void)event;
}

static void say(const struct writer *writer) {
    ck_assert(!writer->failed);
    struct bytes bytes = writer_bytes(writer);
    ck_assert_uint_eq(cluster_receive(cluster, link_to_peer, bytes, now_ms), bytes.len);
    ck_assert_ptr_null(cluster_check(cluster));
}

/* The n-th frame of a type that the member said; its payload. */
static bool heard(enum wire_type type, int which, struct bytes *payload) {
    for (size_t at = 0; at < said_len;) {
        size_t len = wire_frame_len(bytes_of(said + at, said_len - at));
        ck_assert_uint_ne(len, 0);
        ck_assert_uint_ne(len, SIZE_MAX);
        if (said[at + 4] == type && which-- == 0) {
            *payload = bytes_of(said + at + WIRE_HEAD, len - WIRE_HEAD);
            return true;
        }
        at += len;
    }
    return false;
}

static int count(enum wire_type type) {
    struct bytes payload;
    int found = 0;
    while (heard(type, found, &payload))
        found++;
    return found;
}

static uint8_t buffer[CLUSTER_FRAME_MAX];

static struct writer fresh(void) {
    return writer_of(buffer, sizeof buffer);
}

/* A member "a@x.org", and a peer "b@y.org" of the same cluster on an established link. */
static void setup(void) {
    struct cluster_options options = cluster_options_default();
    options.name = "a@x.org";
    options.wall_ms = 1760000000000;
    options.random = random_of(1);
    options.io = (struct cluster_io){.connect = on_connect,
                                     .send = on_send,
                                     .disconnect = on_disconnect,
                                     .persist = on_persist,
                                     .notify = on_notify};
    now_ms = 1000;
    said_len = 0;
    ended = CLUSTER_CAUSE_NONE;
    ck_assert_int_eq(cluster_new(&options, now_ms, &cluster), CLUSTER_STARTED);
    link_to_peer = cluster_link_up(cluster, &ended, NULL, now_ms);
    struct wire_hello hello = {.version = WIRE_VERSION,
                               .id = cluster_id(cluster),
                               .generation = 5,
                               .incarnation = 5,
                               .known_state = WIRE_KNOWN_NOTHING,
                               .name = bytes_of_text("b@y.org"),
                               .cluster_name = bytes_of_text("emqxcl")};
    struct writer writer = fresh();
    wire_write_hello(&writer, &hello);
    say(&writer);
    ck_assert_int_eq(count(WIRE_HELLO), 1);
    said_len = 0;
}

static void teardown(void) {
    cluster_free(cluster);
}

static void tell_of(int first, int last) {
    struct writer writer = fresh();
    size_t begun = wire_begin(&writer, WIRE_RECORDS);
    char name[32];
    for (int i = first; i < last; i++) {
        snprintf(name, sizeof name, "m%d@z.org", i);
        struct wire_record record = {
            .state = CLUSTER_DOWN, .generation = 1, .incarnation = 1, .name = bytes_of_text(name)};
        wire_write_record(&writer, &record);
    }
    wire_end(&writer, begun);
    say(&writer);
    said_len = 0;
}

static void say_summary(uint64_t hash) {
    struct writer writer = fresh();
    size_t begun = wire_begin(&writer, WIRE_SUMMARY);
    wire_write_id(&writer, cluster_id(cluster));
    write_u64(&writer, hash);
    wire_end(&writer, begun);
    say(&writer);
}

static uint64_t summary_heard(void) {
    struct bytes payload;
    ck_assert(heard(WIRE_SUMMARY, 0, &payload));
    struct reader reader = reader_of(payload);
    read_bytes(&reader, 16);
    return read_u64(&reader);
}

/* Lets time pass until the member compares; the peer is heard all the time. */
static void await_summary(void) {
    while (count(WIRE_SUMMARY) == 0) {
        now_ms += 500;
        struct writer writer = fresh();
        wire_end(&writer, wire_begin(&writer, WIRE_PING));
        say(&writer);
        cluster_tick(cluster, now_ms);
        ck_assert_ptr_null(cluster_check(cluster));
        ck_assert_int_lt(now_ms, 100000);
    }
}

static void say_buckets(uint64_t hash_of_all) {
    struct writer writer = fresh();
    size_t begun = wire_begin(&writer, WIRE_BUCKET_HASHES);
    for (int i = 0; i < WIRE_BUCKETS; i++)
        write_u64(&writer, hash_of_all);
    wire_end(&writer, begun);
    say(&writer);
}

START_TEST(equal_summaries_are_the_end_of_it) {
    tell_of(0, 10);
    await_summary();
    uint64_t hash = summary_heard();
    said_len = 0;
    say_summary(hash);
    ck_assert_int_eq(count(WIRE_SAME), 1);
    ck_assert_int_eq(count(WIRE_BUCKET_HASHES), 0);
    say_summary(hash + 1);
    ck_assert_int_eq(count(WIRE_BUCKET_HASHES), 1);
}
END_TEST

START_TEST(few_members_are_compared_in_one_range) {
    tell_of(0, 10);
    await_summary();
    said_len = 0;
    say_buckets(1);
    ck_assert_int_eq(count(WIRE_RANGE), 1);
    struct bytes payload;
    heard(WIRE_RANGE, 0, &payload);
    struct reader reader = reader_of(payload);
    ck_assert_uint_eq(read_u64(&reader), 0);
    ck_assert_uint_eq(read_u64(&reader), UINT64_MAX);
    ck_assert_uint_eq(read_u8(&reader), 0);
    struct wire_record record;
    int records = 0;
    while (wire_next_record(&reader, &record))
        records++;
    ck_assert_int_eq(records, 12); /* ten, the peer, itself */
}
END_TEST

START_TEST(many_are_compared_by_bucket_and_few_buckets_at_a_time) {
    tell_of(0, 500);
    await_summary();
    said_len = 0;
    say_buckets(1);
    ck_assert_int_eq(count(WIRE_RANGE), ANTI_ENTROPY_WINDOW);
    said_len = 0;
    struct writer writer = fresh();
    size_t begun = wire_begin(&writer, WIRE_RANGE);
    write_u64(&writer, 0);
    write_u64(&writer, UINT64_MAX >> 8);
    write_u8(&writer, WIRE_RANGE_ANSWER | WIRE_RANGE_LAST);
    wire_end(&writer, begun);
    say(&writer);
    ck_assert_int_eq(count(WIRE_RANGE), 1); /* one was answered, the next is asked */
}
END_TEST

START_TEST(buckets_that_nobody_asked_for_are_ignored) {
    say_buckets(1);
    ck_assert_int_eq(count(WIRE_RANGE), 0);
}
END_TEST

/* The request names one member that we know better, one worse, and leaves one out. */
START_TEST(an_answer_holds_what_the_asker_does_not_know) {
    tell_of(0, 3);
    struct writer writer = fresh();
    size_t begun = wire_begin(&writer, WIRE_RANGE);
    write_u64(&writer, 0);
    write_u64(&writer, UINT64_MAX);
    write_u8(&writer, 0);
    static const char *const names[] = {"a@x.org", "b@y.org", "m0@z.org", "m1@z.org"};
    const char *in_order[4];
    for (size_t i = 0; i < 4; i++) {
        size_t at = i;
        uint64_t hash = membership_hash(bytes_of_text(names[i]));
        for (; at > 0 && membership_hash(bytes_of_text(in_order[at - 1])) > hash; at--)
            in_order[at] = in_order[at - 1];
        in_order[at] = names[i];
    }
    for (size_t i = 0; i < 4; i++) {
        struct wire_record record = {.state = CLUSTER_ALIVE, .name = bytes_of_text(in_order[i])};
        bool self = in_order[i] == names[0], peer = in_order[i] == names[1];
        record.incarnation = record.generation = self ? cluster_incarnation(cluster) : peer ? 5 : 1;
        if (in_order[i] == names[3])
            record.incarnation = 2;
        wire_write_record(&writer, &record);
    }
    wire_end(&writer, begun);
    say(&writer);
    struct bytes payload;
    ck_assert(heard(WIRE_RANGE, 0, &payload));
    struct reader reader = reader_of(payload);
    read_bytes(&reader, 16);
    ck_assert_uint_eq(read_u8(&reader), WIRE_RANGE_ANSWER | WIRE_RANGE_LAST);
    struct wire_record record;
    int m0 = 0, m2 = 0, others = 0;
    while (wire_next_record(&reader, &record)) {
        m0 += bytes_equal(record.name, bytes_of_text("m0@z.org"));
        m2 += bytes_equal(record.name, bytes_of_text("m2@z.org"));
        others += record.name.data[0] != 'm' || record.name.data[1] == '1';
    }
    ck_assert_int_eq(m0, 1); /* it is down, which the asker did not know */
    ck_assert_int_eq(m2, 1); /* left out */
    ck_assert_int_eq(others, 0);
    struct cluster_member_view view;
    ck_assert(cluster_member_find(cluster, "m1@z.org", &view));
    ck_assert_int_eq(view.state, CLUSTER_ALIVE); /* the asker knew better */
}
END_TEST

START_TEST(a_large_answer_comes_in_frames) {
    for (int i = 0; i < 3000; i += 500)
        tell_of(i, i + 500);
    struct writer writer = fresh();
    size_t begun = wire_begin(&writer, WIRE_RANGE);
    write_u64(&writer, 0);
    write_u64(&writer, UINT64_MAX);
    write_u8(&writer, 0);
    wire_end(&writer, begun);
    say(&writer);
    ck_assert_int_gt(count(WIRE_RANGE), 1);
    int records = 0, last = 0;
    struct bytes payload;
    for (int i = 0; heard(WIRE_RANGE, i, &payload); i++) {
        struct reader reader = reader_of(payload);
        read_bytes(&reader, 16);
        last += (read_u8(&reader) & WIRE_RANGE_LAST) != 0;
        struct wire_record record;
        while (wire_next_record(&reader, &record))
            records++;
    }
    ck_assert_int_eq(last, 1);
    ck_assert_int_eq(records, 3002);
}
END_TEST

START_TEST(a_range_that_ends_before_it_begins_ends_the_link) {
    struct writer writer = fresh();
    size_t begun = wire_begin(&writer, WIRE_RANGE);
    write_u64(&writer, 2);
    write_u64(&writer, 1);
    write_u8(&writer, 0);
    wire_end(&writer, begun);
    say(&writer);
    ck_assert_int_eq(ended, CLUSTER_CAUSE_PROTOCOL);
}
END_TEST

/* At the end of the numbers nothing can be refuted: what is said there of ourselves is not heeded,
 * or it would leave us with a record that nobody else takes. */
static void assert_own_record_is_sane(void) {
    struct cluster_member_view self;
    ck_assert(cluster_member_find(cluster, "a@x.org", &self));
    ck_assert_int_eq(self.state, CLUSTER_ALIVE);
    ck_assert_uint_le(self.joined, self.generation);
    ck_assert_uint_le(self.generation, self.incarnation);
    ck_assert_uint_le(self.incarnation, WIRE_NUMBER_MAX);
}

static void tell_of_itself(uint8_t state) {
    struct writer writer = fresh();
    size_t begun = wire_begin(&writer, WIRE_RECORDS);
    struct wire_record record = {.state = state,
                                 .joined = WIRE_NUMBER_MAX,
                                 .generation = WIRE_NUMBER_MAX,
                                 .incarnation = WIRE_NUMBER_MAX,
                                 .name = bytes_of_text("a@x.org")};
    wire_write_record(&writer, &record);
    wire_end(&writer, begun);
    say(&writer);
}

START_TEST(the_highest_numbers_leave_the_own_record_sane) {
    tell_of_itself(CLUSTER_ALIVE);
    assert_own_record_is_sane();
    tell_of_itself(CLUSTER_FORCED_OUT);
    assert_own_record_is_sane();
    ck_assert(!cluster_is_discovery_paused(cluster));
}
END_TEST

START_TEST(names_that_are_stated_are_asked_for_and_taken_over) {
    struct writer writer = fresh();
    size_t begun = wire_begin(&writer, WIRE_RECORDS);
    struct wire_record record = {.state = CLUSTER_ALIVE,
                                 .generation = 5,
                                 .incarnation = 5,
                                 .names = 3,
                                 .name = bytes_of_text("b@y.org")};
    wire_write_record(&writer, &record);
    wire_end(&writer, begun);
    say(&writer);
    ck_assert_int_eq(count(WIRE_PULL), 1);
    writer = fresh();
    begun = wire_begin(&writer, WIRE_NAMES);
    wire_write_version(&writer, (struct directory_version){5, 3});
    write_u8(&writer, WIRE_NAMES_FIRST | WIRE_NAMES_LAST);
    wire_write_name(&writer, bytes_of_text("b@y.org"));
    write_u64(&writer, 2);
    wire_write_node(&writer, &(struct directory_name){.name = bytes_of_text("rabbit"),
                                                      .port = 6369,
                                                      .front_port = 4371});
    wire_end(&writer, begun);
    say(&writer);
    const struct directory_entry *entry =
        directory_find(cluster_directory(cluster), bytes_of_text("rabbit@y.org"));
    ck_assert_ptr_nonnull(entry);
    ck_assert_uint_eq(entry->node.front_port, 4371);
}
END_TEST

Suite *anti_entropy_suite(void) {
    Suite *suite = suite_create("anti_entropy");
    TCase *tests = tcase_create("anti_entropy");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, equal_summaries_are_the_end_of_it);
    tcase_add_test(tests, few_members_are_compared_in_one_range);
    tcase_add_test(tests, many_are_compared_by_bucket_and_few_buckets_at_a_time);
    tcase_add_test(tests, buckets_that_nobody_asked_for_are_ignored);
    tcase_add_test(tests, an_answer_holds_what_the_asker_does_not_know);
    tcase_add_test(tests, a_large_answer_comes_in_frames);
    tcase_add_test(tests, a_range_that_ends_before_it_begins_ends_the_link);
    tcase_add_test(tests, the_highest_numbers_leave_the_own_record_sane);
    tcase_add_test(tests, names_that_are_stated_are_asked_for_and_taken_over);
    suite_add_tcase(suite, tests);
    return suite;
}
