#include "client/json_view.h"

#include "base/text.h"

#include <string.h>

/* --- checking --- */

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void skip_space(struct reader *in) {
    while (in->left > 0 && is_space(*in->at))
        read_u8(in);
}

static bool next_is(const struct reader *in, char wanted) {
    return in->left > 0 && *in->at == (uint8_t)wanted;
}

static bool take(struct reader *in, char wanted) {
    if (!next_is(in, wanted))
        return false;
    read_u8(in);
    return true;
}

static bool take_word(struct reader *in, const char *word) {
    size_t len = strlen(word);
    if (in->left < len || memcmp(in->at, word, len) != 0)
        return false;
    read_bytes(in, len);
    return true;
}

static bool take_digits(struct reader *in) {
    size_t before = in->left;
    while (in->left > 0 && *in->at >= '0' && *in->at <= '9')
        read_u8(in);
    return in->left < before;
}

static bool take_number(struct reader *in) {
    take(in, '-');
    if (!take(in, '0') && !take_digits(in))
        return false;
    if (take(in, '.') && !take_digits(in))
        return false;
    if (take(in, 'e') || take(in, 'E')) {
        if (!take(in, '+'))
            take(in, '-');
        return take_digits(in);
    }
    return true;
}

static int hex_digit(uint8_t byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The four digits of \uXXXX. */
static bool take_code_unit(struct reader *in, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = in->left > 0 ? hex_digit(read_u8(in)) : -1;
        if (digit < 0)
            return false;
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

/* What stands behind the u: one code unit, or a pair of surrogates. */
static bool take_code_point(struct reader *in, uint32_t *point) {
    uint32_t low;
    if (!take_code_unit(in, point))
        return false;
    if (*point < 0xd800 || *point > 0xdfff)
        return true;
    if (*point > 0xdbff || !take_word(in, "\\u") || !take_code_unit(in, &low) || low < 0xdc00 ||
        low > 0xdfff)
        return false;
    *point = 0x10000 + ((*point - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* What stands behind a backslash. */
static bool take_escape(struct reader *in, uint32_t *point) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    uint8_t letter = in->left > 0 ? read_u8(in) : 0;
    if (letter == 'u')
        return take_code_point(in, point);
    const char *found = letter == 0 ? NULL : strchr(letters, letter);
    if (found == NULL)
        return false;
    *point = (uint8_t)meanings[found - letters];
    return true;
}

static bool take_string(struct reader *in) {
    uint32_t ignored;
    if (!take(in, '"'))
        return false;
    while (in->left > 0) {
        uint8_t byte = read_u8(in);
        if (byte == '"')
            return true;
        if (byte < ' ' || (byte == '\\' && !take_escape(in, &ignored)))
            return false;
    }
    return false;
}

static bool take_value(struct reader *in, unsigned depth);

static bool take_element(struct reader *in, bool has_key, unsigned depth) {
    skip_space(in);
    if (has_key) {
        if (!take_string(in))
            return false;
        skip_space(in);
        if (!take(in, ':'))
            return false;
    }
    if (!take_value(in, depth))
        return false;
    skip_space(in);
    return true;
}

/* An object or an array, whose first byte is still there. */
static bool take_compound(struct reader *in, bool is_object, unsigned depth) {
    char end = is_object ? '}' : ']';
    read_u8(in);
    skip_space(in);
    if (depth == 0)
        return false;
    if (take(in, end))
        return true;
    do {
        if (!take_element(in, is_object, depth - 1))
            return false;
    } while (take(in, ','));
    return take(in, end);
}

static bool take_value(struct reader *in, unsigned depth) {
    skip_space(in);
    if (next_is(in, '{') || next_is(in, '['))
        return take_compound(in, next_is(in, '{'), depth);
    if (next_is(in, '"'))
        return take_string(in);
    return take_word(in, "true") || take_word(in, "false") || take_word(in, "null") ||
           take_number(in);
}

bool json_view_check(struct bytes text) {
    struct reader in = reader_of(text);
    if (!text_is_utf8(text, NULL) || !take_value(&in, JSON_VIEW_DEPTH_MAX))
        return false;
    skip_space(&in);
    return in.left == 0;
}

/* --- reading what was checked --- */

static struct bytes between(const uint8_t *start, const struct reader *in) {
    return bytes_of(start, (size_t)(in->at - start));
}

static struct reader inside(struct bytes value, char begin) {
    struct reader in = reader_of(value);
    skip_space(&in);
    return take(&in, begin) ? in : reader_of(bytes_of(NULL, 0));
}

/* Takes a value with what stands before and behind it. */
static bool next_value(struct reader *in, struct bytes *value) {
    skip_space(in);
    const uint8_t *start = in->at;
    if (in->left == 0 || !take_value(in, JSON_VIEW_DEPTH_MAX))
        return false;
    *value = between(start, in);
    skip_space(in);
    take(in, ',');
    return true;
}

/* Keys are compared as they are written: letters are not escaped. */
bool json_view_key_is(struct bytes key, const char *wanted) {
    size_t len = strlen(wanted);
    return key.len == len + 2 && memcmp(key.data + 1, wanted, len) == 0;
}

struct bytes json_view_members(struct bytes object) {
    struct reader in = inside(object, '{');
    return bytes_of(in.at, in.left);
}

bool json_view_next_member(struct bytes *members, struct bytes *key, struct bytes *value) {
    struct reader in = reader_of(*members);
    bool found = next_value(&in, key) && take(&in, ':') && next_value(&in, value);
    *members = bytes_of(in.at, in.left);
    return found;
}

struct bytes json_view_member(struct bytes object, const char *key) {
    struct bytes members = json_view_members(object), name, value;
    while (json_view_next_member(&members, &name, &value)) {
        if (json_view_key_is(name, key))
            return value;
    }
    return bytes_of(NULL, 0);
}

struct bytes json_view_elements(struct bytes array) {
    struct reader in = inside(array, '[');
    return bytes_of(in.at, in.left);
}

bool json_view_next(struct bytes *elements, struct bytes *element) {
    struct reader in = reader_of(*elements);
    bool found = next_value(&in, element);
    *elements = bytes_of(in.at, in.left);
    return found;
}

static bool is_word(struct bytes value, const char *word) {
    return bytes_equal(value, bytes_of_text(word));
}

bool json_view_is_true(struct bytes value) {
    return is_word(value, "true");
}

bool json_view_is_false(struct bytes value) {
    return is_word(value, "false");
}

bool json_view_integer(struct bytes value, int64_t min, int64_t max, int64_t *out) {
    struct reader in = reader_of(value);
    bool negative = take(&in, '-');
    int64_t number = 0;
    if (in.left == 0 || in.left > 18)
        return false;
    while (in.left > 0) {
        uint8_t digit = read_u8(&in);
        if (digit < '0' || digit > '9')
            return false;
        number = number * 10 + (digit - '0');
    }
    number = negative ? -number : number;
    if (number < min || number > max)
        return false;
    *out = number;
    return true;
}

static void write_code_point(struct writer *out, uint32_t point) {
    if (point < 0x80) {
        write_u8(out, (uint8_t)point);
        return;
    }
    if (point < 0x800) {
        write_u8(out, (uint8_t)(0xc0 | point >> 6));
    } else if (point < 0x10000) {
        write_u8(out, (uint8_t)(0xe0 | point >> 12));
        write_u8(out, (uint8_t)(0x80 | (point >> 6 & 0x3f)));
    } else {
        write_u8(out, (uint8_t)(0xf0 | point >> 18));
        write_u8(out, (uint8_t)(0x80 | (point >> 12 & 0x3f)));
        write_u8(out, (uint8_t)(0x80 | (point >> 6 & 0x3f)));
    }
    write_u8(out, (uint8_t)(0x80 | (point & 0x3f)));
}

bool json_view_text(struct bytes value, char *out, size_t size) {
    struct reader in = inside(value, '"');
    struct writer writer = writer_of(out, size - 1);
    bool has_nul = false, ended = false;
    while (in.left > 0 && !ended) {
        uint32_t point = read_u8(&in);
        ended = point == '"';
        if (point == '\\') {
            take_escape(&in, &point);
            has_nul |= point == 0;
            write_code_point(&writer, point);
        } else if (!ended) {
            write_u8(&writer, (uint8_t)point);
        }
    }
    bool good = ended && !has_nul && !writer.failed;
    out[good ? writer.len : 0] = '\0';
    return good;
}

size_t json_view_text_size(struct bytes value) {
    return value.len + 1;
}
