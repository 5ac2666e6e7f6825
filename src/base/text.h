/*
 * Text forms: what people write in flags, variables and files, and what they read in logs.
 *
 * Parsers take whole strings: anything left over, a sign or a blank is an error. They leave *out
 * alone when they return false.
 */
#ifndef PORTOLAN_BASE_TEXT_H
#define PORTOLAN_BASE_TEXT_H

#include "base/bytes.h"

/* Decimal digits, min <= value <= max. */
bool text_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* "500ms", "60", "60s", "5m", "2h", "1d"; a bare number is seconds. At most 365 days. */
bool text_parse_duration_ms(const char *text, int64_t *out);

/* The shortest of the forms above that says the same; `out` needs TEXT_DURATION_SIZE bytes. */
#define TEXT_DURATION_SIZE 24
void text_format_duration(int64_t duration_ms, char *out);

/* on, true, yes, 1 / off, false, no, 0 */
bool text_parse_switch(const char *text, bool *out);

/*
 * Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, nothing over U+10FFFF, shortest
 * forms only). *characters, when not NULL, gets their number.
 */
bool text_is_utf8(struct bytes bytes, size_t *characters);

/*
 * Writes the bytes as the inside of a JSON string: quotes, backslashes and control characters
 * escaped, UTF-8 kept but for invisible characters, each byte that is not UTF-8 as \u00XX. Nothing
 * a peer sends can so end a line of a log, control the terminal of who reads it, or look other than
 * it is.
 */
void text_write_escaped(struct writer *writer, struct bytes bytes);

/*
 * The length of the character at `at`, if it is one that cannot be seen and changes how others are:
 * U+202E, which turns text around, and its like, characters without a width, ends of lines and
 * paragraphs, C1 controls; else 0. *character gets its number.
 */
size_t text_invisible(struct bytes bytes, size_t at, uint32_t *character);

/* Two lower-case digits a byte; the parser takes nothing else, and no more than `writer` has room
 * for. */
void text_write_hex(struct writer *writer, struct bytes bytes);
bool text_parse_hex(const char *text, struct writer *writer);

/* Whether it is an IPv4 or IPv6 address in the usual form, without brackets, zone and prefix. */
bool text_is_ip_address(const char *text);

#endif
