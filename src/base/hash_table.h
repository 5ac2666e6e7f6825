/*
 * uthash as all tables of this source have it: out of memory is an answer (the `tbl` of what was
 * added is NULL), and the hash is keyed. Include this, never <uthash.h>.
 *
 * Names and addresses are chosen by others. Under a hash that they can compute, they choose names
 * that all fall into one bucket: uthash then stops making more buckets, and every look-up of a name
 * in it walks them all. So it is SipHash-1-3 (Aumasson and Bernstein 2012), under a key that nobody
 * outside of the process knows.
 */
#ifndef PORTOLAN_BASE_HASH_TABLE_H
#define PORTOLAN_BASE_HASH_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(data, len, value) ((value) = hash_of((data), (len)))
#include <uthash.h>

/*
 * The key of all tables of the process. To be set before the first of them has an entry, and never
 * again; without it, as in tests that are to be repeated, the key is known to everybody.
 */
void hash_set_key(uint64_t first, uint64_t second);

uint64_t hash_of_64(const void *data, size_t len);

/* As many bits as a table uses. */
unsigned hash_of(const void *data, size_t len);

#endif
