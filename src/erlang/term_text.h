/*
 * Terms as Erlang prints them (io_lib's ~tp, on one line): what a user of EMQX's control command
 * knows.
 *
 *   emqx@s1          an atom that needs no quotes: a lower-case letter, then letters, digits, _, @
 *   'emqx@s1.io'     one that needs them
 *   ['a@h.x','b@h.x']
 *
 * Escapes are Erlang's. Bytes that are not UTF-8 are taken as Latin-1, so nothing printed here is
 * malformed, and nothing can move a terminal.
 */
#ifndef PORTOLAN_ERLANG_TERM_TEXT_H
#define PORTOLAN_ERLANG_TERM_TEXT_H

#include "base/bytes.h"

/* The most that an atom of that many bytes takes. */
#define TERM_ATOM_SIZE(bytes) (4 * (bytes) + 2)

void term_write_atom(struct writer *writer, struct bytes name);

/* In the order that they are in. */
void term_write_atom_list(struct writer *writer, const struct bytes *names, size_t count);

#endif
