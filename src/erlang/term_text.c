#include "erlang/term_text.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const char *const reserved_words[] = {
    "after", "and",  "andalso", "band",   "begin",   "bnot", "bor", "bsl",  "bsr",
    "bxor",  "case", "catch",   "cond",   "div",     "end",  "fun", "if",   "let",
    "not",   "of",   "or",      "orelse", "receive", "rem",  "try", "when", "xor",
};

/* ASCII, and the letters of Latin-1, which count as letters of a word in Erlang. */
static bool is_lower(uint32_t letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 0xdf && letter <= 0xff && letter != 0xf7);
}

static bool is_upper(uint32_t letter) {
    return (letter >= 'A' && letter <= 'Z') || (letter >= 0xc0 && letter <= 0xde && letter != 0xd7);
}

static bool is_word(uint32_t letter) {
    return is_lower(letter) || is_upper(letter) || (letter >= '0' && letter <= '9') ||
           letter == '_' || letter == '@';
}

/* The character at *at, which moves on; of those over U+00FF it is enough to know that. */
static uint32_t next_character(struct bytes name, size_t *at, bool is_utf8) {
    uint8_t first = name.data[(*at)++];
    if (!is_utf8 || first < 0x80)
        return first;
    if (first == 0xc2 || first == 0xc3)
        return (uint32_t)(first & 3) << 6 | (name.data[(*at)++] & 0x3f);
    while (*at < name.len && (name.data[*at] & 0xc0) == 0x80)
        ++*at;
    return UINT32_MAX;
}

static bool is_reserved(struct bytes name) {
    for (size_t i = 0; i < sizeof reserved_words / sizeof reserved_words[0]; i++) {
        if (bytes_equal(name, bytes_of_text(reserved_words[i])))
            return true;
    }
    return false;
}

static bool needs_quotes(struct bytes name, bool is_utf8) {
    size_t at = 0;
    if (name.len == 0 || is_reserved(name) || !is_lower(next_character(name, &at, is_utf8)))
        return true;
    while (at < name.len) {
        if (!is_word(next_character(name, &at, is_utf8)))
            return true;
    }
    return false;
}

/* The letter behind the backslash, or 0. */
static uint8_t escape_of(uint8_t byte) {
    static const char escaped[] = "'\\\b\t\n\v\f\r\033\177";
    static const char letters[] = "'\\btnvfred";
    const char *found = byte == 0 ? NULL : strchr(escaped, byte);
    return found == NULL ? 0 : (uint8_t)letters[found - escaped];
}

static void write_octal(struct writer *writer, uint8_t byte) {
    write_u8(writer, '\\');
    write_u8(writer, (uint8_t)('0' + (byte >> 6)));
    write_u8(writer, (uint8_t)('0' + (byte >> 3 & 7)));
    write_u8(writer, (uint8_t)('0' + (byte & 7)));
}

static void write_hexadecimal(struct writer *writer, uint32_t character) {
    char escaped[16];
    snprintf(escaped, sizeof escaped, "\\x{%X}", (unsigned)character);
    write_text(writer, escaped);
}

/* A byte over 127: part of a character, or by itself a character of Latin-1. */
static void write_high(struct writer *writer, uint8_t byte, bool is_utf8) {
    if (is_utf8) {
        write_u8(writer, byte);
    } else if (byte < 0xa0) {
        write_octal(writer, byte);
    } else {
        write_u8(writer, (uint8_t)(0xc0 | byte >> 6));
        write_u8(writer, (uint8_t)(0x80 | (byte & 0x3f)));
    }
}

/* U+0080 to U+009F are control characters too: in UTF-8 0xc2 and the byte itself. */
static bool is_control_pair(struct bytes name, size_t at) {
    return name.data[at] == 0xc2 && at + 1 < name.len && name.data[at + 1] < 0xa0;
}

void term_write_atom(struct writer *writer, struct bytes name) {
    bool is_utf8 = text_is_utf8(name, NULL);
    bool is_quoted = needs_quotes(name, is_utf8);
    if (is_quoted)
        write_u8(writer, '\'');
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.data[i], letter = escape_of(byte);
        uint32_t character;
        size_t invisible = is_utf8 && byte > 127 ? text_invisible(name, i, &character) : 0;
        if (invisible > 0 && character > 0xff) {
            write_hexadecimal(writer, character);
            i += invisible - 1;
        } else if (letter != 0) {
            write_u8(writer, '\\');
            write_u8(writer, letter);
        } else if (byte < ' ') {
            write_octal(writer, byte);
        } else if (is_utf8 && is_control_pair(name, i)) {
            write_octal(writer, name.data[++i]);
        } else if (byte > 127) {
            write_high(writer, byte, is_utf8);
        } else {
            write_u8(writer, byte);
        }
    }
    if (is_quoted)
        write_u8(writer, '\'');
}

void term_write_atom_list(struct writer *writer, const struct bytes *names, size_t count) {
    write_u8(writer, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            write_u8(writer, ',');
        term_write_atom(writer, names[i]);
    }
    write_u8(writer, ']');
}
