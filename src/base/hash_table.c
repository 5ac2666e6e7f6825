#include "base/hash_table.h"

static uint64_t key[2];

void hash_set_key(uint64_t first, uint64_t second) {
    key[0] = first;
    key[1] = second;
}

static uint64_t rotate(uint64_t value, int bits) {
    return value << bits | value >> (64 - bits);
}

static void mix(uint64_t state[4]) {
    state[0] += state[1];
    state[1] = rotate(state[1], 13) ^ state[0];
    state[0] = rotate(state[0], 32);
    state[2] += state[3];
    state[3] = rotate(state[3], 16) ^ state[2];
    state[0] += state[3];
    state[3] = rotate(state[3], 21) ^ state[0];
    state[2] += state[1];
    state[1] = rotate(state[1], 17) ^ state[2];
    state[2] = rotate(state[2], 32);
}

static void take_word(uint64_t state[4], uint64_t word) {
    state[3] ^= word;
    mix(state);
    state[0] ^= word;
}

static uint64_t read_word(const uint8_t *at, size_t len) {
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)at[i] << 8 * i;
    return word;
}

uint64_t hash_of_64(const void *data, size_t len) {
    const uint8_t *at = data;
    size_t whole = len / 8 * 8;
    uint64_t state[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
        key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    for (size_t i = 0; i < whole; i += 8)
        take_word(state, read_word(at + i, 8));
    take_word(state, (uint64_t)len << 56 | read_word(at + whole, len - whole));
    state[2] ^= 0xff;
    for (int round = 0; round < 3; round++)
        mix(state);
    return state[0] ^ state[1] ^ state[2] ^ state[3];
}

unsigned hash_of(const void *data, size_t len) {
    uint64_t hash = hash_of_64(data, len);
    return (unsigned)(hash ^ hash >> 32);
}
