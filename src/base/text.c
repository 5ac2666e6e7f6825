#include "base/text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Reads the digits at *text and moves it past them. */
static bool parse_digits(const char **text, uint64_t *out) {
    const char *at = *text;
    uint64_t value = 0;
    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *text = at;
    *out = value;
    return true;
}

bool text_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    uint64_t value;
    if (!parse_digits(&text, &value) || *text != '\0' || value < min || value > max)
        return false;
    *out = value;
    return true;
}

static const struct {
    const char *suffix;
    int64_t ms;
} duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"", 1000},
};
#define DURATION_UNITS (sizeof duration_units / sizeof duration_units[0])

bool text_parse_duration_ms(const char *text, int64_t *out) {
    const uint64_t longest_ms = UINT64_C(365) * 86400000;
    uint64_t value;
    if (!parse_digits(&text, &value))
        return false;
    for (size_t i = 0; i < DURATION_UNITS; i++) {
        if (strcmp(text, duration_units[i].suffix) != 0)
            continue;
        if (value > longest_ms / (uint64_t)duration_units[i].ms)
            return false;
        *out = (int64_t)value * duration_units[i].ms;
        return true;
    }
    return false;
}

void text_format_duration(int64_t duration_ms, char *out) {
    size_t unit = 0;
    if (duration_ms == 0)
        unit = 3;
    else
        while (duration_ms % duration_units[unit].ms != 0)
            unit++;
    snprintf(out, TEXT_DURATION_SIZE, "%" PRId64 "%s", duration_ms / duration_units[unit].ms,
             duration_units[unit].suffix);
}

bool text_parse_switch(const char *text, bool *out) {
    static const char *const words[][2] = {
        {"off", "on"}, {"false", "true"}, {"no", "yes"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (int value = 0; value < 2; value++) {
            if (strcasecmp(text, words[i][value]) != 0)
                continue;
            *out = value == 1;
            return true;
        }
    }
    return false;
}

/* The length of the UTF-8 character that starts at `at`, 0 when none does (RFC 3629, section 4). */
static size_t utf8_character(const uint8_t *at, size_t left) {
    uint8_t first = at[0];
    if (first < 0x80)
        return 1;
    size_t len = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (len == 0 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (first == 0xe0 && at[1] < 0xa0) || (first == 0xf0 && at[1] < 0x90);
    bool surrogate = first == 0xed && at[1] >= 0xa0;
    bool beyond = first == 0xf4 && at[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : len;
}

bool text_is_utf8(struct bytes bytes, size_t *characters) {
    size_t count = 0;
    for (size_t at = 0; at < bytes.len; count++) {
        size_t len = utf8_character(bytes.data + at, bytes.len - at);
        if (len == 0)
            return false;
        at += len;
    }
    if (characters != NULL)
        *characters = count;
    return true;
}

static uint32_t decode(const uint8_t *at, size_t len) {
    uint32_t character = len == 1 ? at[0] : at[0] & (0xffU >> (len + 1));
    for (size_t i = 1; i < len; i++)
        character = character << 6 | (at[i] & 0x3f);
    return character;
}

/*
 * The further controls, what Unicode 15 says may be left out where it cannot be shown
 * (Default_Ignorable_Code_Point: controls of direction, joiners, fillers, selectors of variants,
 * tags), and ends of lines and paragraphs.
 */
static const struct {
    uint32_t first, last;
} invisible[] = {
    {0x80, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},   {0x115f, 0x1160},
    {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e}, {0x2060, 0x206f},
    {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

size_t text_invisible(struct bytes bytes, size_t at, uint32_t *character) {
    size_t len = utf8_character(bytes.data + at, bytes.len - at);
    if (len < 2)
        return 0;
    *character = decode(bytes.data + at, len);
    for (size_t i = 0; i < sizeof invisible / sizeof invisible[0]; i++) {
        if (*character >= invisible[i].first && *character <= invisible[i].last)
            return len;
    }
    return 0;
}

/* As JSON has it: beyond U+FFFF a pair of surrogates. */
static void write_escape(struct writer *writer, uint32_t character) {
    char escaped[16];
    uint32_t beyond = character - 0x10000;
    if (character < 0x10000)
        snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)character);
    else
        snprintf(escaped, sizeof escaped, "\\u%04x\\u%04x", (unsigned)(0xd800 + (beyond >> 10)),
                 (unsigned)(0xdc00 + (beyond & 0x3ff)));
    write_text(writer, escaped);
}

void text_write_escaped(struct writer *writer, struct bytes bytes) {
    for (size_t at = 0; at < bytes.len;) {
        const uint8_t *from = bytes.data + at;
        size_t len = utf8_character(from, bytes.len - at);
        uint32_t character;
        if (text_invisible(bytes, at, &character) > 0) {
            write_escape(writer, character);
        } else if (len == 1 && (*from == '"' || *from == '\\')) {
            const uint8_t escaped[2] = {'\\', *from};
            write_bytes(writer, bytes_of(escaped, sizeof escaped));
        } else if (len == 0 || *from < 0x20 || *from == 0x7f) {
            write_escape(writer, *from);
        } else {
            write_bytes(writer, bytes_of(from, len));
        }
        at += len == 0 ? 1 : len;
    }
}

void text_write_hex(struct writer *writer, struct bytes bytes) {
    static const char digits[] = "0123456789abcdef";
    char piece[64];
    for (size_t at = 0; at < bytes.len;) {
        size_t len = 0;
        for (; len < sizeof piece && at < bytes.len; at++) {
            piece[len++] = digits[bytes.data[at] >> 4];
            piece[len++] = digits[bytes.data[at] & 15];
        }
        write_bytes(writer, bytes_of(piece, len));
    }
}

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool text_parse_hex(const char *text, struct writer *writer) {
    for (; *text != '\0'; text += 2) {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0)
            return false;
        write_u8(writer, (uint8_t)(high << 4 | low));
    }
    return !writer->failed;
}

bool text_is_ip_address(const char *text) {
    struct in6_addr address;
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}
