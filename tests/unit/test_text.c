#include "base/text.h"

#include "assertions.h"
#include "seeded.h"
#include "suites.h"
#include "utf8_oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- numbers, durations, switches --- */

START_TEST(a_number_is_digits_and_nothing_else) {
    static const char *const wrong[] = {"",    " 1", "1 ", "+1", "-1", "1.0", "0x10",
                                        "1\n", "a",  "1a", "١",  "1,", "1e3"};
    uint64_t out = 77;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!text_parse_number(wrong[i], 0, UINT64_MAX, &out), "'%s'", wrong[i]);
        ck_assert_uint_eq(out, 77);
    }
    ck_assert(text_parse_number("4369", 0, UINT64_MAX, &out));
    ck_assert_uint_eq(out, 4369);
}
END_TEST

START_TEST(a_number_keeps_to_its_bounds) {
    uint64_t out = 77;

    ck_assert(!text_parse_number("9", 10, 20, &out));
    ck_assert(!text_parse_number("21", 10, 20, &out));
    ck_assert_uint_eq(out, 77);
    ck_assert(text_parse_number("10", 10, 20, &out));
    ck_assert_uint_eq(out, 10);
    ck_assert(text_parse_number("0020", 10, 20, &out));
    ck_assert_uint_eq(out, 20);
}
END_TEST

START_TEST(a_number_does_not_wrap_round) {
    uint64_t out = 77;

    ck_assert(text_parse_number("18446744073709551615", 0, UINT64_MAX, &out));
    ck_assert_uint_eq(out, UINT64_MAX);
    ck_assert(!text_parse_number("18446744073709551616", 0, UINT64_MAX, &out));
    ck_assert(!text_parse_number("18446744073709551620", 0, UINT64_MAX, &out));
    ck_assert(!text_parse_number("99999999999999999999999999", 0, UINT64_MAX, &out));
    ck_assert_uint_eq(out, UINT64_MAX);
}
END_TEST

START_TEST(a_duration_has_a_unit_or_is_seconds) {
    static const struct {
        const char *text;
        int64_t ms;
    } right[] = {{"0", 0},         {"60", 60000},         {"60s", 60000},
                 {"500ms", 500},   {"5m", 300000},        {"2h", 7200000},
                 {"1d", 86400000}, {"365d", 31536000000}, {"31536000", 31536000000}};

    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        int64_t out = -1;
        ck_assert_msg(text_parse_duration_ms(right[i].text, &out), "%s", right[i].text);
        ck_assert_int_eq(out, right[i].ms);
    }
}
END_TEST

START_TEST(what_is_no_duration_leaves_the_value_alone) {
    static const char *const wrong[] = {"",
                                        "s",
                                        "-1s",
                                        "1 s",
                                        "1.5s",
                                        "5M",
                                        "5mss",
                                        "366d",
                                        "31536001",
                                        "1w",
                                        "1m30",
                                        "s1",
                                        "18446744073709551615d",
                                        "99999999999999999999999s"};
    int64_t out = 77;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!text_parse_duration_ms(wrong[i], &out), "'%s'", wrong[i]);
        ck_assert_int_eq(out, 77);
    }
}
END_TEST

START_TEST(a_duration_is_said_in_its_largest_whole_unit) {
    static const struct {
        int64_t ms;
        const char *text;
    } said[] = {{0, "0s"},        {1, "1ms"},       {1500, "1500ms"},
                {60000, "1m"},    {90000, "90s"},   {3600000, "1h"},
                {5400000, "90m"}, {86400000, "1d"}, {129600000, "36h"}};

    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        char text[TEXT_DURATION_SIZE];
        text_format_duration(said[i].ms, text);
        ck_assert_str_eq(text, said[i].text);
    }
}
END_TEST

START_TEST(a_duration_that_was_said_is_read_again) {
    static const uint64_t units[] = {1, 1000, 60000, 3600000, 86400000};
    const uint64_t longest_ms = UINT64_C(365) * 86400000;
    struct seeded random = seeded_stream("durations");

    for (int i = 0; i < 20000; i++) {
        uint64_t unit = units[seeded_below(&random, 5)];
        int64_t ms = (int64_t)(seeded_next(&random) % (longest_ms / unit + 1) * unit);
        char text[TEXT_DURATION_SIZE];
        int64_t again = -1;
        text_format_duration(ms, text);
        ck_assert_msg(text_parse_duration_ms(text, &again), "%s", text);
        ck_assert_int_eq(again, ms);
    }
}
END_TEST

START_TEST(a_switch_is_one_of_eight_words) {
    static const char *const on[] = {"on", "true", "yes", "1", "ON", "True"};
    static const char *const off[] = {"off", "false", "no", "0", "Off", "NO"};
    static const char *const neither[] = {"", "onn", "o", "2", "01", " on", "y", "enabled"};
    bool out = false;

    for (size_t i = 0; i < sizeof on / sizeof on[0]; i++) {
        out = false;
        ck_assert(text_parse_switch(on[i], &out) && out);
    }
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
        out = true;
        ck_assert(text_parse_switch(off[i], &out) && !out);
    }
    for (size_t i = 0; i < sizeof neither / sizeof neither[0]; i++) {
        ck_assert(!text_parse_switch(neither[i], &out));
        ck_assert(!out);
    }
}
END_TEST

/* --- UTF-8 --- */

static void assert_same_verdict(const uint8_t *text, size_t len) {
    size_t expected_count, count = 0;
    bool expected = utf8_oracle(bytes_of(text, len), &expected_count);
    bool verdict = text_is_utf8(bytes_of(text, len), &count);
    if (verdict == expected && (!verdict || count == expected_count))
        return; /* asserted millions of times: check's own bookkeeping would take minutes */
    ck_abort_msg("%zu bytes %02x %02x %02x %02x: %s of %zu characters", len, text[0], text[1],
                 text[2], text[3], verdict ? "UTF-8" : "not UTF-8", count);
}

START_TEST(every_sequence_of_up_to_three_bytes_is_judged_right) {
    uint8_t text[4] = {0};

    for (unsigned first = 0; first < 256; first++) {
        text[0] = (uint8_t)first;
        assert_same_verdict(text, 1);
        for (unsigned second = 0; second < 256; second++) {
            text[1] = (uint8_t)second;
            assert_same_verdict(text, 2);
            /* an ASCII byte in front leaves the two bytes that were judged above */
            for (unsigned third = 0; first >= 0x80 && third < 256; third++) {
                text[2] = (uint8_t)third;
                assert_same_verdict(text, 3);
            }
        }
    }
}
END_TEST

START_TEST(sequences_of_four_bytes_are_judged_right_at_every_edge) {
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
                                    0xc1, 0xc2, 0xdf, 0xe0, 0xec, 0xed, 0xee, 0xef, 0xf0,
                                    0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfc, 0xff};
    const size_t count = sizeof edges;

    for (size_t i = 0; i < count * count * count * count; i++) {
        const uint8_t text[4] = {edges[i / count / count / count], edges[i / count / count % count],
                                 edges[i / count % count], edges[i % count]};
        assert_same_verdict(text, sizeof text);
    }
}
END_TEST

START_TEST(long_text_is_judged_right_with_and_without_a_flaw) {
    struct seeded random = seeded_stream("utf8");

    for (int i = 0; i < 20000; i++) {
        uint8_t text[4 * 40] = {0};
        size_t len = seeded_utf8(&random, text, 1 + seeded_below(&random, 40)).len;
        assert_same_verdict(text, len);
        assert_same_verdict(text, len - 1);
        text[seeded_below(&random, len)] = (uint8_t)seeded_next(&random);
        assert_same_verdict(text, len);
    }
}
END_TEST

START_TEST(nobody_has_to_ask_for_the_number_of_characters) {
    size_t count = 77;

    ck_assert(text_is_utf8(LITERAL("søk"), NULL));
    ck_assert(text_is_utf8(bytes_of(NULL, 0), &count));
    ck_assert_uint_eq(count, 0);
    ck_assert(text_is_utf8(LITERAL("søk\0€"), &count));
    ck_assert_uint_eq(count, 5);
    ck_assert(!text_is_utf8(LITERAL("s\xf8k"), NULL));
}
END_TEST

/* --- escapes --- */

static struct bytes escape(struct bytes text, uint8_t *out, size_t size) {
    struct writer writer = writer_of(out, size);
    text_write_escaped(&writer, text);
    ck_assert(!writer.failed);
    return writer_bytes(&writer);
}

START_TEST(what_could_end_a_line_or_move_a_terminal_is_escaped) {
    uint8_t out[128];

    assert_bytes(escape(LITERAL("a\"b\\c"), out, sizeof out), LITERAL("a\\\"b\\\\c"));
    assert_bytes(escape(LITERAL("\r\n\x1b[31m\0"), out, sizeof out),
                 LITERAL("\\u000d\\u000a\\u001b[31m\\u0000"));
    assert_bytes(escape(LITERAL("\x7f"), out, sizeof out), LITERAL("\\u007f"));
    assert_bytes(escape(LITERAL("\xc2\x80\xc2\x9b\xc2\x9f"), out, sizeof out),
                 LITERAL("\\u0080\\u009b\\u009f"));
}
END_TEST

START_TEST(text_of_all_languages_stays_as_it_is) {
    uint8_t out[128];

    assert_bytes(escape(LITERAL("kanin@h\xc3\xb8yre \xc2\xa0 € 𝄞"), out, sizeof out),
                 LITERAL("kanin@h\xc3\xb8yre \xc2\xa0 € 𝄞"));
}
END_TEST

START_TEST(a_byte_that_is_not_utf8_is_escaped_alone) {
    uint8_t out[128];

    assert_bytes(escape(LITERAL("a\xff\xc3(\xe2\x82"), out, sizeof out),
                 LITERAL("a\\u00ff\\u00c3(\\u00e2\\u0082"));
}
END_TEST

static bool has_control_character(struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        bool c1 = text.data[i] == 0xc2 && i + 1 < text.len && text.data[i + 1] < 0xa0;
        if (text.data[i] < 0x20 || text.data[i] == 0x7f || c1)
            return true;
    }
    return false;
}

START_TEST(no_bytes_at_all_escape_the_escaping) {
    struct seeded random = seeded_stream("escapes");

    for (int i = 0; i < 20000; i++) {
        uint8_t text[40], out[sizeof text * 6];
        size_t len = seeded_below(&random, sizeof text + 1);
        seeded_fill(&random, text, len);
        struct bytes escaped = escape(bytes_of(text, len), out, sizeof out);
        ck_assert(text_is_utf8(escaped, NULL));
        ck_assert(!has_control_character(escaped));
    }
}
END_TEST

START_TEST(a_cut_escape_ends_between_characters) {
    const struct bytes text = LITERAL("a\n\"€\xff");

    for (size_t size = 0; size < 30; size++) {
        uint8_t out[30];
        struct writer writer = writer_of(out, size);
        text_write_escaped(&writer, text);
        ck_assert_uint_le(writer.len, size);
        ck_assert(text_is_utf8(writer_bytes(&writer), NULL));
        ck_assert(writer.len == 0 || out[writer.len - 1] != '\\');
    }
}
END_TEST

START_TEST(characters_that_cannot_be_seen_are_escaped) {
    uint8_t out[256];
    /* turned around, a zero-width space, ends of a line and a paragraph, an isolate, a BOM */
    assert_bytes(escape(LITERAL("a\u202etxt.exe"), out, sizeof out), LITERAL("a\\u202etxt.exe"));
    assert_bytes(escape(LITERAL("\u200b\u200f\u2028\u2029\u2066\ufeff\u061c"), out, sizeof out),
                 LITERAL("\\u200b\\u200f\\u2028\\u2029\\u2066\\ufeff\\u061c"));
    assert_bytes(escape(LITERAL("\U000e0041"), out, sizeof out), LITERAL("\\udb40\\udc41"));
    /* a selector of variants, fillers of Hangul, a joiner of graphemes */
    assert_bytes(escape(LITERAL("\ufe0f\u3164\u115f\u034f"), out, sizeof out),
                 LITERAL("\\ufe0f\\u3164\\u115f\\u034f"));
    assert_bytes(escape(LITERAL("\U000e0100"), out, sizeof out), LITERAL("\\udb40\\udd00"));
    assert_bytes(escape(LITERAL("s\u00f8ster \u2019 \u4e2d \U0001f407"), out, sizeof out),
                 LITERAL("s\u00f8ster \u2019 \u4e2d \U0001f407"));
}
END_TEST

/* Written so that a wrong bit of the table shows: each range, and what stands beside it. */
START_TEST(each_range_of_what_cannot_be_seen_ends_where_it_should) {
    static const uint32_t ranges[][2] = {
        {0x80, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},   {0x61c, 0x61c},
        {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f}, {0x200b, 0x200f},
        {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164}, {0xfe00, 0xfe0f},
        {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3},
        {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    size_t range = 0;
    for (uint32_t character = 0x80; character < 0x110000; character++) {
        uint8_t encoded[4];
        uint32_t seen = 0;
        if (character >= 0xd800 && character < 0xe000)
            continue;
        size_t len = utf8_encode(character, encoded);
        while (range < sizeof ranges / sizeof ranges[0] && character > ranges[range][1])
            range++;
        bool within = range < sizeof ranges / sizeof ranges[0] && character >= ranges[range][0];
        size_t found = text_invisible(bytes_of(encoded, len), 0, &seen);
        ck_assert_msg(found == (within ? len : 0) && (!within || seen == character),
                      "U+%04X: %zu bytes, U+%04X", character, found, seen);
    }
}
END_TEST

START_TEST(hexadecimal_is_pairs_of_lower_case_digits) {
    static const char *const wrong[] = {"6",  "616", "61zz", "6z", "z6", "61 2", "6A", "/0",
                                        "0/", ":0",  "0:",   "`0", "0`", "g0",   "0g", "61\n"};
    uint8_t out[8];
    struct writer writer = writer_of(out, sizeof out);
    ck_assert(text_parse_hex("00099a0fa0ff61f9", &writer));
    assert_bytes(writer_bytes(&writer), LITERAL("\x00\x09\x9a\x0f\xa0\xff\x61\xf9"));
    ck_assert(!text_parse_hex("00", &writer)); /* no room for more */
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        writer = writer_of(out, sizeof out);
        ck_assert_msg(!text_parse_hex(wrong[i], &writer), "'%s' was taken", wrong[i]);
    }
    writer = writer_of(out, sizeof out);
    ck_assert(text_parse_hex("", &writer));
    ck_assert_uint_eq(writer.len, 0);
}
END_TEST

START_TEST(bytes_of_any_number_are_written_as_hexadecimal) {
    static const char digits[] = "0123456789abcdef";
    uint8_t data[100], out[256];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + 5);
    for (size_t len = 0; len <= sizeof data; len++) {
        struct writer writer = writer_of(out, sizeof out);
        text_write_hex(&writer, bytes_of(data, len));
        ck_assert_uint_eq(writer.len, 2 * len);
        for (size_t i = 0; i < len; i++) {
            ck_assert_int_eq(out[2 * i], digits[data[i] / 16]);
            ck_assert_int_eq(out[2 * i + 1], digits[data[i] % 16]);
        }
    }
}
END_TEST

START_TEST(an_ip_address_stands_alone) {
    const char *const addresses[] = {"192.0.2.1", "::1", "2001:db8::1", "::ffff:192.0.2.1"};
    const char *const others[] = {"",           "192.0.2", "192.0.2.1.", "0x7f000001", "[::1]",
                                  "fe80::1%lo", "::1/128", "s1.emqx.io", " ::1"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        ck_assert_msg(text_is_ip_address(addresses[i]), "%s", addresses[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_msg(!text_is_ip_address(others[i]), "%s", others[i]);
}
END_TEST

Suite *text_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("text", &tests);
    tcase_add_test(tests, a_number_is_digits_and_nothing_else);
    tcase_add_test(tests, a_number_keeps_to_its_bounds);
    tcase_add_test(tests, a_number_does_not_wrap_round);
    tcase_add_test(tests, a_duration_has_a_unit_or_is_seconds);
    tcase_add_test(tests, what_is_no_duration_leaves_the_value_alone);
    tcase_add_test(tests, a_duration_is_said_in_its_largest_whole_unit);
    tcase_add_test(tests, a_duration_that_was_said_is_read_again);
    tcase_add_test(tests, a_switch_is_one_of_eight_words);
    tcase_add_test(tests, every_sequence_of_up_to_three_bytes_is_judged_right);
    tcase_add_test(tests, sequences_of_four_bytes_are_judged_right_at_every_edge);
    tcase_add_test(tests, long_text_is_judged_right_with_and_without_a_flaw);
    tcase_add_test(tests, nobody_has_to_ask_for_the_number_of_characters);
    tcase_add_test(tests, what_could_end_a_line_or_move_a_terminal_is_escaped);
    tcase_add_test(tests, text_of_all_languages_stays_as_it_is);
    tcase_add_test(tests, a_byte_that_is_not_utf8_is_escaped_alone);
    tcase_add_test(tests, no_bytes_at_all_escape_the_escaping);
    tcase_add_test(tests, a_cut_escape_ends_between_characters);
    tcase_add_test(tests, characters_that_cannot_be_seen_are_escaped);
    tcase_add_test(tests, each_range_of_what_cannot_be_seen_ends_where_it_should);
    tcase_add_test(tests, hexadecimal_is_pairs_of_lower_case_digits);
    tcase_add_test(tests, bytes_of_any_number_are_written_as_hexadecimal);
    tcase_add_test(tests, an_ip_address_stands_alone);
    return suite;
}
