/*
 * Any bytes as text that people or peers wrote: parsers agree with what is said again of their
 * results, UTF-8 is judged as by a second opinion, and nothing gets through the escaping.
 */
#include "fuzz.h"

#include "../unit/utf8_oracle.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>

static void check_number(const char *text) {
    uint64_t number = 77;
    if (!text_parse_number(text, 0, UINT64_MAX, &number)) {
        must(number == 77);
        return;
    }
    must(strspn(text, "0123456789") == strlen(text));
    must(strtoull(text, NULL, 10) == number);
    uint64_t bounded = 77;
    must(text_parse_number(text, number, number, &bounded) && bounded == number);
    must(number == UINT64_MAX || !text_parse_number(text, number + 1, UINT64_MAX, &bounded));
    must(number == 0 || !text_parse_number(text, 0, number - 1, &bounded));
}

static void check_duration(const char *text) {
    int64_t duration_ms = 77, again_ms = -1;
    char said[TEXT_DURATION_SIZE];
    if (!text_parse_duration_ms(text, &duration_ms)) {
        must(duration_ms == 77);
        return;
    }
    must(duration_ms >= 0 && duration_ms <= INT64_C(365) * 86400000);
    text_format_duration(duration_ms, said);
    must(text_parse_duration_ms(said, &again_ms) && again_ms == duration_ms);
}

static void check_switch(const char *text) {
    bool on = false, off = true;
    bool is_switch = text_parse_switch(text, &on);
    must(is_switch == text_parse_switch(text, &off));
    must(is_switch ? on == off : !on && off);
    must(!is_switch || strlen(text) <= strlen("false"));
}

static uint32_t read_digits(struct reader *from) {
    char digits[5] = "";
    struct bytes taken = read_bytes(from, 4);
    for (size_t i = 0; i < taken.len; i++)
        digits[i] = (char)taken.data[i];
    must(strspn(digits, "0123456789abcdef") == 4);
    return (uint32_t)strtoul(digits, NULL, 16);
}

/* Undoes an escape at the front, or takes one byte; false at what no escaped text holds. */
static bool unescape(struct reader *from, struct writer *to) {
    uint8_t byte = read_u8(from);
    if (byte < 0x20 || byte == 0x7f || byte == '"')
        return false;
    if (byte != '\\') {
        write_u8(to, byte);
        return true;
    }
    uint8_t escaped = read_u8(from);
    if (escaped != 'u') {
        write_u8(to, escaped);
        return escaped == '"' || escaped == '\\';
    }
    uint8_t character[4];
    uint32_t number = read_digits(from);
    if (number >= 0xd800 && number < 0xdc00) { /* the first of a pair */
        must(read_u16(from) == ('\\' << 8 | 'u'));
        number = 0x10000 + ((number - 0xd800) << 10 | (read_digits(from) - 0xdc00));
    }
    size_t len = utf8_encode(number, character);
    write_bytes(to, bytes_of(character, len));
    return true;
}

static void check_escaping(struct bytes bytes, bool is_utf8) {
    uint8_t *escaped = fuzz_copy(NULL, 0, 6 * bytes.len);
    uint8_t *plain = fuzz_copy(NULL, 0, 6 * bytes.len);
    struct writer writer = writer_of(escaped, 6 * bytes.len);
    struct writer undone = writer_of(plain, 6 * bytes.len);
    text_write_escaped(&writer, bytes);
    must(!writer.failed);
    must(text_is_utf8(writer_bytes(&writer), NULL));

    struct reader reader = reader_of(writer_bytes(&writer));
    while (reader.left > 0)
        must(unescape(&reader, &undone));
    must(!reader.failed && !undone.failed);
    must(!is_utf8 || bytes_equal(writer_bytes(&undone), bytes));
    for (size_t i = 0; i + 1 < writer.len; i++)
        must(escaped[i] != 0xc2 || escaped[i + 1] >= 0xa0);
    free(plain);
    free(escaped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t characters = 0, expected = 0;
    bool is_utf8 = text_is_utf8(bytes_of(data, size), &characters);
    must(is_utf8 == utf8_oracle(bytes_of(data, size), &expected));
    must(!is_utf8 || characters == expected);
    check_escaping(bytes_of(data, size), is_utf8);

    char *text = (char *)fuzz_copy(data, size, 1);
    text[size] = '\0';
    check_number(text);
    check_duration(text);
    check_switch(text);
    free(text);
    return 0;
}
