/*
 * load_wire: epmd's requests as the load generator sends them, and the check of what comes back.
 *
 * The formats are in the "Erlang Distribution Protocol" chapter of the ERTS manual. Written apart
 * from the daemon's own codec on purpose: a mistake made there must not be made here as well.
 *
 * The names of a bench are bench0, bench1, ...; each has a port that follows from its number, so
 * that a reply can be checked without remembering who was registered with what.
 */
#ifndef BENCH_LOAD_WIRE_H
#define BENCH_LOAD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_REQUEST_MAX = 64, /* enough for every request made here */
    WIRE_REPLY_MAX = 64,   /* enough for every reply but that to NAMES_REQ */
    WIRE_REGISTERED_LEN = 6,
    WIRE_LISTING_HEAD_LEN = 4,
};

/* Each writes one request to `out` (WIRE_REQUEST_MAX bytes) and returns its length. `kind` is the
 * text before the number: "bench", or another to register names that nobody asks for. */
size_t wire_put_register(uint8_t *out, const char *kind, uint32_t number);
size_t wire_put_lookup(uint8_t *out, uint32_t number);
size_t wire_put_listing(uint8_t *out);

/* A name was registered. `len` must be the whole reply, WIRE_REGISTERED_LEN bytes. */
bool wire_is_registered(const uint8_t *reply, size_t len);

/* The name bench<number> was found, with its own port and nothing else. */
bool wire_is_found(const uint8_t *reply, size_t len, uint32_t number);

/* The length of the reply to NAMES_REQ when bench0 to bench<names - 1> are registered. */
size_t wire_listing_len(uint32_t names);

/* The first four bytes of that reply are the daemon's port. */
bool wire_is_listing_head(const uint8_t *head, uint16_t daemon_port);

/* The text after them has each name once, with its port, in any order. */
bool wire_is_listing_text(const char *text, size_t len, uint32_t names);

#endif
