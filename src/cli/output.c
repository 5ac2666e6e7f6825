#include "cli/output.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GAP 2 /* columns of the terminal between two of a table */

void *alloc_or_exit(void *memory) {
    if (memory == NULL) {
        fputs("portolan: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return memory;
}

/* --- colour --- */

static bool is_set(const char *variable) {
    const char *value = getenv(variable);
    return value != NULL && *value != '\0';
}

bool output_has_colour(FILE *out) {
    const char *terminal = getenv("TERM");
    int fd = fileno(out);
    return fd >= 0 && isatty(fd) && !is_set("NO_COLOR") && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

static const char *const colour_codes[] = {
    [COLOUR_NONE] = "",   [COLOUR_STRONG] = "1", [COLOUR_FAINT] = "2",
    [COLOUR_GOOD] = "32", [COLOUR_BAD] = "31",
};

static void print_coloured(FILE *out, bool use_colour, enum colour colour, const char *printable) {
    if (use_colour && colour != COLOUR_NONE)
        fprintf(out, "\033[%sm%s\033[0m", colour_codes[colour], printable);
    else
        fputs(printable, out);
}

void output_coloured(FILE *out, enum colour colour, const char *text) {
    char *printable = output_printable(bytes_of_text(text));
    print_coloured(out, output_has_colour(out), colour, printable);
    free(printable);
}

/* --- text --- */

char *output_printable(struct bytes text) {
    const size_t longest_escape = 6;
    char *out = alloc_or_exit(malloc(text.len * longest_escape + 1));
    struct writer writer = writer_of(out, text.len * longest_escape);
    text_write_escaped(&writer, text);
    out[writer.len] = '\0';
    return out;
}

/* The widths that matter in names: after Unicode's East Asian Width and general category. */
static const struct {
    uint32_t first, last;
    size_t width;
} widths[] = {
    {0x0300, 0x036f, 0},   {0x0483, 0x0489, 0},   {0x0591, 0x05bd, 0},   {0x064b, 0x065f, 0},
    {0x093c, 0x093c, 0},   {0x094d, 0x094d, 0},   {0x0e31, 0x0e31, 0},   {0x0e34, 0x0e3a, 0},
    {0x0e47, 0x0e4e, 0},   {0x1100, 0x115f, 2},   {0x1ab0, 0x1aff, 0},   {0x1dc0, 0x1dff, 0},
    {0x200b, 0x200f, 0},   {0x20d0, 0x20ff, 0},   {0x2e80, 0x303e, 2},   {0x3041, 0xa4cf, 2},
    {0xa960, 0xa97f, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},
    {0xfe20, 0xfe2f, 0},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},
    {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2},
};

static size_t character_width(uint32_t character) {
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        if (character <= widths[i].last)
            return character >= widths[i].first ? widths[i].width : 1;
    }
    return 1;
}

size_t output_width(const char *text) {
    size_t width = 0;
    for (const uint8_t *at = (const uint8_t *)text; *at != 0;) {
        uint32_t character = *at < 0xc0   ? *at
                             : *at < 0xe0 ? *at & 0x1fU
                             : *at < 0xf0 ? *at & 0x0fU
                                          : *at & 0x07U;
        for (at++; (*at & 0xc0) == 0x80; at++)
            character = character << 6 | (*at & 0x3fU);
        width += character_width(character);
    }
    return width;
}

void output_duration(int64_t seconds, char *out) {
    static const struct {
        int64_t seconds;
        char name;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    const size_t last = sizeof units / sizeof units[0] - 1;
    size_t unit = 0;
    while (unit < last && seconds < units[unit].seconds)
        unit++;
    int64_t rest = unit == last ? 0 : seconds % units[unit].seconds / units[unit + 1].seconds;
    int len = snprintf(out, OUTPUT_DURATION_SIZE, "%" PRId64 "%c", seconds / units[unit].seconds,
                       units[unit].name);
    if (rest > 0 && len > 0)
        snprintf(out + len, OUTPUT_DURATION_SIZE - (size_t)len, " %" PRId64 "%c", rest,
                 units[unit + 1].name);
}

void output_json(FILE *out, const json_t *value) {
    if (json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)) == 0)
        fputc('\n', out);
}

/* --- tables --- */

struct table {
    const struct column *columns;
    size_t count;
    char **cells; /* row by row, printable */
    size_t filled, capacity;
};

struct table *table_new(const struct column *columns, size_t count) {
    struct table *table = alloc_or_exit(calloc(1, sizeof *table));
    table->columns = columns;
    table->count = count;
    return table;
}

void table_free(struct table *table) {
    for (size_t i = 0; i < table->filled; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

static void add_printable(struct table *table, char *cell) {
    if (table->filled == table->capacity) {
        table->capacity = table->capacity == 0 ? 64 : table->capacity * 2;
        table->cells = alloc_or_exit(realloc(table->cells, table->capacity * sizeof *table->cells));
    }
    table->cells[table->filled++] = cell;
}

void table_add(struct table *table, const char *text) {
    add_printable(table, output_printable(bytes_of_text(text)));
}

void table_add_number(struct table *table, int64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    table_add(table, text);
}

void table_add_value(struct table *table, const json_t *value) {
    if (json_is_string(value))
        add_printable(
            table, output_printable(bytes_of(json_string_value(value), json_string_length(value))));
    else if (json_is_integer(value))
        table_add_number(table, json_integer_value(value));
    else
        table_add(table, json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
}

size_t table_rows(const struct table *table) {
    return table->filled / table->count;
}

static void measure(const struct table *table, size_t *column_widths) {
    for (size_t column = 0; column < table->count; column++) {
        const char *title = table->columns[column].title;
        column_widths[column] = title == NULL ? 0 : output_width(title);
    }
    for (size_t i = 0; i < table->filled; i++) {
        size_t width = output_width(table->cells[i]), column = i % table->count;
        if (width > column_widths[column])
            column_widths[column] = width;
    }
}

static void print_blanks(FILE *out, size_t count) {
    while (count-- > 0)
        fputc(' ', out);
}

/* Prints a cell; nothing stands behind the last of a row. */
static void print_cell(const struct table *table, FILE *out, size_t column, size_t room,
                       const char *text, enum colour colour) {
    size_t blanks = room - output_width(text);
    bool right = table->columns[column].right, last = column + 1 == table->count;
    if (right)
        print_blanks(out, blanks);
    print_coloured(out, output_has_colour(out), colour, text);
    if (last)
        fputc('\n', out);
    else
        print_blanks(out, right ? GAP : blanks + GAP);
}

void table_print(const struct table *table, FILE *out) {
    size_t *column_widths = alloc_or_exit(calloc(table->count, sizeof *column_widths));
    bool headed = table->columns[0].title != NULL;
    measure(table, column_widths);
    for (size_t column = 0; headed && column < table->count; column++)
        print_cell(table, out, column, column_widths[column], table->columns[column].title,
                   COLOUR_STRONG);
    for (size_t i = 0; i < table_rows(table) * table->count; i++) {
        size_t column = i % table->count;
        enum colour colour = !headed && column == 0 ? COLOUR_STRONG : COLOUR_NONE;
        print_cell(table, out, column, column_widths[column], table->cells[i], colour);
    }
    free(column_widths);
}
