#include "cli/output.h"

#include "suites.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- durations --- */

START_TEST(a_duration_is_said_in_its_two_largest_units) {
    static const struct {
        int64_t seconds;
        const char *text;
    } said[] = {{0, "0s"},         {17, "17s"},     {59, "59s"},      {60, "1m"},
                {61, "1m 1s"},     {200, "3m 20s"}, {3600, "1h"},     {3659, "1h"},
                {11520, "3h 12m"}, {86400, "1d"},   {93784, "1d 2h"}, {86400 * 400LL, "400d"}};

    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        char text[OUTPUT_DURATION_SIZE];
        output_duration(said[i].seconds, text);
        ck_assert_str_eq(text, said[i].text);
    }
}
END_TEST

START_TEST(no_duration_is_too_long_for_its_text) {
    char text[OUTPUT_DURATION_SIZE];

    output_duration(INT64_MAX, text);
    ck_assert_str_eq(text, "106751991167300d 15h");
    output_duration(INT64_MIN, text);
    ck_assert_str_eq(text, "-9223372036854775808s");
}
END_TEST

/* --- text --- */

START_TEST(a_character_is_as_wide_as_a_terminal_shows_it) {
    static const struct {
        const char *text;
        size_t width;
    } shown[] = {{"", 0},       {"rabbit@s1", 9},  {"größe", 5},    {"узел", 4},
                 {"日本語", 6}, {"한국", 4},       {"e\u0301", 1},  {"Ｆｕｌｌ", 8},
                 {"🐰", 2},      {"\U00020000", 2}, {"a\u200bb", 2}, {"﷐", 1}};

    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        ck_assert_msg(output_width(shown[i].text) == shown[i].width, "'%s' is %zu wide, not %zu",
                      shown[i].text, output_width(shown[i].text), shown[i].width);
}
END_TEST

START_TEST(the_width_of_what_is_not_utf8_ends_with_the_text) {
    ck_assert_uint_eq(output_width("\xff"), 1);
    ck_assert_uint_eq(output_width("\xe6"), 1);
    ck_assert_uint_eq(output_width("\x80\x80"), 1);
}
END_TEST

START_TEST(what_could_move_a_terminal_is_not_printable) {
    char *printable = output_printable(bytes_of("\033[2J\nü\0\xff", 9));

    ck_assert_str_eq(printable, "\\u001b[2J\\u000aü\\u0000\\u00ff");
    free(printable);
}
END_TEST

/* --- tables --- */

static const struct column columns[] = {{"NAME", false}, {"PORT", true}, {"STATE", false}};

/* What the table prints where there is no terminal. The caller's to free. */
static char *printed(const struct table *table) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    table_print(table, out);
    fclose(out);
    return text;
}

static void add_row(struct table *table, const char *name, int64_t port, const char *state) {
    table_add(table, name);
    table_add_number(table, port);
    table_add(table, state);
}

START_TEST(columns_line_up_and_numbers_stand_right) {
    struct table *table = table_new(columns, 3);

    add_row(table, "rabbit", 25672, "registered");
    add_row(table, "日本", 7, "leased");
    char *text = printed(table);

    ck_assert_str_eq(text, "NAME     PORT  STATE\n"
                           "rabbit  25672  registered\n"
                           "日本        7  leased\n");
    free(text);
    table_free(table);
}
END_TEST

START_TEST(a_table_without_rows_is_its_head) {
    struct table *table = table_new(columns, 3);
    char *text = printed(table);

    ck_assert_uint_eq(table_rows(table), 0);
    ck_assert_str_eq(text, "NAME  PORT  STATE\n");
    free(text);
    table_free(table);
}
END_TEST

START_TEST(a_table_without_titles_has_no_head) {
    static const struct column bare[] = {{NULL, false}, {NULL, false}};
    struct table *table = table_new(bare, 2);

    table_add(table, "node");
    table_add(table, "a@h");
    table_add(table, "up");
    table_add(table, "");
    char *text = printed(table);

    ck_assert_str_eq(text, "node  a@h\nup    \n");
    free(text);
    table_free(table);
}
END_TEST

START_TEST(a_cell_holds_what_json_says) {
    static const struct column bare[] = {{NULL, false}};
    struct table *table = table_new(bare, 1);
    json_t *values = json_pack("[s, I, b, b, n, {}]", "a\nb", (json_int_t)INT64_MAX, 1, 0);
    size_t i;
    json_t *value;

    json_array_foreach(values, i, value) {
        table_add_value(table, value);
    }
    table_add_value(table, NULL);
    char *text = printed(table);

    ck_assert_str_eq(text, "a\\u000ab\n9223372036854775807\nyes\nno\n-\n-\n-\n");
    free(text);
    json_decref(values);
    table_free(table);
}
END_TEST

START_TEST(a_table_grows_with_its_rows) {
    struct table *table = table_new(columns, 3);
    size_t lines = 0;

    for (int i = 0; i < 1000; i++)
        add_row(table, "n", i, "x");
    char *text = printed(table);

    ck_assert_uint_eq(table_rows(table), 1000);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    ck_assert_uint_eq(lines, 1001);
    free(text);
    table_free(table);
}
END_TEST

/* --- colour --- */

START_TEST(there_is_no_colour_but_on_a_terminal) {
    FILE *file = tmpfile();
    char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);

    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    ck_assert(!output_has_colour(file));
    ck_assert(!output_has_colour(memory));
    output_coloured(memory, COLOUR_BAD, "re\033fused");
    fclose(memory);
    ck_assert_str_eq(text, "re\\u001bfused");
    free(text);
    fclose(file);
}
END_TEST

/* --- JSON --- */

START_TEST(json_is_one_line) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    json_t *value = json_pack("{s:s, s:[i]}", "a", "b\nü", "c", 1);

    output_json(out, value);
    fclose(out);

    ck_assert_str_eq(text, "{\"a\":\"b\\nü\",\"c\":[1]}\n");
    free(text);
    json_decref(value);
}
END_TEST

START_TEST(without_memory_the_program_ends) {
    int here = 0;
    ck_assert_ptr_eq(alloc_or_exit(&here), &here);
    alloc_or_exit(NULL);
    _exit(EXIT_SUCCESS);
}
END_TEST

Suite *output_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("output", &tests);
    tcase_add_test(tests, a_duration_is_said_in_its_two_largest_units);
    tcase_add_test(tests, no_duration_is_too_long_for_its_text);
    tcase_add_test(tests, a_character_is_as_wide_as_a_terminal_shows_it);
    tcase_add_test(tests, the_width_of_what_is_not_utf8_ends_with_the_text);
    tcase_add_test(tests, what_could_move_a_terminal_is_not_printable);
    tcase_add_test(tests, columns_line_up_and_numbers_stand_right);
    tcase_add_test(tests, a_table_without_rows_is_its_head);
    tcase_add_test(tests, a_table_without_titles_has_no_head);
    tcase_add_test(tests, a_cell_holds_what_json_says);
    tcase_add_test(tests, a_table_grows_with_its_rows);
    tcase_add_test(tests, there_is_no_colour_but_on_a_terminal);
    tcase_add_test(tests, json_is_one_line);
    tcase_add_exit_test(tests, without_memory_the_program_ends, EXIT_FAILURE);
    return suite;
}
