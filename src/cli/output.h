/*
 * What people read: tables that line up, durations, colour, and JSON for programs.
 *
 * Text from elsewhere (names, paths, reasons) may hold anything; all functions here escape what
 * could move a terminal or end a line. Out of memory they end the program with exit code 1.
 */
#ifndef PORTOLAN_CLI_OUTPUT_H
#define PORTOLAN_CLI_OUTPUT_H

#include "base/bytes.h"

#include <jansson.h>
#include <stdio.h>

/* Colour goes to a terminal that has it, and never where NO_COLOR is set (no-color.org). */
bool output_has_colour(FILE *out);

enum colour { COLOUR_NONE, COLOUR_STRONG, COLOUR_FAINT, COLOUR_GOOD, COLOUR_BAD };

/* The text, in that colour where there is colour. */
void output_coloured(FILE *out, enum colour colour, const char *text);

/* The text as a terminal may have it: see text_write_escaped. Free it with free. */
char *output_printable(struct bytes text);

/* How many columns of a terminal the text takes: East Asian wide characters two, combining marks
 * none. */
size_t output_width(const char *text);

/* The two largest units of it: "17s", "3m 20s", "5h", "3d 4h". */
#define OUTPUT_DURATION_SIZE 32
void output_duration(int64_t seconds, char *out);

/* The value on one line. */
void output_json(FILE *out, const json_t *value);

struct column {
    const char *title; /* NULL in the first: the table has no head */
    bool right;        /* numbers stand right */
};

struct table;

/* The columns are borrowed. */
struct table *table_new(const struct column *columns, size_t count);
void table_free(struct table *table);

/* Fills the next cell, row by row. */
void table_add(struct table *table, const char *text);
void table_add_number(struct table *table, int64_t number);

/* The same, for the JSON value: text or number as it is, "-" for null and for nothing. */
void table_add_value(struct table *table, const json_t *value);

size_t table_rows(const struct table *table);
void table_print(const struct table *table, FILE *out);

/* Ends the program when it is NULL. */
void *alloc_or_exit(void *memory);

#endif
